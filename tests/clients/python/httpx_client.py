import os
import sys

import httpx

headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
upload = b"x" * 100_000
with httpx.Client(http2=sys.argv[1] == "2", headers=headers) as client:
    assert client.post("https://api.openai.com/v1/echo", content=upload).content == upload
    print(client.get("https://api.openai.com/v1/hello").raise_for_status().text)
print(dict(os.environ))
