import { Client } from "@hubspot/api-client";

const client = new Client({ accessToken: process.env.HUBSPOT_ACCESS_TOKEN });
const owners = await client.crm.owners.ownersApi.getPage();
console.log(owners.results[0].firstName);
