import { counterNames, describe } from "./words.js";

// The policy that these requests try is that of envoy.yaml. Each attempt has a
// number in its query, by which the gateway's events find their row.
const requests = [
  { name: "Simple GET", path: "/api/hello", why: "A form could send it too, so the browser does not ask first." },
  { name: "Text POST", path: "/api/notes", options: { method: "POST", body: "a note", headers: { "content-type": "text/plain" } },
    why: "Plain text is what forms send. The browser does not ask, and the request has its effect even if nobody may read the response." },
  { name: "JSON POST", path: "/api/orders", options: { method: "POST", body: "{}", headers: { "content-type": "application/json" } },
    why: "JSON is not what forms send, so the browser asks for the header content-type. The policy does not list it." },
  { name: "PUT", path: "/api/orders/1", options: { method: "PUT", body: "x" }, why: "The browser asks for the method PUT. The policy lists it." },
  { name: "Custom header", path: "/api/hello", options: { headers: { "x-demo": "1" } }, why: "The browser asks for the header x-demo. The policy lists it." },
  { name: "With credentials", path: "/api/account", options: { credentials: "include" },
    why: "The response has to say that pages with cookies may read it. The policy allows credentials." },
  { name: "DELETE", path: "/api/orders/1", options: { method: "DELETE" }, why: "The browser asks for the method DELETE. The policy does not list it." },
  { name: "Redirect", path: "/api/redirect", why: "Both responses need CORS headers, the redirect and the one behind it." },
  { name: "401 from upstream", path: "/api/status/401", why: "An error has to carry the headers as well, or the page could not tell why it failed." },
  { name: "Preflight cached", path: "/api/orders/2", options: { method: "PUT", body: "x" }, times: 2,
    why: "The same PUT twice. The browser keeps the answer to the first preflight, and does not ask again." },
];

const $ = (selector, within = document) => within.querySelector(selector);
const status = $("#status");
const places = await get("/places").catch(() => null);
const gateway = new URLSearchParams(location.search).get("gateway") || places?.gateway || "http://localhost:10000";
const rows = requests.map(build);
const attempts = new Map(); // number of an attempt -> row
let running = false, counting = null;

$("#origin").textContent = location.origin;
$("#gateway").textContent = gateway;
for (const side of ["allowed", "disallowed"]) {
  const link = $("#" + side), url = places?.[side];
  if (url) link.href = url + "/" + location.search;
  link.append(` (${new URL(link.href).host})`);
  if (new URL(link.href).origin === location.origin) {
    link.setAttribute("aria-current", "page");
    const standing = $("#standing");
    standing.classList.add(side === "allowed" ? "yes" : "no");
    standing.textContent = side === "allowed"
      ? "The policy names this origin. It may use GET, POST and PUT, send the header x-demo, and use credentials."
      : "The policy does not name this origin. The browser keeps every response from this page.";
  }
}
$("#all").addEventListener("click", () => exclusively(async () => {
  for (const row of rows) await run(row);
  const read = rows.filter((row) => row.read).length;
  say(`Done: this page could read ${read} of ${rows.length} responses.`);
}));
watch();
count();

async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(response.statusText);
  return response.json();
}

function say(text) { status.textContent = text; }

// exclusively runs one thing at a time; a button stays focusable meanwhile.
async function exclusively(work) {
  if (running) return;
  running = true;
  for (const button of document.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  try { await work(); } finally {
    running = false;
    for (const button of document.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    count();
  }
}

function build(request) {
  const element = $("#row").content.cloneNode(true).firstElementChild;
  const row = { request, element, events: [] };
  $("h2", element).textContent = request.name;
  $(".why", element).textContent = request.why;
  const button = $(".run", element);
  button.setAttribute("aria-label", `Run: ${request.name}`);
  button.addEventListener("click", () => exclusively(async () => {
    await run(row);
    say(`${request.name}: ${$(".browser", element).textContent}`);
  }));
  $("#matrix").append(element);
  return row;
}

async function run(row) {
  const id = crypto.randomUUID();
  attempts.set(id, row);
  Object.assign(row, { events: [], read: false, readable: "" });
  row.element.dataset.state = "running";
  say(`Running: ${row.request.name}`);
  show(row, "is waiting…");
  const url = `${gateway}${row.request.path}?attempt=${id}`;
  try {
    let response;
    for (let i = 0; i < (row.request.times ?? 1); i++) response = await fetch(url, row.request.options);
    await response.text();
    row.read = true;
    row.outcome = `lets this page read the response: status ${response.status}.`;
    row.readable = [...response.headers.keys()].join(", ");
  } catch {
    row.outcome = "blocks: the script gets an error and nothing else.";
  }
  await settled(row);
  if (!row.read && !row.events.length && !(await reachable())) row.outcome = `reaches no gateway at ${gateway}.`;
  row.element.dataset.state = row.read ? "read" : "blocked";
  show(row);
}

// settled waits until the gateway's events for the row are there, or no longer
// than a moment: without a gateway there are none.
async function settled(row) {
  const complete = () => {
    const sent = row.events.filter((e) => !e.preflight);
    if (!row.read) return sent.length > 0 || row.events.some((e) => !e.passed);
    return sent.filter((e) => e.status < 300 || e.status > 399).length >= (row.request.times ?? 1);
  };
  for (let i = 0; i < 40 && !complete(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
}

// fetch fails in the same way for a block by CORS and for a dead gateway. A
// no-cors request is never blocked, and so tells the two apart.
async function reachable() {
  try { await fetch(gateway + "/", { mode: "no-cors" }); return true; } catch { return false; }
}

function step(row, name, state, says) {
  const element = $(`[data-step=${name}]`, row.element);
  element.className = state;
  $(".says", element).textContent = says;
}

function show(row, waiting) {
  const cell = (name) => $("." + name, row.element);
  cell("browser").textContent = waiting ?? row.outcome;
  cell("browser").className = "browser " + (waiting ? "" : row.read ? "yes" : "no");
  cell("readable").textContent = !waiting && row.readable ? `Headers that it may read: ${row.readable}` : "";

  const preflights = row.events.filter((e) => e.preflight), sent = row.events.filter((e) => !e.preflight);
  const refused = preflights.find((e) => !e.passed);
  if (preflights.length) step(row, "asked", refused ? "no" : "yes", refused ? "answer: no" : preflights.length === 1 && sent.length > 1 ? "once for both" : "answer: yes");
  else step(row, "asked", "", waiting ? "…" : "not needed");
  if (sent.length) step(row, "sent", "yes", sent.length === 1 ? "yes" : `${sent.length} times`);
  else step(row, "sent", waiting ? "" : "no", waiting ? "…" : "no");
  step(row, "read", waiting ? "" : row.read ? "yes" : "no", waiting ? "…" : row.read ? "yes" : "no");

  cell("filter").replaceChildren(...row.events.map(decision));
  if (!row.events.length) cell("filter").append(node("li", "", waiting ?? "sent no word of it"));
  const line = row.events.find((e) => e.line)?.line;
  cell("advice").hidden = !line;
  cell("advice").replaceChildren("The policy would allow it with this line: ", node("code", "", line));
  $("details", row.element).hidden = row.events.length === 0;
  cell("wire").replaceChildren(...row.events.map(wire));
}

function node(tag, className, text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

// decision shows what the filter made of one exchange.
function decision(event) {
  const item = node("li", event.passed ? "yes" : "no");
  item.append(
    node("span", "exchange", `${event.method} ${event.status} ${event.details}`), " ",
    node("span", "says", event.says), " ",
    node("span", "counted", event.counted && `Counted: ${event.counted}.`),
  );
  return item;
}

// wire shows an exchange as it went over the wire.
function wire(event) {
  const matters = ([name]) => /^(origin|access-control-|vary$|x-demo|sec-fetch-|content-type|location|timing-allow)/.test(name);
  return node("pre", "", [
    `> ${event.method} ${event.path.replace(/\?attempt=.*/, "")}`,
    ...event.request.filter(matters).map(([n, v]) => `> ${n}: ${v}`),
    `< ${event.status} (${event.details})`,
    ...event.response.filter(matters).map(([n, v]) => `< ${n}: ${v}`),
    `counted in ${event.counters.join(", ") || "nothing"}`,
  ].join("\n"));
}

// watch takes the gateway's events as they come.
function watch() {
  const source = new EventSource("/events");
  const connection = $("#connection");
  source.onopen = () => { connection.textContent = "The filter's decisions arrive live from the gateway."; };
  source.onerror = () => { connection.textContent = "The gateway's events are not reachable; the browser's side works all the same."; };
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    const row = attempts.get(/[?&]attempt=([0-9a-f-]+)/.exec(event.path)?.[1]);
    if (row) {
      row.events.push(describe(event, places?.allowed));
      // An event is told when its stream ends, which is behind the response.
      row.events.sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || b.preflight - a.preflight);
      if (row.element.dataset.state !== "running") show(row);
    }
    count();
  };
}

// count shows the counters, at most a few times a second.
function count() {
  counting ??= setTimeout(async () => {
    counting = null;
    const values = await get("/counters").catch(() => ({}));
    $("#counters").replaceChildren(...Object.entries(counterNames).map(([name, words]) => {
      const entry = node("div", ""), value = node("dd", "", values[`cors.${name}`] ?? 0);
      value.dataset.counter = name;
      entry.append(node("dt", "", words), value);
      return entry;
    }));
  }, 200);
}
