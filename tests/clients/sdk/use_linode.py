import os

from linode_api4 import LinodeClient

print(LinodeClient(os.environ["LINODE_TOKEN"]).profile().username)
