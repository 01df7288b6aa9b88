from tavily import TavilyClient

print(TavilyClient().search("hello")["results"][0]["title"])
