import os

from todoist_api_python.api import TodoistAPI

with TodoistAPI(os.environ["TODOIST_API_TOKEN"]) as api:
    print(api.get_task("t1").content)
