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

// What is to be copied has a button; without scripts it can be selected.
function copies(within) {
  if (!document.body.classList.contains("connect")) return;
  for (const code of within.querySelectorAll("td code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = language === "ru" ? "Копировать" : "Copy";
    button.addEventListener("click", () => navigator.clipboard?.writeText(code.textContent));
    code.after(" ", button);
  }
}

function drags(within) {
  for (const picture of within.querySelectorAll(".scroll")) {
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
}

// A slider says where it is, and asks when it is let go of.
function sliders(within) {
  for (const slider of within.querySelectorAll("input[type=range]")) {
    const shown = slider.parentElement.querySelector("output");
    slider.addEventListener("input", () => { shown.textContent = slider.value; });
    slider.addEventListener("change", () => { slider.form.requestSubmit(); });
  }
}

// What scripts add to parts of a page, those that come later too.
function prepare(within) {
  for (const one of [times, copies, drags, sliders]) one(within);
}

// Parts of the page as the server wrote them: those that it writes alike again stay as they are.
const content = document.querySelector("main");
const parts = (main) => [...main.children].map((part) => part.outerHTML);
let shown = parts(content);
prepare(document);

// Signed out here: on to the provider. The address is for it alone, so this page is not left in the history.
const out = document.querySelector("body.signed-out a.entrance");
if (out) location.replace(out.href);

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("input[type=search]");
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

// A page of something that goes on is looked at again when the server tells that it has changed, or after a while where it tells nothing. The
// answer is read as a document, never as markup put into this one; who has selected text or is about to type is not disturbed, and what no one
// sees does not ask.
const every = () => Number(content.dataset.live ?? 0);
let tag = "";
let due = false;
let asking = false;
let later = 0;
let next = 0;
let rested = 0;

function busy() {
  const selection = document.getSelection();
  const at = document.activeElement;
  return (selection && !selection.isCollapsed) || (at instanceof HTMLElement && at.matches("main input, main select, main textarea"));
}

function want() {
  due = true;
  clearTimeout(later);
  if (asking || document.hidden || every() === 0) return;
  const rest = rested - performance.now();
  if (busy() || rest > 0) later = setTimeout(want, Math.max(rest, busy() ? 500 : 0));
  else look();
}

function look() {
  due = false;
  asking = true;
  const begun = performance.now();
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.timeout = 20000;
  request.setRequestHeader("X-Stoke-Live", "1");
  request.setRequestHeader("Accept", "text/html");
  if (tag) request.setRequestHeader("If-None-Match", tag);
  request.onloadend = () => {
    asking = false;
    // A page that takes long to make is asked for less often.
    rested = performance.now() + 4 * (performance.now() - begun);
    if (request.status === 401) { location.reload(); return; }
    const fresh = request.status === 200 && request.response?.querySelector("main");
    if (fresh && busy()) due = true;
    else if (fresh) {
      tag = request.getResponseHeader("ETag") ?? "";
      show(fresh);
    }
    if (due) want();
    again();
  };
  request.send();
}

// Without a stream the page is looked at by the clock.
function again() {
  clearTimeout(next);
  if (every() === 0) close();
  else if (stream?.readyState !== EventSource.OPEN) next = setTimeout(want, every());
}

let stream = null;
let silence = 0;
let retry = 0;

function close() {
  stream?.close();
  stream = null;
  clearTimeout(silence);
  clearTimeout(retry);
}

// Refused, or silent because something between keeps what it is sent: tried again after a minute.
function leave() {
  close();
  again();
  retry = setTimeout(follow, 60000);
}

function heard(patience) {
  clearTimeout(silence);
  silence = setTimeout(leave, patience);
}

function follow() {
  close();
  if (document.hidden || every() === 0) return;
  again();
  if (!content.dataset.stream) return;
  stream = new EventSource(content.dataset.stream);
  heard(5000);
  stream.addEventListener("alive", () => { heard(45000); again(); });
  stream.addEventListener("look", () => { heard(45000); want(); });
  stream.addEventListener("end", () => location.reload());
  stream.onerror = () => { if (stream?.readyState === EventSource.CLOSED) leave(); else again(); };
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { close(); clearTimeout(next); return; }
  want();
  follow();
});
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => { if (event.persisted) { want(); follow(); } });

const reachable = 'a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]';

function show(fresh) {
  const written = parts(fresh);
  const isAlike = written.length === shown.length;
  written.forEach((text, place) => {
    if (isAlike && text !== shown[place]) replace(content.children[place], document.importNode(fresh.children[place], true));
  });
  if (!isAlike) {
    content.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
    prepare(content);
    toEnd();
  }
  shown = written;
  for (const name of ["live", "stream"]) {
    if (fresh.dataset[name]) content.dataset[name] = fresh.dataset[name]; else delete content.dataset[name];
  }
}

// What a reader has opened, scrolled and focused within a part is found again in the one that comes in its place.
function replace(part, fresh) {
  const within = [part, ...part.querySelectorAll(reachable)];
  const at = within.indexOf(document.activeElement);
  const to = document.activeElement?.getAttribute?.("href");
  const lines = part.querySelector(".lines");
  const atEnd = lines && lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
  const open = [...part.querySelectorAll("details")].map((details) => details.open);
  const moved = [...part.querySelectorAll(".scroll")].map((picture) => [picture.scrollLeft, picture.scrollTop]);
  part.replaceWith(fresh);
  prepare(fresh);
  fresh.querySelectorAll("details").forEach((details, place) => { details.open = open[place] ?? details.open; });
  fresh.querySelectorAll(".scroll").forEach((picture, place) => { [picture.scrollLeft, picture.scrollTop] = moved[place] ?? [0, 0]; });
  const now = fresh.querySelector(".lines");
  if (now) now.scrollTop = atEnd ? now.scrollHeight : lines?.scrollTop ?? 0;
  if (at > 0) {
    const all = [...fresh.querySelectorAll(reachable)];
    (all.find((one) => to && one.getAttribute("href") === to) ?? all[at - 1])?.focus({ preventScroll: true });
  }
}

function toEnd() {
  const log = document.querySelector(".log .lines");
  if (log) log.scrollTop = log.scrollHeight;
}

toEnd();
follow();

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
