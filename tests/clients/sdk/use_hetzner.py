import os

from hcloud import Client

client = Client(token=os.environ["HCLOUD_TOKEN"])
for location in client.locations.get_all():
    print(location.description)
