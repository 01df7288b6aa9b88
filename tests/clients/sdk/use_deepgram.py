from deepgram import DeepgramClient

print(DeepgramClient().manage.v1.projects.list().projects[0].name)
