// Takes pictures of pages as Debian's chromium shows them.
//
//     node scripts/picture.mjs ADDRESS LINK FILE=PATH=WIDTHxHEIGHT[=dark]...
//
// LINK is asked for first; empty for none.

import { writeFileSync } from "node:fs";
import { start, wait } from "../crates/stoke/tests/e2e/chromium.mjs";

const [address, link, ...shots] = process.argv.slice(2);
const { send, open, evaluate, end } = await start();
try {
  if (link) await open(address + link);
  for (const shot of shots) {
    const parts = shot.split("=");
    const scheme = parts.at(-1) === "dark" ? parts.pop() : "light";
    const [width, height] = parts.pop().split("x").map(Number);
    const [file, ...path] = parts;
    await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await open(address + path.join("="));
    await evaluate("document.fonts.ready.then(() => true)");
    await wait(300);
    const { data } = await send("Page.captureScreenshot", { format: "png" });
    writeFileSync(file, Buffer.from(data, "base64"));
    console.log(file);
  }
} finally {
  await end();
}
