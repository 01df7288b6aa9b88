import os

from square import Square

client = Square(token=os.environ["SQUARE_TOKEN"])
print(client.locations.list().locations[0].name)
