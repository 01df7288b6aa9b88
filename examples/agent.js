// An agent that knows nothing of authsome: npm install openai, then: authsome run -- node examples/agent.js
const OpenAI = require("openai");

async function main() {
  const client = new OpenAI();
  const completion = await client.chat.completions.create({
    model: "gpt-5-mini",
    messages: [{ role: "user", content: "Say hello in four words." }],
  });
  console.log(completion.choices[0].message.content);
}

main();
