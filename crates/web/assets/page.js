// What pages do besides being read: times in the visitor's zone, a key for the search, rows by keys, the picture of a plan moved by hand.
// Everything is on the page without it.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const language = document.documentElement.lang;
const when = new Intl.DateTimeFormat(language, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
});

function times(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = `${time.textContent} · ${zone}`;
    time.textContent = when.format(moment);
  }
}
times(document);

const search = document.querySelector("input[type=search]");

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && search) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll("tbody tr td a:first-of-type, tbody tr th a:first-of-type")];
    if (links.length === 0) return;
    const at = links.indexOf(document.activeElement);
    const next = event.key === "j" ? at + 1 : at - 1;
    links[Math.max(0, Math.min(links.length - 1, next))].focus();
  }
});

for (const picture of document.querySelectorAll(".scroll")) {
  let held = null;
  picture.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    held = { x: event.clientX, y: event.clientY, left: picture.scrollLeft, top: picture.scrollTop };
  });
  picture.addEventListener("pointermove", (event) => {
    if (!held) return;
    picture.scrollLeft = held.left - (event.clientX - held.x);
    picture.scrollTop = held.top - (event.clientY - held.y);
  });
  for (const end of ["pointerup", "pointerleave"]) picture.addEventListener(end, () => { held = null; });
}

// A slider says where it is, and asks when it is let go of.
for (const slider of document.querySelectorAll("input[type=range]")) {
  const shown = slider.parentElement.querySelector("output");
  slider.addEventListener("input", () => { shown.textContent = slider.value; });
  slider.addEventListener("change", () => { slider.form.requestSubmit(); });
}

// A page of something that goes on is asked for again, and what is on it replaced when it has changed. The answer is read as a document, never as
// markup put into this one; who has selected text or is about to type is not disturbed.
const live = () => Number(document.querySelector("main[data-live]")?.dataset.live ?? 0);
let tag = "";

function busy() {
  const selection = document.getSelection();
  const at = document.activeElement;
  return document.hidden || (selection && !selection.isCollapsed) || (at instanceof HTMLElement && at.matches("main input, main select, main textarea"));
}

function again() {
  const every = live();
  if (every > 0) setTimeout(busy() ? again : look, every);
}

function look() {
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.timeout = 20000;
  request.setRequestHeader("X-Stoke-Live", "1");
  request.setRequestHeader("Accept", "text/html");
  if (tag) request.setRequestHeader("If-None-Match", tag);
  request.onloadend = () => {
    if (request.status === 401) { location.reload(); return; }
    const fresh = request.status === 200 && request.response?.querySelector("main");
    if (fresh && !busy()) {
      tag = request.getResponseHeader("ETag") ?? "";
      show(fresh);
    }
    again();
  };
  request.send();
}

function show(fresh) {
  const main = document.querySelector("main");
  const focused = document.activeElement?.getAttribute?.("href");
  const lines = main.querySelector(".log .lines");
  const atEnd = lines && lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
  const top = lines?.scrollTop ?? 0;
  const open = [...main.querySelectorAll("details")].map((details) => details.open);
  main.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  if (fresh.dataset.live) main.dataset.live = fresh.dataset.live; else delete main.dataset.live;
  main.querySelectorAll("details").forEach((details, place) => { details.open = open[place] ?? details.open; });
  times(main);
  const now = main.querySelector(".log .lines");
  if (now) now.scrollTop = atEnd ? now.scrollHeight : top;
  if (focused) [...main.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === focused)?.focus();
}

const log = document.querySelector(".log .lines");
if (log) log.scrollTop = log.scrollHeight;
again();

// A manifest is dropped onto the field it is pasted into.
for (const area of document.querySelectorAll("textarea")) {
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", async (event) => {
    const file = event.dataTransfer?.files?.[0];
    if (!file) return;
    event.preventDefault();
    area.value = await file.text();
  });
}

// What is to be copied has a button; without scripts it can be selected.
for (const code of document.querySelectorAll("body.connect td code")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = language === "ru" ? "Копировать" : "Copy";
  button.addEventListener("click", () => navigator.clipboard?.writeText(code.textContent));
  code.after(" ", button);
}
