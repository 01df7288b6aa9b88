from anthropic import Anthropic

print(Anthropic().models.list().data[0].display_name)
