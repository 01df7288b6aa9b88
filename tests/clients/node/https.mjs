import { Agent, request } from "node:https";
import assert from "node:assert";

const agent = process.argv[2] === "own-agent" ? new Agent({ keepAlive: true }) : undefined;

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
    const asked = request(`https://api.openai.com${path}`, { method, headers, agent }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("end", () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(text))));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

const upload = "x".repeat(100_000);
assert.equal(await ask("POST", "/v1/echo", upload), upload);
console.log(await ask("GET", "/v1/hello"));
console.log(process.env);
agent?.destroy();
