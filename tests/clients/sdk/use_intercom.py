import os

from intercom import Intercom

client = Intercom(token=os.environ["INTERCOM_API_KEY"])
print(client.admins.list().admins[0].name)
