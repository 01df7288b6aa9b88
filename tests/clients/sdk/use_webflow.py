import os

from webflow.client import Webflow

client = Webflow(access_token=os.environ["WEBFLOW_API_TOKEN"])
print(client.sites.list().sites[0].display_name)
