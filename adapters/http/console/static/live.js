// What every live page shares. The server renders pieces of HTML and says where they go; this puts them there,
// sends forms without leaving the page, and says aloud what happened. It knows nothing of what the pieces show.

const LOGIN = "/console/login";
const LONGEST_LOG = 200_000; // characters kept of a log; the front goes first
const SURE_MS = 4_000;

const main = document.querySelector("[data-live]");
const mark = document.body.dataset.mark;
const byId = (id) => document.getElementById(id);
const sources = new WeakMap(); // part -> its HTML as the server sent it

// --- Pieces

function put({ id, into, html, order = 0 }) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  for (const part of partsOf(fresh)) sources.set(part, part.outerHTML);
  localise(fresh);
  const old = byId(id);
  if (old) merge(old, fresh);
  else {
    fresh.dataset.order = order;
    const place = byId(into);
    const after = [...place.children].find((one) => Number(one.dataset.order) < order);
    place.insertBefore(fresh, after ?? null);
  }
}

const partsOf = (piece) => [...piece.querySelectorAll("[data-part]")];

function merge(old, fresh) {
  const before = new Map(partsOf(old).map((part) => [part.dataset.part, part]));
  const now = partsOf(fresh);
  if (now.length !== before.size || now.some((part) => !before.has(part.dataset.part))) {
    replace(old, fresh);
    fresh.dataset.order = old.dataset.order;
    return;
  }
  for (const part of now) {
    const was = before.get(part.dataset.part);
    if (sources.get(was) !== sources.get(part)) replace(was, part);
  }
}

function replace(was, now) {
  const reachable = (one) => [...one.querySelectorAll("a[href], button, input:not([type=hidden]), textarea, summary, [tabindex]")];
  const focused = was.contains(document.activeElement) ? reachable(was).indexOf(document.activeElement) : null;
  const open = [...was.querySelectorAll("details")].map((one) => one.open);
  now.querySelectorAll("details").forEach((one, place) => { if (place in open) one.open = open[place]; });
  was.replaceWith(now);
  if (focused !== null) (reachable(now)[focused] ?? now.closest("[tabindex]") ?? main).focus();
}

function drop(piece) {
  const next = piece.nextElementSibling ?? piece.previousElementSibling ?? main;
  const hadFocus = piece.contains(document.activeElement);
  piece.remove();
  if (hadFocus) next.focus();
}

function append({ id, text, is_whole }) {
  const log = byId(id);
  if (!log) return;
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const whole = (is_whole ? "" : log.textContent) + text;
  if (is_whole || whole.length > LONGEST_LOG) log.textContent = whole.slice(-LONGEST_LOG).replace(/^\n/, "");
  else log.append(log.textContent ? text : text.replace(/^\n/, ""));
  if (follows) log.scrollTop = log.scrollHeight;
}

function arrange(place, ids) {
  const focused = document.activeElement;
  let next = place.firstElementChild;
  ids.forEach((id, at) => {
    const piece = byId(id);
    if (!piece) return;
    piece.dataset.order = -at;
    if (piece === next) next = next.nextElementSibling;
    else place.insertBefore(piece, next);
  });
  if (focused !== document.activeElement && place.contains(focused)) focused.focus();
}

const todo = {
  put,
  append,
  drop: ({ id }) => { const piece = byId(id); if (piece) drop(piece); },
  keep: ({ into, ids, is_ordered }) => {
    const kept = new Set(ids);
    for (const piece of [...byId(into).children]) if (!kept.has(piece.id)) drop(piece);
    if (is_ordered) arrange(byId(into), ids);
  },
};

// A click is lost where what it began on is replaced before it ends: until then what comes waits.
let held = null;
addEventListener("pointerdown", () => { held ??= []; });
for (const ended of ["pointerup", "pointercancel", "blur"]) addEventListener(ended, () => setTimeout(release));

function release() {
  const orders = held ?? [];
  held = null;
  if (orders.length) obey(orders);
}

function obey(orders) {
  if (held) {
    held.push(...orders);
    return;
  }
  for (const order of orders) todo[order.do](order);
  for (const one of document.querySelectorAll("[data-show-empty]")) one.hidden = byId(one.dataset.showEmpty).childElementCount > 0;
  for (const one of document.querySelectorAll("[data-hide-empty]")) one.hidden = byId(one.dataset.hideEmpty).childElementCount === 0;
  for (const urgent of [true, false]) {
    const words = orders.filter((order) => order.say && Boolean(order.is_urgent) === urgent).map((order) => order.say);
    if (words.length) say(words.join(". "), { urgent });
  }
}

// --- Words and times

let toastTimer;

function say(words, { urgent = false, shown = false } = {}) {
  const ear = byId(urgent ? "assertive" : "polite");
  ear.textContent = "";
  requestAnimationFrame(() => { ear.textContent = words; });
  if (!shown) return;
  const toast = byId("toast");
  toast.textContent = words;
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.hidden = true; }, 4_000);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function localise(piece) {
  for (const time of piece.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const isToday = at.toDateString() === new Date().toDateString();
    time.title = at.toLocaleString();
    if ("until" in time.dataset) count(time);
    else time.textContent = (isToday ? clock : calendar).format(at);
  }
}

function count(time) {
  const left = Math.max(0, Math.round((new Date(time.dateTime) - Date.now()) / 1_000));
  time.textContent = left < 60 ? `in ${left} s` : `in ${Math.ceil(left / 60)} min`;
}

setInterval(() => document.querySelectorAll("time[data-until]").forEach(count), 1_000);

// --- Forms

// A form is sent as JSON to a route under /api, blank fields left out. data-method says how if not by POST, and
// in data-action {NAME} is a field. data-with-NAME on the button adds one; data-said, on either, is what is said
// when it went well. data-result names the element that shows the answer, data-hides one that is done with.
async function send(form, submitter) {
  submitter?.setAttribute("aria-busy", "true");
  try {
    const fields = Object.fromEntries([...new FormData(form, submitter)].filter(([, value]) => value.trim()));
    for (const [name, value] of Object.entries(submitter?.dataset ?? {}))
      if (name.startsWith("with")) fields[name.slice(4).toLowerCase()] = value;
    const path = form.dataset.action?.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(fields[name] ?? ""));
    const method = form.dataset.method ?? "POST";
    const answer = await fetch(path ?? form.action, {
      method,
      headers: { "X-Glasshouse-Mark": mark, "Content-Type": "application/json" },
      body: method === "GET" ? null : JSON.stringify(fields),
    });
    if (answer.status === 401) return location.replace(LOGIN);
    const told = await answer.json();
    const words = submitter?.dataset.said ?? form.dataset.said ?? told.message ?? "Done";
    const refusal = told.error ?? told.message ?? "That did not work";
    say(answer.ok ? words : refusal, { urgent: !answer.ok, shown: true });
    if (answer.ok && form.dataset.hides) byId(form.dataset.hides).hidden = true;
    if (answer.ok && form.dataset.result) show(byId(form.dataset.result), told);
    if (answer.ok && "clear" in form.dataset) {
      form.reset();
      for (const area of form.querySelectorAll("[data-grow]")) grow(area);
    }
  } catch {
    say("The server cannot be reached. Nothing was sent.", { urgent: true, shown: true });
  } finally {
    submitter?.removeAttribute("aria-busy");
    asBefore(submitter);
  }
}

function show(place, told) {
  for (const one of place.querySelectorAll("[data-field]")) {
    if (one instanceof HTMLInputElement) one.value = told[one.dataset.field];
    else one.textContent = told[one.dataset.field];
  }
  place.hidden = false;
  place.focus();
}

function isSure(button) {
  if (!button?.dataset.sure || button.classList.contains("is-sure")) return true;
  button.dataset.words = button.textContent;
  button.classList.add("is-sure");
  button.textContent = button.dataset.sure;
  say(button.dataset.sure);
  setTimeout(() => asBefore(button), SURE_MS);
  return false;
}

function asBefore(button) {
  if (!button?.classList.contains("is-sure")) return;
  button.classList.remove("is-sure");
  button.textContent = button.dataset.words;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("send" in form.dataset)) return;
  event.preventDefault();
  const { submitter } = event;
  if (submitter?.getAttribute("aria-busy") !== "true" && isSure(submitter)) send(form, submitter);
});

document.addEventListener("keydown", (event) => {
  const isEnter = event.key === "Enter" && !event.shiftKey && !event.isComposing;
  if (isEnter && "enter" in event.target.dataset) {
    event.preventDefault();
    event.target.form.requestSubmit(event.target.form.querySelector("button"));
  }
});

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

document.addEventListener("input", (event) => { if ("grow" in event.target.dataset) grow(event.target); });

// --- The stream of events

let wait_ms = 1_000;

function listen() {
  const events = new EventSource(main.dataset.live);
  const state = byId("link-state");
  events.onopen = () => { state.hidden = true; wait_ms = 1_000; };
  events.onmessage = (event) => obey(JSON.parse(event.data));
  events.addEventListener("login", () => { events.close(); location.replace(LOGIN); });
  events.onerror = async () => {
    state.textContent = "Not connected: what you see may be old. Trying again …";
    state.hidden = false;
    if (events.readyState !== EventSource.CLOSED) return; // it dials again by itself
    const login = await fetch("/console/session").then((answer) => answer.json()).catch(() => ({}));
    if (login.isLoggedIn === false) return location.replace(LOGIN);
    setTimeout(listen, wait_ms);
    wait_ms = Math.min(wait_ms * 2, 15_000);
  };
}

obey([]);
listen();
