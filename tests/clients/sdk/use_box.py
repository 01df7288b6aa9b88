import os

from box_sdk_gen import BoxClient, BoxDeveloperTokenAuth

client = BoxClient(auth=BoxDeveloperTokenAuth(token=os.environ["BOX_DEVELOPER_TOKEN"]))
print(client.users.get_user_me().name)
