// Signs in with an identity provider in a real browser, and prints what came of it, as JSON.
//
//     node sign_in.mjs ADDRESS PROVIDER PATH USER
//
// PATH is opened without a session, and the way in that it shows is taken. The provider's own page asks for the user.

import { complaints, start, wait } from "./chromium.mjs";

const [address, provider, path, user] = process.argv.slice(2);
const { evaluate, open, end, listen } = await start();
const said = [];
const addresses = [];
listen((message) => {
  if (message.method === "Page.frameNavigated") addresses.push(message.params.frame.url);
  const problem = complaints(message, address);
  // Who has no session is told so with 401; the provider's own page is the provider's.
  if (problem && !problem.includes("401") && !problem.includes(provider) && !addresses.at(-1)?.startsWith(provider)) said.push(problem);
});

async function until(condition) {
  for (let tries = 0; tries < 400; tries++) {
    if (await evaluate(condition).catch(() => false)) return;
    await wait(50);
  }
  throw new Error(`in vain: ${condition}: ${await evaluate("location.href + document.body.innerText")}`);
}

try {
  await open(address + path);
  await evaluate(`document.querySelector("a.entrance").click()`);
  await until(`location.origin === ${JSON.stringify(provider)} && document.querySelector("input[name=sub]") !== null`);
  await evaluate(`document.querySelector("input[name=sub]").value = ${JSON.stringify(user)}; document.querySelector("input[name=sub]").form.requestSubmit()`);
  await until(`location.origin === ${JSON.stringify(address)} && document.querySelector("main") !== null`);
  console.log(JSON.stringify({
    at: (await evaluate("location.href")).slice(address.length),
    text: await evaluate("document.body.innerText"),
    cookies: await evaluate("document.cookie"),
    addresses,
    problems: said,
  }));
} finally {
  await end();
}
