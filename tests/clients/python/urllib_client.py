import os
from urllib.request import Request, urlopen

headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
upload = b"x" * 100_000
request = Request("https://api.openai.com/v1/echo", data=upload, headers=headers)
assert urlopen(request).read() == upload
print(urlopen(Request("https://api.openai.com/v1/hello", headers=headers)).read().decode())
print(dict(os.environ))
