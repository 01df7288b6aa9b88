from langfuse import Langfuse

langfuse = Langfuse(tracing_enabled=False)
print(langfuse.api.projects.get().data[0].name)
