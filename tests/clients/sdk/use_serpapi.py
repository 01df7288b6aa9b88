import os

import serpapi

client = serpapi.Client(api_key=os.environ["SERPAPI_KEY"])
print(client.search(engine="google", q="hello")["organic_results"][0]["title"])
