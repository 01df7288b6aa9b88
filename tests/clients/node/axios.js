const assert = require("node:assert");
const axios = require("axios");

async function main() {
  const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
  const client = axios.create({ baseURL: "https://api.openai.com", headers });
  const upload = "x".repeat(100_000);
  assert.equal((await client.post("/v1/echo", upload)).data, upload);
  console.log((await client.get("/v1/hello")).data);
  console.log(process.env);
}

main();
