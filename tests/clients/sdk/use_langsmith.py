from langsmith import Client

for project in Client().list_projects(limit=1):
    print(project.name)
