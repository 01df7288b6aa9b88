from groq import Groq

print(Groq().models.list().data[0].id)
