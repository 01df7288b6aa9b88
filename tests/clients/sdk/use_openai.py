from openai import OpenAI

print(OpenAI().models.list().data[0].id)
