import postmark from "postmark";

const client = new postmark.ServerClient(process.env.POSTMARK_SERVER_TOKEN);
console.log((await client.getServer()).Name);
