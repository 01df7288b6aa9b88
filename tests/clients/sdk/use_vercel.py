from vercel.projects import get_projects

print(get_projects())
