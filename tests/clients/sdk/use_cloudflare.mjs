import Cloudflare from "cloudflare";

const client = new Cloudflare({ apiToken: process.env.CLOUDFLARE_API_TOKEN });
console.log((await client.zones.get({ zone_id: "z1" })).name);
