// Looks at pages in a real browser as people do who need more than eyes and a mouse, and prints what is wrong, a line each.
//
//     node browser.mjs AXE_MIN_JS ADDRESS PATH...
//
// Each page, light and dark: axe-core finds nothing serious or critical, the console says nothing, no request leaves the server. Then by
// keyboard alone: Tab reaches everything that can be used. Then on a phone: the page does not scroll sideways. The browser is driven by the
// protocol of its own developer tools; axe-core is evaluated through it, past the page's policy.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, existsSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [axePath, address, ...paths] = process.argv.slice(2);
const axe = readFileSync(axePath, "utf8");
const profile = mkdtempSync(join(tmpdir(), "pages-"));
const browser = spawn("chromium", ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
  "--disable-background-networking", "--disable-component-update", `--user-data-dir=${profile}`, "about:blank"], { stdio: "ignore" });
const wait = (millis) => new Promise((done) => setTimeout(done, millis));
const problems = [];

async function connect() {
  const told = join(profile, "DevToolsActivePort");
  for (let tries = 0; !existsSync(told) || !readFileSync(told, "utf8").includes("\n"); tries++) {
    if (tries > 300) throw new Error("the browser did not start");
    await wait(100);
  }
  const port = readFileSync(told, "utf8").split("\n")[0];
  const targets = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  const socket = new WebSocket(targets.find((target) => target.type === "page").webSocketDebuggerUrl);
  await new Promise((done, failed) => { socket.onopen = done; socket.onerror = failed; });
  return socket;
}

let next = 1;
const waiting = new Map();
const listeners = new Set();
let socket;

function send(method, params = {}) {
  const id = next++;
  socket.send(JSON.stringify({ id, method, params }));
  return new Promise((done, failed) => {
    waiting.set(id, { done, failed });
    setTimeout(() => failed(new Error(`${method} did not answer`)), 60000).unref();
  });
}

async function evaluate(expression) {
  const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails).slice(0, 500));
  return answer.result.value;
}

async function open(path) {
  const loaded = new Promise((done) => {
    const listen = (message) => {
      if (message.method === "Page.loadEventFired") { listeners.delete(listen); done(); }
    };
    listeners.add(listen);
  });
  await send("Page.navigate", { url: address + path });
  await loaded;
}

const usable = `[...document.querySelectorAll('a[href], button, input:not([type=hidden]), summary, [tabindex="0"]')].filter((one) => {
  const closed = one.closest("details:not([open])");
  return (!closed || one.tagName === "SUMMARY") && one.getClientRects().length > 0;
})`;

/** Everything that can be used is reached by Tab, and is seen to be. */
async function keyboard(path) {
  const count = await evaluate(`(() => { const all = ${usable}; all.forEach((one, place) => { one.dataset.place = place; }); return all.length; })()`);
  const reached = new Set();
  for (let presses = 0; presses < count + 20 && reached.size < count; presses++) {
    for (const type of ["keyDown", "keyUp"]) {
      await send("Input.dispatchKeyEvent", { type, key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 });
    }
    const place = await evaluate(`document.activeElement?.dataset?.place ?? ""`);
    if (place !== "") reached.add(place);
  }
  if (reached.size < count) {
    const missed = await evaluate(`${usable}.filter((one) => !${JSON.stringify([...reached])}.includes(one.dataset.place)).map((one) => one.outerHTML.slice(0, 120))`);
    problems.push(`${path}: Tab does not reach ${count - reached.size} of ${count}: ${missed.slice(0, 3).join(" ")}`);
  }
  return count;
}

try {
  socket = await connect();
  let page = "";
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    const asked = waiting.get(message.id);
    waiting.delete(message.id);
    if (asked) message.error ? asked.failed(new Error(message.error.message)) : asked.done(message.result);
    for (const listen of [...listeners]) listen(message);
    const { method, params } = message;
    if (method === "Runtime.exceptionThrown") problems.push(`${page}: ${params.exceptionDetails.text}`);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning"].includes(params.type)) problems.push(`${page}: console: ${JSON.stringify(params.args).slice(0, 300)}`);
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) problems.push(`${page}: ${params.entry.text}`);
    if (method === "Network.requestWillBeSent" && /^(https?|wss?):/.test(params.request.url) && !params.request.url.startsWith(`${address}/`)) problems.push(`${page}: asks ${params.request.url}`);
  };
  for (const domain of ["Page", "Runtime", "Log", "Network"]) await send(`${domain}.enable`);
  let looked = 0;
  let keys = 0;
  for (const path of paths) {
    page = path;
    for (const scheme of ["light", "dark"]) {
      await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
      await send("Emulation.setDeviceMetricsOverride", { width: 1280, height: 900, deviceScaleFactor: 1, mobile: false });
      await open(path);
      await evaluate(`${axe}; void 0`);
      const found = await evaluate(`axe.run(document, { resultTypes: ["violations"] }).then((all) => all.violations
        .filter((one) => ["serious", "critical"].includes(one.impact))
        .map((one) => one.id + ": " + one.help + " (" + one.nodes.length + "): " + one.nodes[0].html.slice(0, 160) + " " + (one.nodes[0].any[0]?.message ?? "")))`);
      problems.push(...found.map((one) => `${path} ${scheme}: ${one}`));
      looked++;
    }
    keys += await keyboard(path);
    await send("Emulation.setDeviceMetricsOverride", { width: 390, height: 844, deviceScaleFactor: 2, mobile: true });
    await open(path);
    const [wide, room] = await evaluate("[document.scrollingElement.scrollWidth, window.innerWidth]");
    if (wide > Math.max(room, 390) || room > 390) problems.push(`${path}: on a phone it is ${wide} wide`);
  }
  console.log(JSON.stringify({ pages: paths.length, looked, keys, problems }));
} finally {
  socket?.close();
  browser.kill();
  await wait(300);
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
process.exit(problems.length === 0 ? 0 : 1);
