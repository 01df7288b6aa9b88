import Airtable from "airtable";

const base = new Airtable({ apiKey: process.env.AIRTABLE_API_KEY }).base("app1");
console.log((await base("Table").find("rec1")).get("Name"));
