from cerebras.cloud.sdk import Cerebras

print(Cerebras().models.list().data[0].id)
