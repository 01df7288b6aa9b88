import os

from brevo import Brevo

client = Brevo(api_key=os.environ["BREVO_API_KEY"])
print(client.account.get_account())
