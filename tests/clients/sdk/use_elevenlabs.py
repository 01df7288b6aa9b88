from elevenlabs.client import ElevenLabs

print(ElevenLabs().models.list()[0].name)
