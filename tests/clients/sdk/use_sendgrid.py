import os

from sendgrid import SendGridAPIClient

client = SendGridAPIClient(os.environ.get("SENDGRID_API_KEY"))
print(client.client.user.profile.get().body.decode())
