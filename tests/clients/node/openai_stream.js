const assert = require("node:assert");
const OpenAI = require("openai");

async function main() {
  const stream = await new OpenAI().chat.completions.create({
    model: "gpt-5-mini",
    messages: [{ role: "user", content: "Hello" }],
    stream: true,
  });
  const words = [];
  for await (const event of stream) {
    words.push(event.choices[0].delta.content);
  }
  assert(words.length > 1);
  console.log(words.join(""));
  console.log(process.env);
}

main();
