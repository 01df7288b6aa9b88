import os

from apify_client import ApifyClient

client = ApifyClient(os.environ["APIFY_TOKEN"])
print(client.user("me").get())
