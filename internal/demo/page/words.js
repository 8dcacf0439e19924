// What the filter's counters mean to somebody who does not know CORS, and which
// line of the policy they lead to.

const kinds = {
  preflight_allowed: { asked: true, says: () => "The preflight was answered: go ahead." },
  preflight_denied_origin: {
    asked: false,
    says: () => "The preflight was refused with 403: this page's origin is not in the policy.",
    line: (e) => `"allow_origins": ["${e.origin}"]`,
  },
  preflight_denied_method: {
    asked: false,
    says: (e) => `The preflight was answered, and the answer does not list ${e.asksFor}.`,
    line: (e) => `"allow_methods": ["${e.asksFor}"]`,
  },
  preflight_denied_headers: {
    asked: false,
    says: (e) => `The preflight was answered, and the answer does not list all of: ${e.asksHeaders}.`,
    line: (e) => `"allow_headers": [${e.asksHeaders.split(",").map((name) => `"${name.trim()}"`).join(", ")}]`,
  },
  preflight_forwarded: { asked: true, says: () => "The preflight was left to upstream." },
  request_allowed: { sent: true, says: () => "The request went upstream, and the response says that this page may read it." },
  request_denied: {
    sent: true,
    says: () => "The request went upstream, and the response came back without CORS headers: this page's origin is not in the policy.",
    line: (e) => `"allow_origins": ["${e.origin}"]`,
  },
  request_rejected: {
    sent: false,
    says: () => "The request was rejected with 403: this page's origin is not in the policy.",
    line: (e) => `"allow_origins": ["${e.origin}"]`,
  },
};

const header = (headers, name) => headers.find(([n]) => n === name)?.[1] ?? "";

// describe turns an event of the gateway into what the page shows of it.
export function describe(event) {
  const e = {
    ...event,
    origin: header(event.request, "origin"),
    asksFor: header(event.request, "access-control-request-method"),
    asksHeaders: header(event.request, "access-control-request-headers"),
  };
  const outcome = event.counters.map((name) => name.split(".").pop()).find((name) => kinds[name]);
  const kind = kinds[outcome];
  return {
    ...e,
    preflight: event.method === "OPTIONS" && e.asksFor !== "",
    outcome,
    passed: outcome !== undefined && kind.line === undefined,
    says: kind ? kind.says(e) : "The filter had nothing to decide.",
    line: kind?.line?.(e),
  };
}

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
