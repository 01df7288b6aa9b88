import asyncio
import os

from openai import AsyncOpenAI


async def main():
    stream = await AsyncOpenAI().chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    words = [event.choices[0].delta.content async for event in stream]
    assert len(words) > 1, words
    print("".join(words))


asyncio.run(main())
print(dict(os.environ))
