if (typeof fetch !== "function") process.exit(77);
for (const [name, value] of Object.entries(process.env)) console.log(`${name}=${value}`);
const headers = { authorization: `Bearer ${process.env.DEMO_API_KEY}` };
fetch(process.argv[1], { headers, signal: AbortSignal.timeout(10000) }).then(async (response) => {
  console.log(await response.text());
  if (!response.ok) process.exitCode = 1;
});
