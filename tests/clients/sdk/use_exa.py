import os

from exa_py import Exa

exa = Exa(api_key=os.environ["EXA_API_KEY"])
print(exa.search("hello").results[0].title)
