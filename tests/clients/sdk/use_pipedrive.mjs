import { Configuration, DealsApi } from "pipedrive/v2";

const deals = new DealsApi(new Configuration({ apiKey: process.env.PIPEDRIVE_API_TOKEN }));
console.log((await deals.getDeals()).data[0].title);
