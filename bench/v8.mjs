// Times the built module in V8, the engine that Envoy runs it in: one request
// after the other, with a host of a few lines in place of Envoy's. Needs Node.js.
//
//   node bench/v8.mjs dist/cors.wasm
//
// Figures are nanoseconds per request, the median of several rounds, and include
// what little the host does in JavaScript. Each case is checked before it is timed.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const policy = {
  allow_origins: ["https://shop.example.com", "https://*.example.org"],
  allow_methods: ["PUT", "DELETE"],
  allow_headers: ["content-type", "x-request-id"],
  expose_headers: ["x-total-count"],
  allow_credentials: true,
  max_age: 600,
};
const upstream = [
  [":status", "200"], ["content-type", "application/json"], ["content-length", "512"],
  ["date", "Mon, 23 Nov 2026 12:00:00 GMT"], ["server", "envoy"], ["cache-control", "no-store"],
  ["x-request-id", "0af7651916cd43dd8448eb211c80319c"], ["x-envoy-upstream-service-time", "3"],
];
const browser = [
  [":authority", "api.example.com"], [":path", "/v1/orders"], [":method", "GET"], [":scheme", "https"],
  ["user-agent", "Mozilla/5.0"], ["accept", "*/*"], ["accept-language", "en"], ["cookie", "session=0123456789abcdef"],
];
const cases = {
  "no origin": { request: browser, status: 0, allowed: undefined },
  "cross-origin": { request: [...browser, ["origin", "https://shop.example.com"]], status: 0, allowed: "https://shop.example.com" },
  preflight: {
    request: [
      ...browser.map(([n, v]) => (n === ":method" ? [n, "OPTIONS"] : [n, v])), ["origin", "https://shop.example.com"],
      ["access-control-request-method", "PUT"], ["access-control-request-headers", "content-type,x-request-id"],
    ],
    status: 204, allowed: "https://shop.example.com",
  },
  denied: { request: [...browser, ["origin", "https://evil.example"]], status: 0, allowed: undefined },
};

const encoder = new TextEncoder();
const bytes = (pairs) => new Map(pairs.map(([n, v]) => [n, encoder.encode(v)]));
let exports, view, memory, request, requestBytes, replied, checking = false, changes = [], nextMetric = 0, hostCalls = 0;
const refresh = () => { if (memory?.buffer !== exports.memory.buffer) { memory = Buffer.from(exports.memory.buffer); view = new DataView(exports.memory.buffer); } };
const text = (at, size) => memory.latin1Slice(at, at + size);
const give = (data, atPtr, sizePtr) => {
  let at = 0;
  if (data.length) { at = exports.proxy_on_memory_allocate(data.length); refresh(); memory.set(data, at); }
  view.setUint32(atPtr, at, true); view.setUint32(sizePtr, data.length, true);
  return 0;
};
const serialize = (map) => {
  let size = 4;
  for (const [n, v] of map) size += 8 + n.length + v.length + 2;
  const out = new Uint8Array(size), d = new DataView(out.buffer);
  d.setUint32(0, map.size, true);
  let sizes = 4, at = 4 + 8 * map.size;
  for (const [n, v] of map) {
    d.setUint32(sizes, n.length, true); d.setUint32(sizes + 4, v.length, true); sizes += 8;
    encoder.encodeInto(n, out.subarray(at)); at += n.length + 1;
    out.set(v, at); at += v.length + 1;
  }
  return out;
};
// What the guest changes is noted while a case is checked, and else dropped.
const change = (key, keySize, value, valueSize) => {
  if (checking) changes.push([text(key, keySize), text(value, valueSize)]);
  return 0;
};
const counted = (functions) => Object.fromEntries(Object.entries(functions).map(([n, f]) => [n, (...a) => { hostCalls++; refresh(); return f(...a); }]));
const configuration = encoder.encode(JSON.stringify(policy));
const env = counted({
  proxy_log: (level, at, size) => { if (level >= 4) throw new Error(text(at, size)); return 0; },
  proxy_get_log_level: (at) => { view.setUint32(at, 2, true); return 0; },
  proxy_get_buffer_bytes: (buffer, start, max, at, size) => give(configuration, at, size),
  proxy_get_header_map_value: (map, key, keySize, at, size) => {
    const value = request.get(text(key, keySize));
    return value === undefined ? 1 : give(value, at, size);
  },
  // Envoy copies its headers into the guest in one go, and so does this: building
  // the same bytes in JavaScript for each request would be most of what is timed.
  proxy_get_header_map_pairs: (map, at, size) => give(map === 0 ? requestBytes : outgoingBytes, at, size),
  proxy_replace_header_map_value: (map, key, keySize, value, valueSize) => change(key, keySize, value, valueSize),
  proxy_add_header_map_value: (map, key, keySize, value, valueSize) => change(key, keySize, value, valueSize),
  proxy_remove_header_map_value: (map, key, keySize) => change(key, keySize, 0, 0),
  proxy_send_local_response: (status, details, detailsSize, body, bodySize, headers, headersSize) => {
    replied = status;
    if (!checking) return 0;
    const n = view.getUint32(headers, true);
    let at = headers + 4 + 8 * n;
    for (let i = 0; i < n; i++) {
      const nameSize = view.getUint32(headers + 4 + 8 * i, true), valueSize = view.getUint32(headers + 8 + 8 * i, true);
      change(at, nameSize, at + nameSize + 1, valueSize);
      at += nameSize + valueSize + 2;
    }
    return 0;
  },
  proxy_define_metric: (kind, name, size, at) => { view.setUint32(at, nextMetric++, true); return 0; },
  proxy_increment_metric: () => 0,
});

const wasi = new WASI({ version: "preview1", env: { GOGC: "off" } });
const module = await WebAssembly.compile(readFileSync(process.argv[2] ?? "dist/cors.wasm"));
const instance = await WebAssembly.instantiate(module, { env, wasi_snapshot_preview1: wasi.wasiImport });
exports = instance.exports;
wasi.initialize(instance);
refresh();
exports.proxy_on_vm_start(1, 0);
exports.proxy_on_context_create(1, 0);
if (!exports.proxy_on_configure(1, configuration.length)) throw new Error("the module refused the policy");

const outgoingBytes = serialize(bytes(upstream));
let id = 1;
const run = (incoming) => {
  request = incoming; replied = 0;
  exports.proxy_on_context_create(++id, 1);
  exports.proxy_on_request_headers(id, request.size, 1);
  exports.proxy_on_response_headers(id, upstream.length, 1);
  exports.proxy_on_delete(id);
};
const pages = () => exports.memory.buffer.byteLength / 65536;
for (const [name, c] of Object.entries(cases)) {
  const incoming = bytes(c.request);
  requestBytes = serialize(incoming);
  checking = true; changes = [];
  run(incoming);
  checking = false;
  const allowed = changes.find(([n]) => n === "access-control-allow-origin")?.[1];
  if (replied !== c.status || allowed !== c.allowed) throw new Error(`${name}: wrong outcome: ${replied} ${allowed}`);
  const before = hostCalls;
  run(incoming);
  const calls = hostCalls - before, rounds = [], n = 50_000;
  for (let r = 0; r < 9; r++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < n; i++) run(incoming);
    rounds.push(Number(process.hrtime.bigint() - start) / n);
  }
  rounds.sort((a, b) => a - b);
  console.log(`${name.padEnd(13)} ${rounds[4].toFixed(0).padStart(6)} ns  ${calls} host calls  ${pages()} pages`);
}
