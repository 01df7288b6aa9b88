import cohere

print(cohere.ClientV2().models.list().models[0].name)
