// Fills in the page of `authsome login` as a person would: mistypes the key, types it again, waits for the window to
// close. Arguments: a JSON object with url, chromium, script (whether scripts run), wrong, right, fields, pictures.
import puppeteer from "puppeteer-core";

const plan = JSON.parse(process.argv[2]);
const browser = await puppeteer.launch({
  executablePath: plan.chromium,
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});
// As a program opens it: the first page of a new window. One that was navigated there may not be closed by its script.
const session = await browser.target().createCDPSession();
await session.send("Target.createTarget", { url: plan.url });
const target = await browser.waitForTarget((one) => one.url() === plan.url);
const page = await target.page();
await page.setJavaScriptEnabled(plan.script);
await page.setViewport({ width: 760, height: 640 });

const complaints = [];
page.on("console", (message) => {
  // What is refused for its form is answered 422, which the console tells.
  if (message.type() === "error" && !message.text().includes("422")) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("request", (request) => {
  if (!request.url().startsWith(new URL(plan.url).origin) && !request.url().startsWith("data:")) {
    complaints.push(`asks for ${request.url()}`);
  }
});

async function picture(name) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.screenshot({ path: `${plan.pictures}/${plan.name}-${name}-${scheme}.png`, fullPage: true });
  }
}

const text = (selector) => page.$eval(selector, (element) => element.textContent.trim());

async function send(key, expected) {
  await page.type("#field-api_key", key);
  const answered = plan.script ? page.waitForSelector(expected) : page.waitForNavigation();
  await Promise.all([answered, page.click("button.main")]);
}

// What was complained about before anybody listened comes again. A page that has not arrived cannot be reloaded.
await page.waitForSelector("button.main");
await page.reload();
const asked = await text("main");
await picture("form");
const stranger = await (await browser.createBrowserContext()).newPage();
const second = (await stranger.goto(plan.url)).status();
await stranger.close();

let shown = null;
if (plan.script) {
  await page.type("#field-api_key", plan.wrong);
  await page.click("[data-show]");
  shown = await page.$eval("#field-api_key", (input) => [input.type, input.value]);
  await page.click("[data-show]");
  await page.$eval("#field-api_key", (input) => { input.value = ""; });
}
for (const [name, value] of Object.entries(plan.fields)) await page.type(`#field-${name}`, value);
await send(plan.wrong, ".mistake");
const mistake = await text(".mistake");
const kept = await page.$$eval("input", (inputs) => inputs.map((input) => input.value));
await picture("mistake");

const closed = new Promise((resolve) => page.once("close", () => resolve(true)));
await send(plan.right, ".result");
const done = await text("h1");
const where = await page.$$eval(".hosts li", (hosts) => hosts.map((host) => host.textContent));
await picture("success");
const closes = plan.script ? await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 20000, false))]) : null;
console.log(JSON.stringify({ asked, second, shown, mistake, kept, done, where, closes, complaints }));
await browser.close();
