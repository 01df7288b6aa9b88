import os

import gitlab

client = gitlab.Gitlab(private_token=os.environ["GITLAB_TOKEN"])
client.auth()
print(client.user.name)
