import assert from "node:assert";

const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
const upload = "x".repeat(100_000);
const echo = await fetch("https://api.openai.com/v1/echo", { method: "POST", headers, body: upload });
assert.equal(await echo.text(), upload);
const answer = await fetch("https://api.openai.com/v1/hello", { headers });
assert(answer.ok);
console.log(await answer.text());
console.log(process.env);
