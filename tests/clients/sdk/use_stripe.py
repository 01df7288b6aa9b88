import os

from stripe import StripeClient

client = StripeClient(os.environ["STRIPE_API_KEY"])
print(client.v1.customers.retrieve("cus_1").name)
