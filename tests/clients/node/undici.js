const assert = require("node:assert");
const { Agent, fetch, request } = require("undici");

async function main() {
  const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
  const dispatcher = new Agent();
  const upload = "x".repeat(100_000);
  const options = { method: "POST", headers, body: upload, dispatcher };
  const echo = await request("https://api.openai.com/v1/echo", options);
  assert.equal(await echo.body.text(), upload);
  console.log(await (await fetch("https://api.openai.com/v1/hello", { headers })).text());
  console.log(process.env);
  await dispatcher.close();
}

main();
