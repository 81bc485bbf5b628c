// Follows a page in a real browser, and says what it sees as it does, a line of JSON each.
//
//     node follow.mjs ADDRESS LINK PATH
//
// It reads what to do from its input, a line each: `seen TEXT` waits until the page has this text and says how long that took, counted from the
// line; `requests MILLIS` counts what the page asks within that time; `hide` and `show` are what a browser tells a page whose tab is not seen;
// `refuse` keeps its streams from the server, and opens it again; `end`.

import { createInterface } from "node:readline";
import { complaints, start, wait } from "./chromium.mjs";

const [address, link, path] = process.argv.slice(2);
const { send, evaluate, open, end, listen } = await start();
const said = [];
let asked = [];
let refusing = false;
listen((message) => {
  const problem = complaints(message, address);
  // A stream that is refused is told on the console, which is what is wanted then.
  if (problem && !refusing) said.push(problem);
  if (message.method === "Network.requestWillBeSent") asked.push(message.params.request.url.slice(address.length));
});

const say = (what) => console.log(JSON.stringify(what));
const visible = (hidden) => `Object.defineProperty(document, "hidden", { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event("visibilitychange"))`;

try {
  await open(address + link);
  await open(address + path);
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...rest] = line.split(" ");
    const text = rest.join(" ");
    if (command === "end") break;
    if (command === "seen") {
      const begun = performance.now();
      const has = `document.querySelector("main").textContent.includes(${JSON.stringify(text)})`;
      while (!(await evaluate(has)) && performance.now() - begun < 20000) await wait(15);
      say({ seen: await evaluate(has), millis: Math.round(performance.now() - begun) });
    } else if (command === "requests") {
      asked = [];
      await wait(Number(text));
      say({ requests: asked });
    } else if (command === "hide" || command === "show") {
      await evaluate(visible(command === "hide"));
      say({ done: command });
    } else if (command === "refuse") {
      refusing = true;
      await send("Network.setBlockedURLs", { urls: ["*/live?*"] });
      await open(address + path);
      say({ done: command });
    }
  }
  say({ problems: said });
} finally {
  await end();
}
