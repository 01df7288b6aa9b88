import { NetlifyAPI } from "@netlify/api";

const client = new NetlifyAPI(process.env.NETLIFY_AUTH_TOKEN);
console.log((await client.getCurrentUser()).full_name);
