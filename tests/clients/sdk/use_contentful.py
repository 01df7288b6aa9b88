import os

from contentful_management import Client

client = Client(os.environ["CONTENTFUL_MANAGEMENT_ACCESS_TOKEN"])
print(client.spaces().all()[0].name)
