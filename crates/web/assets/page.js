// What pages do besides being read: times in the visitor's zone, a key for the search, rows by keys, the picture of a plan moved by hand.
// Everything is on the page without it.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const language = document.documentElement.lang;
const when = new Intl.DateTimeFormat(language, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
});

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) continue;
  time.title = `${time.textContent} · ${zone}`;
  time.textContent = when.format(moment);
}

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
