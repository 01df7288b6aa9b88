from together import Together

print(Together().files.list().data[0].filename)
