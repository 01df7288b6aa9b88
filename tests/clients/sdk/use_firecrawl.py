from firecrawl import Firecrawl

print(Firecrawl().scrape("https://example.com", formats=["markdown"]).markdown)
