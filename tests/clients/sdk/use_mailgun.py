import os

from mailgun.client import Client

with Client(auth=("api", os.environ["MAILGUN_API_KEY"])) as client:
    print(client.domains.get().json()["items"][0]["name"])
