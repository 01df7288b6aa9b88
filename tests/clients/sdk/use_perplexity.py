from perplexity import Perplexity

print(Perplexity().search.create(query="hello").results[0].title)
