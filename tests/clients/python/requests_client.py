import os

import requests

session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["OPENAI_API_KEY"]
upload = b"x" * 100_000
assert session.post("https://api.openai.com/v1/echo", data=upload).content == upload
answer = session.get("https://api.openai.com/v1/hello")
answer.raise_for_status()
print(answer.text)
print(dict(os.environ))
