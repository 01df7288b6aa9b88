import os

from mistralai.client import Mistral

with Mistral(api_key=os.environ["MISTRAL_API_KEY"]) as mistral:
    print(mistral.models.list().data[0].id)
