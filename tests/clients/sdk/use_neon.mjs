import { createApiClient } from "@neondatabase/api-client";

const client = createApiClient({ apiKey: process.env.NEON_API_KEY });
const { data } = await client.listProjects({});
console.log(data.projects[0].name);
