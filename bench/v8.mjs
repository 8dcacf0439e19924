// Times modules in V8, the engine that Envoy runs them in, side by side: the
// first is the floor (bench/floor), the others are compared with it.
//
//   node --no-warnings bench/v8.mjs dist/floor.wasm dist/cors.wasm [more.wasm ...]
//        [--rounds=40] [--slice=4 (ms)] [--only=actual] [--json]
//
// Each case of workload.json is asserted, in every module, before it is timed:
// status, headers, counters, and of the floor the number of host calls. Then all
// modules take turns, a slice of a few milliseconds each, in rounds; the ratio is
// that of slices of one round, so that a machine that is busy for a while slows
// both sides of it.
//
// The host is a few lines of JavaScript, the same for all, and part of every time:
// it takes names and values as strings, as a host has to, and a call of it costs
// 50 to 150 ns. Envoy's cost 100 to 300 ns, since they cross V8's C interface, so
// that a ratio is rather better there. What a module takes beyond the floor does
// not depend on the host, and is printed as well.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { WASI } from "node:wasi";

const flags = Object.fromEntries(process.argv.slice(2).filter((a) => a.startsWith("--")).map((a) => a.slice(2).split("=")));
const paths = process.argv.slice(2).filter((a) => !a.startsWith("--"));
const rounds = Number(flags.rounds ?? 40), sliceMs = Number(flags.slice ?? 4), json = "json" in flags;
if (paths.length < 2) {
  console.error("usage: node bench/v8.mjs FLOOR.wasm MODULE.wasm ...; `make v8` builds both and runs this");
  process.exit(1);
}
const workload = JSON.parse(readFileSync(new URL("workload.json", import.meta.url)));

const OK = 0, NOT_FOUND = 1, REQUEST = 0, PLUGIN = 1, LOG_INFO = 2, LOG_ERROR = 4;
const encoder = new TextEncoder();

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

// request is what a guest may ask for: all headers, or one by its name. All are
// serialized beforehand: Envoy copies them into the guest in one go, and building
// them in JavaScript each time would be most of what is timed.
const request = (pairs) => ({
  byName: new Map(pairs.map(([name, value]) => [name, encoder.encode(value)])), pairs: serialize(pairs), count: pairs.length,
});
const response = { pairs: serialize(workload.response), count: workload.response.length };

// guest is an instance of a module with its host.
const guest = async (path, configuration) => {
  let exports, memory, view, current, calls = 0, changes = [], status = 0;
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
      const value = current.byName.get(text(key, keySize));
      return value === undefined ? NOT_FOUND : give(value, at, size);
    },
    proxy_get_header_map_pairs: (map, at, size) => { enter(); return give((map === REQUEST ? current : response).pairs, at, size); },
    proxy_replace_header_map_value: (map, key, keySize, value, size) => { enter(); return change(key, keySize, value, size); },
    proxy_add_header_map_value: (map, key, keySize, value, size) => { enter(); return change(key, keySize, value, size); },
    proxy_remove_header_map_value: (map, key, keySize) => { enter(); return change(key, keySize, 0, 0); },
    proxy_send_local_response: (code, details, detailsSize, body, bodySize, headers) => {
      enter();
      status = code;
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
  const module = await WebAssembly.compile(readFileSync(path));
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === "env") env[name] ??= () => { throw new Error(`${path} calls ${name}, which bench/v8.mjs does not have`); };
  }
  const wasi = new WASI({ version: "preview1", env: { GOGC: "off" } });
  const instance = await WebAssembly.instantiate(module, { env, wasi_snapshot_preview1: wasi.wasiImport });
  exports = instance.exports;
  refresh();
  wasi.initialize(instance);
  refresh();
  exports.proxy_on_vm_start?.(PLUGIN, 0);
  exports.proxy_on_context_create(PLUGIN, 0);
  if (!exports.proxy_on_configure(PLUGIN, configuration.length)) throw new Error(`${path} refused the policy`);

  const { proxy_on_context_create: create, proxy_on_request_headers: onRequest, proxy_on_response_headers: onResponse, proxy_on_delete: end } = exports;
  let id = PLUGIN;
  const run = (incoming) => {
    current = incoming;
    changes = [];
    status = 0;
    create(++id, PLUGIN);
    onRequest(id, incoming.count, 1);
    onResponse(id, response.count, 1);
    end(id);
  };
  const tick = () => exports.proxy_on_tick?.(PLUGIN);
  return {
    path,
    setCase: (i) => exports.floor_case?.(i),
    // check runs one request and returns all that came of it.
    check: (incoming) => {
      tick();
      for (const c of counters) c.value = 0;
      calls = 0;
      run(incoming);
      const during = calls, changed = changes.map((name, i) => `${name}: ${changes[i + 1]}`).filter((_, i) => i % 2 === 0).sort();
      tick();
      return { calls: during, outcome: JSON.stringify({ status, changed, counted: counters.filter((c) => c.value === 1).map((c) => c.name).sort(), others: counters.filter((c) => c.value > 1) }) };
    },
    // slice runs n requests, of which there are several to take in turn, and
    // returns nanoseconds per request. A tick is part of it.
    slice: (requests, n) => {
      const start = performance.now();
      for (let i = 0, next = 0; i < n; i++) {
        run(requests[next]);
        if (++next === requests.length) next = 0;
      }
      tick();
      return (performance.now() - start) * 1e6 / n;
    },
  };
};

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const quantile = (numbers, q) => {
  const s = sorted(numbers), at = q * (s.length - 1), low = Math.floor(at);
  return s[low] + (at - low) * (s[Math.min(low + 1, s.length - 1)] - s[low]);
};
const summary = (numbers) => ({ median: quantile(numbers, 0.5), q1: quantile(numbers, 0.25), q3: quantile(numbers, 0.75) });

const number = (template, i) => template.replace("{i}", i);
const configuration = (n) => {
  const more = [];
  for (let i = 1; i < n; i++) more.push(number(i % 5 ? workload.more.origin : workload.more.pattern, i));
  return encoder.encode(JSON.stringify({ ...workload.policy, allow_origins: [...workload.policy.allow_origins, ...more] }));
};
// origins are those that the requests of a case come from, one after the other.
const inTurn = (c, n) => Array.from({ length: n }, (_, k) => number(c.strangers ?? ((k + 1) % 5 ? workload.more.origin : workload.more.under), k + 1));
const fill = (pairs, origin) => pairs.map(([name, value]) => [name, value.replace("{origin}", origin)]);

const report = (row) => {
  if (json) {
    console.log(JSON.stringify(row));
    return;
  }
  const cells = row.modules.map((m) => `${m.ns.median.toFixed(0).padStart(7)} ns  ${m.ratio.median.toFixed(2)} (${m.ratio.q1.toFixed(2)} to ${m.ratio.q3.toFixed(2)})  +${m.beyond.median.toFixed(0)} ns  ${m.calls} calls`);
  console.log(`${row.case.padEnd(10)} ${String(row.origins).padStart(6)} ${String(row.inTurn).padStart(8)}  ${row.floor.ns.median.toFixed(0).padStart(7)} ns  ${row.floor.calls} calls  | ${cells.join("  | ")}`);
};
if (!json) {
  console.log(`medians of ${rounds} rounds; ratio to ${basename(paths[0])} with its quartiles`);
  console.log(`case      origins  in turn  ${basename(paths[0]).padEnd(20)}| ${paths.slice(1).map((p) => basename(p)).join(" | ")}`);
}

for (const origins of [1, 10_000]) {
  const guests = [];
  for (const path of paths) guests.push(await guest(path, configuration(origins)));
  for (const [number, c] of workload.cases.entries()) {
    if (flags.only && flags.only !== c.name) continue;
    // With many origins, once from one of them and once from a thousand in turn:
    // what remembers origins must show what it is worth where they differ.
    for (const from of origins > 1 && c.origin ? [[c.origin], inTurn(c, 1000)] : [[c.origin]]) {
      const requests = from.map((origin) => request(fill(c.request, origin)));
      const calls = guests.map((g, i) => {
        g.setCase(number);
        let last = g.check(requests[0]); // not counted: one in many looks at the log level as well
        for (const [k, r] of requests.entries()) {
          last = g.check(r);
          const want = JSON.stringify({ status: c.status, changed: fill(c.headers, from[k]).map((h) => h.join(": ")).sort(), counted: [...c.counters].sort(), others: [] });
          if (last.outcome !== want) throw new Error(`${g.path}, ${c.name}, ${from[k]}: wrong outcome\n  got  ${last.outcome}\n  want ${want}`);
          if (i === 0 && last.calls !== c.calls) throw new Error(`the floor makes ${last.calls} calls, the contract allows ${c.calls}`);
        }
        return last.calls;
      });
      // Warm up until V8 has compiled what it will, and see how many fit a slice.
      let n = 1000;
      for (const g of guests) for (let i = 0; i < 60; i++) g.slice(requests, n);
      n = Math.max(100, Math.round(sliceMs * 1e6 / quantile(Array.from({ length: 9 }, () => guests[0].slice(requests, n)), 0.5)));
      const times = guests.map(() => []);
      for (let round = 0; round < rounds; round++) {
        for (let k = 0; k < guests.length; k++) {
          const i = (k + round) % guests.length;
          times[i].push(guests[i].slice(requests, n));
        }
      }
      report({
        case: c.name, origins, inTurn: from.length, rounds,
        floor: { ns: summary(times[0]), calls: calls[0] },
        modules: times.slice(1).map((t, i) => ({ path: paths[i + 1], ns: summary(t), ratio: summary(t.map((ns, round) => ns / times[0][round])), beyond: summary(t.map((ns, round) => ns - times[0][round])), calls: calls[i + 1] })),
      });
    }
  }
}
