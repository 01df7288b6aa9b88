import os
import sys
from urllib.request import Request, urlopen

for name, value in os.environb.items():
    sys.stdout.buffer.write(name + b"=" + value + b"\n")
request = Request(sys.argv[1], headers={"Authorization": "Bearer " + os.environ["DEMO_API_KEY"]})
sys.stdout.buffer.write(urlopen(request, timeout=10).read())
