// Looks at pages in a real browser as people do who need more than eyes and a mouse, and prints what is wrong, as JSON.
//
//     node browser.mjs AXE_MIN_JS ADDRESS [--open PATH] PATH...
//
// Each page, light and dark: axe-core finds nothing serious or critical, the console says nothing, no request leaves the server. Then by
// keyboard alone: Tab reaches everything that can be used. Then on a phone: the page does not scroll sideways. `--open` is asked for first: the
// link that lets in. axe-core is evaluated through the browser's own tools, past the page's policy.

import { readFileSync } from "node:fs";
import { complaints, start } from "./chromium.mjs";

const [axePath, address, ...rest] = process.argv.slice(2);
const link = rest[0] === "--open" ? rest.splice(0, 2)[1] : "";
const paths = rest;
const axe = readFileSync(axePath, "utf8");
const problems = [];
const { send, evaluate, open, end, listen } = await start();

const usable = `[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')].filter((one) => {
  const closed = one.closest("details:not([open])");
  return (!closed || one.tagName === "SUMMARY") && one.getClientRects().length > 0;
})`;

/** Everything that can be used is reached by Tab, and is seen to be. */
async function keyboard(path) {
  // What goes on is held while it is walked over.
  await evaluate(`delete document.querySelector("main").dataset.live`);
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
  let page = "";
  listen((message) => {
    const problem = complaints(message, address);
    if (problem) problems.push(`${page}: ${problem}`);
  });
  if (link) await open(address + link);
  let looked = 0;
  let keys = 0;
  for (const path of paths) {
    page = path;
    for (const scheme of ["light", "dark"]) {
      await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
      await send("Emulation.setDeviceMetricsOverride", { width: 1280, height: 900, deviceScaleFactor: 1, mobile: false });
      await open(address + path);
      await evaluate(`${axe}; void 0`);
      const found = await evaluate(`axe.run(document, { resultTypes: ["violations"] }).then((all) => all.violations
        .filter((one) => ["serious", "critical"].includes(one.impact))
        .map((one) => one.id + ": " + one.help + " (" + one.nodes.length + "): " + one.nodes[0].html.slice(0, 160) + " " + (one.nodes[0].any[0]?.message ?? "")))`);
      problems.push(...found.map((one) => `${path} ${scheme}: ${one}`));
      looked++;
    }
    keys += await keyboard(path);
    await send("Emulation.setDeviceMetricsOverride", { width: 390, height: 844, deviceScaleFactor: 2, mobile: true });
    await open(address + path);
    const [wide, room] = await evaluate("[document.scrollingElement.scrollWidth, window.innerWidth]");
    if (wide > Math.max(room, 390) || room > 390) problems.push(`${path}: on a phone it is ${wide} wide`);
  }
  console.log(JSON.stringify({ pages: paths.length, looked, keys, problems }));
} finally {
  await end();
}
process.exit(problems.length === 0 ? 0 : 1);
