// What the filter's counters mean to somebody who does not know CORS. What a
// decision means the gateway says by itself.

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

// describe adds to an event of the gateway what the page shows of it.
export function describe(event) {
  const counted = event.counters.map((name) => name.split(".").pop()).filter((name) => counterNames[name]);
  return {
    ...event,
    preflight: event.method === "OPTIONS" && event.request.some(([name, value]) => name === "access-control-request-method" && value),
    counted: counted.map((name) => counterNames[name]).join(", "),
  };
}
