"""An agent that knows nothing of authsome: pip install openai, then: authsome run -- python3 examples/agent.py"""

from openai import OpenAI

client = OpenAI()
completion = client.chat.completions.create(
    model="gpt-5-mini",
    messages=[{"role": "user", "content": "Say hello in four words."}],
)
print(completion.choices[0].message.content)
