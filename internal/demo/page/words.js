// What the filter's counters mean to somebody who does not know CORS, and which
// line of the policy they lead to.

export const counterNames = {
  origin_valid: "origin allowed",
  origin_invalid: "origin not allowed",
  preflight_allowed: "preflight allowed",
  preflight_denied_origin: "preflight denied: origin",
  preflight_denied_method: "preflight denied: method",
  preflight_denied_headers: "preflight denied: headers",
  preflight_forwarded: "preflight left to upstream",
  request_allowed: "request allowed",
  request_denied: "request without CORS headers",
  request_rejected: "request rejected",
};

const originLine = (e) => line("allow_origins", [e.allowedPage, e.origin]);

const kinds = {
  preflight_allowed: { says: () => "The preflight was answered: go ahead." },
  preflight_denied_origin: {
    says: () => "The preflight was refused: this page's origin is not in the policy.",
    line: originLine,
  },
  preflight_denied_method: {
    says: (e) => `The preflight was answered, and the answer does not list ${e.asksFor}.`,
    line: (e) => line("allow_methods", [...list(e.response, "access-control-allow-methods"), e.asksFor]),
  },
  preflight_denied_headers: {
    says: (e) => `The preflight was answered, and the answer does not list all of: ${e.asksHeaders}.`,
    line: (e) => line("allow_headers", [...list(e.response, "access-control-allow-headers"), ...list(e.request, "access-control-request-headers")]),
  },
  preflight_forwarded: { says: () => "The preflight was left to upstream." },
  request_allowed: {
    says: (e) => e.status >= 300 && e.status < 400
      ? "Upstream answered with a redirect, and the answer says that this page may follow it."
      : "Upstream answered, and the answer says that this page may read it.",
  },
  request_denied: {
    says: (e) => "Upstream answered, and no CORS headers went with it: this page's origin is not in the policy." +
      (e.method === "GET" || e.method === "HEAD" ? "" : " Its effect has happened all the same; \"disallowed_requests\": \"reject\" would prevent it."),
    line: originLine,
  },
  request_rejected: {
    says: () => "The request was rejected before upstream: this page's origin is not in the policy.",
    line: originLine,
  },
};

const header = (headers, name) => headers.find(([n]) => n === name)?.[1] ?? "";
const list = (headers, name) => header(headers, name).split(",").map((s) => s.trim()).filter(Boolean);
const line = (key, values) => `${JSON.stringify(key)}: [${[...new Set(values)].map((v) => JSON.stringify(v)).join(", ")}]`;

// describe turns an event of the gateway into what the page shows of it.
// allowedPage is the origin that the policy names already.
export function describe(event, allowedPage) {
  const e = {
    ...event,
    allowedPage,
    origin: header(event.request, "origin"),
    asksFor: header(event.request, "access-control-request-method"),
    asksHeaders: header(event.request, "access-control-request-headers"),
  };
  const counted = event.counters.map((name) => name.split(".").pop()).filter((name) => counterNames[name]);
  const kind = kinds[counted.find((name) => kinds[name])];
  return {
    ...e,
    preflight: event.method === "OPTIONS" && e.asksFor !== "",
    passed: kind !== undefined && kind.line === undefined,
    says: kind ? kind.says(e) : "The filter had nothing to decide.",
    line: kind?.line?.(e),
    counted: counted.map((name) => counterNames[name]).join(", "),
  };
}
