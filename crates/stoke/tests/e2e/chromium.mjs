// Debian's chromium, driven by the protocol of its own developer tools.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const wait = (millis) => new Promise((done) => setTimeout(done, millis));

/** Starts a browser with one page. */
export async function start() {
  const profile = mkdtempSync(join(tmpdir(), "pages-"));
  const browser = spawn("chromium", ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--remote-debugging-port=0",
    "--disable-background-networking", "--disable-component-update", `--user-data-dir=${profile}`, "about:blank"], { stdio: "ignore" });
  const told = join(profile, "DevToolsActivePort");
  for (let tries = 0; !existsSync(told) || !readFileSync(told, "utf8").includes("\n"); tries++) {
    if (tries > 300) throw new Error("the browser did not start");
    await wait(100);
  }
  const port = readFileSync(told, "utf8").split("\n")[0];
  const targets = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  const socket = new WebSocket(targets.find((target) => target.type === "page").webSocketDebuggerUrl);
  await new Promise((done, failed) => { socket.onopen = done; socket.onerror = failed; });

  let next = 1;
  const waiting = new Map();
  const listeners = new Set();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    const asked = waiting.get(message.id);
    waiting.delete(message.id);
    if (asked) message.error ? asked.failed(new Error(message.error.message)) : asked.done(message.result);
    for (const listen of [...listeners]) listen(message);
  };

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

  async function open(url) {
    const loaded = new Promise((done) => {
      const listen = (message) => {
        if (message.method === "Page.loadEventFired") { listeners.delete(listen); done(); }
      };
      listeners.add(listen);
    });
    const answer = await send("Page.navigate", { url });
    if (answer.errorText) throw new Error(`${url}: ${answer.errorText}`);
    await loaded;
  }

  async function end() {
    socket.close();
    browser.kill();
    await wait(300);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  for (const domain of ["Page", "Runtime", "Log", "Network"]) await send(`${domain}.enable`);
  return { send, evaluate, open, end, listen: (listen) => listeners.add(listen) };
}

/** What a page says on its console, and what it asks of others than its own server. */
export function complaints(message, address) {
  const { method, params } = message;
  switch (method) {
    case "Runtime.exceptionThrown": return params.exceptionDetails.text;
    case "Runtime.consoleAPICalled": return ["error", "warning"].includes(params.type) ? `console: ${JSON.stringify(params.args).slice(0, 300)}` : undefined;
    case "Log.entryAdded": return ["error", "warning"].includes(params.entry.level) ? `${params.entry.text} ${params.entry.url ?? ""}` : undefined;
    case "Network.requestWillBeSent": {
      const foreign = /^(https?|wss?):/.test(params.request.url) && !params.request.url.startsWith(`${address}/`);
      return foreign ? `asks ${params.request.url}` : undefined;
    }
  }
  return undefined;
}
