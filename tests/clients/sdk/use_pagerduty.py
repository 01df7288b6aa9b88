import os

import pagerduty

client = pagerduty.RestApiV2Client(os.environ["PAGERDUTY_USER_API_KEY"])
print(client.rget("/users/me")["name"])
