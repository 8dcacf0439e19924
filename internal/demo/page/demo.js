"use strict";

const gateway = new URLSearchParams(location.search).get("gateway") || "http://localhost:10000";

// The policy that these requests try is that of envoy.yaml. It allows the page on
// port 8000; from every other origin the browser blocks all of them.
const requests = [
  { title: "GET", path: "/api/hello", options: {},
    why: "A simple request: no preflight. Whether this page may read the answer is decided by its headers." },
  { title: "PUT", path: "/api/item", options: { method: "PUT", body: "{}" },
    why: "PUT is not safelisted: the browser asks first, with a preflight. The policy lists PUT." },
  { title: "GET with x-demo", path: "/api/hello", options: { headers: { "x-demo": "1" } },
    why: "A header of one's own needs a preflight too. The policy lists x-demo." },
  { title: "DELETE", path: "/api/item", options: { method: "DELETE" },
    why: "The policy does not list DELETE: the preflight is answered, and the browser stops here." },
];

const list = document.getElementById("requests");
document.getElementById("origin").textContent = location.origin;
document.getElementById("gateway").textContent = gateway;

const senders = requests.map(show);
document.getElementById("all").addEventListener("click", async () => {
  for (const send of senders) await send();
});

function show(request) {
  const item = document.createElement("li");
  item.innerHTML = `
    <div class="row"><div><strong></strong><span class="why"></span></div><button type="button">Send</button></div>
    <output aria-live="polite"></output><pre hidden></pre>`;
  item.querySelector("strong").textContent = request.title + " " + request.path;
  item.querySelector(".why").textContent = request.why;
  const button = item.querySelector("button");
  button.setAttribute("aria-label", "Send " + request.title);
  const send = () => run(request, item.querySelector("output"), item.querySelector("pre"));
  button.addEventListener("click", send);
  list.append(item);
  return send;
}

async function run(request, outcome, body) {
  outcome.className = "";
  outcome.textContent = "…";
  body.hidden = true;
  try {
    const response = await fetch(gateway + request.path, request.options);
    outcome.className = "allowed";
    outcome.textContent = `allowed: this page read the answer, status ${response.status}`;
    body.textContent = await response.text();
    body.hidden = false;
  } catch (error) {
    outcome.className = "blocked";
    outcome.textContent = (await reachable())
      ? "blocked: the browser keeps the answer from this page"
      : `no answer: nothing listens on ${gateway}`;
  }
}

// fetch says "TypeError" for a block by CORS and for a dead gateway alike. A
// no-cors request is never blocked, and so tells the two apart.
async function reachable() {
  try {
    await fetch(gateway + "/", { mode: "no-cors" });
    return true;
  } catch (error) {
    return false;
  }
}
