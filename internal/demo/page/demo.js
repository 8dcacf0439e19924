import { counterNames, describe } from "./words.js";

// What the page tries. What becomes of it is not written here: the gateway says
// which policy is in effect, and the sentences about it follow from that. Each
// attempt has a number in its query, by which the gateway's events find their row.
const requests = [
  { name: "Simple GET", path: "/api/hello", about: "A form could send it too, so there is no preflight." },
  { name: "Text POST", path: "/api/notes", options: { method: "POST", body: "a note", headers: { "content-type": "text/plain" } },
    about: "Plain text is what forms send. There is no preflight, and the request has its effect even if nobody may read the response." },
  { name: "JSON POST", path: "/api/orders", options: { method: "POST", body: "{}", headers: { "content-type": "application/json" } },
    about: "JSON is not what forms send, so a preflight names the header content-type." },
  { name: "PUT", path: "/api/orders/1", options: { method: "PUT", body: "x" }, about: "A preflight names the method PUT." },
  { name: "Custom header", path: "/api/hello", options: { headers: { "x-demo": "1" } }, about: "A preflight names the header x-demo." },
  { name: "With credentials", path: "/api/account", options: { credentials: "include" },
    about: "The response must say that pages may read it with cookies." },
  { name: "DELETE", path: "/api/orders/1", options: { method: "DELETE" }, about: "A preflight names the method DELETE." },
  { name: "Redirect", path: "/api/redirect", about: "Both responses need CORS headers: the redirect's and its target's." },
  { name: "401 from upstream", path: "/api/status/401", about: "Errors need the headers too, or the page cannot tell why a request failed." },
  { name: "Preflight cached", path: "/api/orders/2", options: { method: "PUT", body: "x" }, times: 2,
    about: "The same PUT twice. The browser keeps the answer to the first preflight for as long as the policy says." },
];

const $ = (selector, within = document) => within.querySelector(selector);
const status = $("#status");
const places = await get("/places").catch(() => null);
const gateway = new URLSearchParams(location.search).get("gateway") || places?.gateway || "http://localhost:10000";
const policy = await ask(requests).catch(() => null);
const rows = requests.map(build);
const attempts = new Map(); // number of an attempt -> row
let running = false, counting = null, settling = null;

introduce();
$("#all").addEventListener("click", () => exclusively(async () => {
  for (const row of rows) await run(row);
  const read = rows.filter((row) => row.read).length;
  say(`Done: this page could read ${read} of ${rows.length} responses.`);
}));
watch();
count();

// introduce says where the page stands under the policy in effect.
function introduce() {
  $("#origin").textContent = location.origin;
  $("#gateway").textContent = gateway;
  for (const page of policy?.pages ?? []) {
    const here = new URL(page.url).origin === location.origin;
    const link = node("a", "", `the page at ${new URL(page.url).host}, ${page.standing}`);
    link.href = page.url + "/" + location.search;
    if (here) link.setAttribute("aria-current", "page");
    $("#pages").append(link);
  }
  $("#policy").hidden = !policy;
  $("#standing").hidden = !policy;
  if (!policy) return;
  $("#standing").textContent = policy.says;
  $("#standing").classList.add(policy.allowed ? "yes" : "no");
  $("#policy pre").textContent = policy.text;
}

// ask asks what the policy in effect says of this page and its requests.
async function ask(requests) {
  const questions = requests.map(({ path, options = {} }) => ({
    method: options.method ?? "GET", path,
    headers: Object.entries(options.headers ?? {}), credentials: options.credentials === "include",
  }));
  const response = await fetch("/policy", { method: "POST", body: JSON.stringify({ origin: location.origin, requests: questions }) });
  if (!response.ok) throw new Error(response.statusText);
  return response.json();
}

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
    advise();
  }
}

function build(request, index) {
  const element = $("#row").content.cloneNode(true).firstElementChild;
  const row = { request, element, events: [], answer: policy?.answers[index] };
  $("h2", element).textContent = request.name;
  $(".why", element).textContent = [request.about, row.answer?.says].filter(Boolean).join(" ");
  // There is room beside each other on a wide screen, and none on a phone.
  $(".more", element).open = matchMedia("(min-width: 58rem)").matches;
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
  Object.assign(row, { events: [], done: false, read: false, readable: [] });
  row.element.dataset.state = "running";
  say(`Running: ${row.request.name}`);
  show(row, "…");
  const url = `${gateway}${row.request.path}?attempt=${id}`;
  try {
    let response;
    for (let i = 0; i < (row.request.times ?? 1); i++) response = await fetch(url, row.request.options);
    await response.text();
    row.read = true;
    row.outcome = `This page reads the response: status ${response.status}.`;
    row.readable = [...response.headers.keys()];
  } catch {
    row.outcome = "Blocked: the script gets an error and nothing else. The browser's console has the reason.";
  }
  await settled(row);
  if (!row.read && !row.events.length && !(await reachable())) row.outcome = `There is no gateway at ${gateway}.`;
  row.done = true;
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
  cell("readable").replaceChildren();
  if (!waiting && row.readable.length) {
    cell("readable").append("Headers that it may read: ");
    row.readable.forEach((name, i) => cell("readable").append(i ? ", " : "", node("code", "", name)));
  }

  const preflights = row.events.filter((e) => e.preflight), sent = row.events.filter((e) => !e.preflight);
  const refused = preflights.find((e) => !e.passed);
  if (preflights.length) step(row, "preflight", refused ? "no" : "yes", refused ? "denied" : preflights.length === 1 && sent.length > 1 ? "once for both" : "allowed");
  else step(row, "preflight", "", waiting ?? "not needed");
  if (sent.length) step(row, "sent", "yes", sent.length === 1 ? "yes" : `${sent.length} times`);
  else step(row, "sent", waiting ? "" : "no", waiting ?? "no");
  step(row, "read", waiting ? "" : row.read ? "yes" : "no", waiting ?? (row.read ? "yes" : "no"));

  cell("filter").replaceChildren(...row.events.map(decision));
  if (!row.events.length) cell("filter").append(node("li", "", waiting ?? "did not see it"));
  cell("headers").hidden = row.events.length === 0;
  cell("wire").replaceChildren(...row.events.map(wire));
}

// advise says each remedy once, with the requests that it is for. One request
// may need several lines; they stand together.
function advise() {
  const remedies = new Map();
  for (const row of rows) {
    const lines = row.answer?.lines ?? [];
    if (!row.done || row.read || !lines.length) continue;
    const key = JSON.stringify(lines);
    remedies.set(key, [...(remedies.get(key) ?? []), row.request.name]);
  }
  $("#remedies").hidden = remedies.size === 0;
  $("#remedies ul").replaceChildren(...[...remedies].map(([key, names]) => {
    const item = node("li", "");
    for (const line of JSON.parse(key)) item.append(node("code", "line", line));
    item.append(node("span", "for", `lets it read: ${names.join(", ")}`));
    return item;
  }));
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
  const matters = ([name]) => /^(origin|access-control-|vary$|x-demo|x-cors-|sec-fetch-|content-type|location|timing-allow)/.test(name);
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
  source.onerror = () => { connection.textContent = "The gateway's events cannot be reached; the browser's part still works."; };
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    const row = attempts.get(/[?&]attempt=([0-9a-f-]+)/.exec(event.path)?.[1]);
    if (row) {
      row.events.push(describe(event));
      // An event is told when its stream ends, which is behind the response.
      row.events.sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || b.preflight - a.preflight);
      if (row.element.dataset.state !== "running") show(row);
    }
    count();
  };
}

// count shows the counters, at most a few times a second, and once more when the
// filter, which hands them over once a second, has told them all.
function count() {
  counting ??= setTimeout(() => { counting = null; showCounters(); }, 200);
  clearTimeout(settling);
  settling = setTimeout(showCounters, 1300);
}

async function showCounters() {
  const values = await get("/counters").catch(() => ({}));
  const value = (name) => Object.entries(values).find(([key]) => key.endsWith("." + name) && !key.endsWith(".shadow." + name))?.[1] ?? 0;
  $("#counters").replaceChildren(...Object.entries(counterNames).map(([name, words]) => {
    const entry = node("div", ""), number = node("dd", "", value(name));
    number.dataset.counter = name;
    entry.append(node("dt", "", words), number);
    return entry;
  }));
}
