import os

from anthropic import Anthropic

message = Anthropic().messages.create(
    model="claude-sonnet-4-5", max_tokens=100, messages=[{"role": "user", "content": "Hello"}]
)
print(message.content[0].text)
print(dict(os.environ))
