// Runs modules in V8, the engine that Envoy runs them in, and prints what a request
// takes in the format of Go's benchmarks. Contests come as JSON on standard input,
// modules as NAME=PATH arguments behind the rounds, the milliseconds of a slice and
// those of the warming up. Start it as `make v8`, which asks for Node.js.
//
// The host is a few lines of JavaScript, the same for all modules, and part of every
// time: it takes names and values as strings, as a host has to, and a call of it costs
// 50 to 150 ns. Envoy's cost 100 to 300 ns, since they cross V8's C interface, and its
// code and the module's are cold between requests: what a request costs in Envoy, make
// bench tells. Time is that of the processor, which other work on the machine hardly
// changes.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const OK = 0, NOT_FOUND = 1, REQUEST = 0, PLUGIN = 1, LOG_INFO = 2, LOG_ERROR = 4;
const encoder = new TextEncoder();

// processor is the time that this process has had of the processor, in ms.
const processor = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

// serialize makes the form in which a header map crosses the ABI.
const serialize = (pairs) => {
  const texts = pairs.map((pair) => pair.map((s) => encoder.encode(s)));
  const out = new Uint8Array(texts.reduce((n, [name, value]) => n + 8 + name.length + value.length + 2, 4));
  const view = new DataView(out.buffer);
  view.setUint32(0, pairs.length, true);
  let sizes = 4, at = 4 + 8 * pairs.length;
  for (const text of texts.flat()) {
    view.setUint32(sizes, text.length, true);
    sizes += 4;
    out.set(text, at);
    at += text.length + 1;
  }
  return out;
};

// headers are what a guest may ask for: all of them, or one by its name. All are
// serialized beforehand: Envoy copies them into the guest in one go, and building
// them in JavaScript each time would be most of what is timed.
const headers = (pairs) => ({
  byName: new Map(pairs.map(([name, value]) => [name, encoder.encode(value)])), pairs: serialize(pairs), count: pairs.length,
});

// load instantiates a compiled module with a host of its own.
const load = async (path, module) => {
  let exports, memory, view, configuration, request, response, calls = 0, changes = [], status = 0, reply, id = PLUGIN;
  const counters = [];
  const refresh = () => {
    memory = Buffer.from(exports.memory.buffer);
    view = new DataView(exports.memory.buffer);
  };
  // A memory that grew has left its old buffer without length.
  const enter = () => { calls++; if (memory.length === 0) refresh(); };
  const text = (at, size) => memory.latin1Slice(at, at + size);
  const give = (data, atPtr, sizePtr) => {
    const n = data.length;
    let at = 0;
    if (n > 0) {
      at = exports.proxy_on_memory_allocate(n);
      if (memory.length === 0) refresh();
      memory.set(data, at);
    }
    view.setUint32(atPtr, at, true);
    view.setUint32(sizePtr, n, true);
    return OK;
  };
  const change = (key, keySize, value, valueSize) => {
    changes.push(text(key, keySize), text(value, valueSize));
    return OK;
  };
  const env = {
    proxy_log: (level, at, size) => { enter(); if (level >= LOG_ERROR) throw new Error(`${path}: ${text(at, size)}`); return OK; },
    proxy_get_log_level: (at) => { enter(); view.setUint32(at, LOG_INFO, true); return OK; },
    proxy_get_buffer_bytes: (buffer, start, max, at, size) => { enter(); return give(configuration, at, size); },
    proxy_get_header_map_value: (map, key, keySize, at, size) => {
      enter();
      const value = request.byName.get(text(key, keySize));
      return value === undefined ? NOT_FOUND : give(value, at, size);
    },
    proxy_get_header_map_pairs: (map, at, size) => { enter(); return give(map === REQUEST ? request.pairs : status ? reply : response.pairs, at, size); },
    proxy_replace_header_map_value: (map, key, keySize, value, size) => { enter(); return change(key, keySize, value, size); },
    proxy_add_header_map_value: (map, key, keySize, value, size) => { enter(); return change(key, keySize, value, size); },
    proxy_remove_header_map_value: (map, key, keySize) => { enter(); return change(key, keySize, 0, 0); },
    proxy_send_local_response: (code, details, detailsSize, body, bodySize, headers, size) => {
      enter();
      status = code;
      reply = memory.subarray(headers, headers + size).slice(); // comes by as a response
      const n = view.getUint32(headers, true);
      let at = headers + 4 + 8 * n;
      for (let i = 0; i < n; i++) {
        const name = view.getUint32(headers + 4 + 8 * i, true), value = view.getUint32(headers + 8 + 8 * i, true);
        change(at, name, at + name + 1, value);
        at += name + value + 2;
      }
      return OK;
    },
    proxy_define_metric: (kind, name, size, at) => { enter(); view.setUint32(at, counters.push({ name: text(name, size), value: 0 }) - 1, true); return OK; },
    proxy_increment_metric: (id, offset) => { enter(); counters[id].value += Number(offset); return OK; },
    proxy_set_tick_period_milliseconds: () => { enter(); return OK; },
    proxy_set_effective_context: () => { enter(); return OK; },
    proxy_done: () => { enter(); return OK; },
  };
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === "env") env[name] ??= () => { throw new Error(`${path} calls ${name}, which v8.mjs does not have`); };
  }
  const wasi = new WASI({ version: "preview1" });
  const instance = await WebAssembly.instantiate(module, { env, wasi_snapshot_preview1: wasi.wasiImport });
  exports = instance.exports;
  refresh();
  // TinyGo 0.33 exports _start as well, which Envoy leaves alone and Node.js refuses.
  const { _start, ...others } = exports;
  wasi.initialize({ exports: others });
  refresh();
  exports.proxy_on_vm_start?.(PLUGIN, 0);

  const { proxy_on_context_create: create, proxy_on_request_headers: onRequest, proxy_on_response_headers: onResponse, proxy_on_delete: end } = exports;
  const run = (incoming) => {
    request = incoming;
    changes = [];
    status = 0;
    create(++id, PLUGIN);
    onRequest(id, incoming.count, 1);
    onResponse(id, response.count, 1);
    end(id);
  };
  const tick = () => exports.proxy_on_tick?.(PLUGIN);
  return {
    configure: (bytes) => {
      configuration = bytes;
      create(PLUGIN, 0);
      if (!exports.proxy_on_configure(PLUGIN, bytes.length)) throw new Error(`${path} refused the policy`);
    },
    respond: (pairs) => { response = headers(pairs); },
    // check runs one request, compares all that came of it with what must, and
    // returns how often it called the host.
    check: (incoming, want) => {
      tick();
      for (const c of counters) c.value = 0;
      calls = 0;
      run(incoming);
      const during = calls, changed = changes.map((name, i) => `${name}: ${changes[i + 1]}`).filter((_, i) => i % 2 === 0);
      tick();
      const say = (status, changed, counted) => JSON.stringify({ status, changed: changed.sort(), counted: counted.sort() });
      const got = say(status, changed, counters.filter((c) => c.value).map((c) => `${c.name}=${c.value}`));
      const wanted = say(want.status, want.headers.map((h) => h.join(": ")), (want.counters ?? []).map((c) => `${c}=1`));
      if (got !== wanted) throw new Error(`${path}: wrong outcome\n  got  ${got}\n  want ${wanted}`);
      return during;
    },
    // slice runs n requests, taking the incoming ones in turn, and returns
    // nanoseconds per request. A tick is part of it.
    slice: (incoming, n) => {
      const start = processor();
      for (let i = 0, next = 0; i < n; i++) {
        run(incoming[next]);
        if (++next === incoming.length) next = 0;
      }
      tick();
      return (processor() - start) * 1e6 / n;
    },
  };
};

const [rounds, sliceMs, warmUpMs, ...modules] = process.argv.slice(1).map((a, i) => (i < 3 ? Number(a) : a));
const { response, contests } = JSON.parse(readFileSync(0));
const compiled = await Promise.all(modules.map(async (m) => {
  const [name, path] = m.includes("=") ? m.split("=") : [m, m];
  return { name, path, module: await WebAssembly.compile(readFileSync(path)) };
}));

// All modules take turns, in rounds.
for (const contest of contests) {
  const entries = [];
  for (const { name, path, module } of compiled) {
    if (name === "floor" && !contest.calls) continue;
    const guest = await load(path, module);
    guest.configure(encoder.encode(contest.configuration));
    guest.respond(response);
    const incoming = contest.exchanges.map(({ request }) => headers(request));
    guest.check(incoming[0], contest.exchanges[0].want); // not counted: one in many looks at the log level as well
    const calls = incoming.map((r, i) => guest.check(r, contest.exchanges[i].want)).sort((a, b) => a - b)[incoming.length >> 1];
    if (name === "floor" && calls !== contest.calls) throw new Error(`${path} makes ${calls} calls, not ${contest.calls}`);
    entries.push({ name, guest, incoming, calls, n: 10 });
  }
  // Warm up, in turns as well, until V8 has compiled what it will.
  for (const start = performance.now(); performance.now() - start < entries.length * warmUpMs; ) {
    for (const e of entries) e.n = Math.max(1, Math.min(10 * e.n, Math.round(sliceMs * 1e6 / e.guest.slice(e.incoming, e.n))));
  }
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < entries.length; k++) {
      const { name, guest, incoming, calls, n } = entries[(k + round) % entries.length];
      console.log(`BenchmarkV8/${contest.name}/filter=${name} ${n} ${guest.slice(incoming, n).toFixed(1)} ns/op ${calls} calls/op`);
    }
  }
}
