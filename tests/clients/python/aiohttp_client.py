import asyncio
import os

import aiohttp


async def main():
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    upload = b"x" * 100_000
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
        async with session.post("https://api.openai.com/v1/echo", data=upload) as answer:
            assert await answer.read() == upload
        async with session.get("https://api.openai.com/v1/hello") as answer:
            print(await answer.text())
        async with session.ws_connect("https://api.openai.com/v1/realtime") as socket:
            await socket.send_str("ping")
            assert await socket.receive_str() == "ping"


asyncio.run(main())
print(dict(os.environ))
