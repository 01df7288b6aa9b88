import assemblyai

print(assemblyai.Transcript.get_by_id("t1").text)
