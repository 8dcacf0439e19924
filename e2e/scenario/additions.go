package scenario

// meddling are headers that a route adds to every response, as migrations leave them
// behind; none of them is what a policy of this table sends.
var meddling = []Header{
	{acao, "*"}, {acac, "true"}, {acam, "PATCH"}, {acah, "x-other"}, {aceh, "x-secret"}, {acma, "5"}, {acpn, "true"},
	{vary, "accept-encoding"}, {said, "made up"},
}

// starring is the one header that is added most often.
var starring = []Header{{acao, "*"}}

const (
	keeping = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "allow_headers": ["x-a"], ` +
		`"max_age": 600, "upstream_headers": "preserve", "disallowed_requests": "reject"}`
	echoingIt = `{"allow_origins": ["https://shop.example.com"], "allow_methods": "*", "allow_headers": ` +
		`"*", "allow_credentials": true, "debug": true}`
	timed = `{"allow_origins": ["https://shop.example.com"], "timing_allow_origins": ` +
		`["https://metrics.example.com"], "disallowed_requests": "reject"}`
)

// additions are rows about what the proxy itself adds to responses, to the filter's own
// replies as well. What leaves is what the policy says.
var additions = []Scenario{
	{
		Name: "a star that the route adds does not join the origin of an allowed preflight", Config: standard, Added: starring,
		Request: preflight(shop, "PUT"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: preflightAllowed},
	},
	{
		Name: "a star that the route adds does not open a denied preflight", Config: standard, Added: starring,
		Request: preflight("https://evil.example", "PUT"),
		Want:    denied,
	},
	{
		Name: "a star that the route adds does not open a rejected request", Config: rejecting, Added: starring,
		Request: get("origin", "https://evil.example"),
		Want:    rejected,
	},
	{
		Name: "a star that the route adds is replaced on a response", Config: standard, Added: starring,
		Request: get("origin", shop), Upstream: careless,
		Want: Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name: "a star that the route adds is removed from an unlisted origin's response", Config: standard, Added: starring,
		Request: get("origin", "https://evil.example"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name: "the origin that the route adds stands there once", Config: standard, Added: []Header{{acao, shop}},
		Request: preflight(shop, "PUT"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: preflightAllowed},
	},
	{
		Name: "a star beside the star of an open policy is one star", Config: anyone, Added: starring,
		Request: preflight(shop, "PUT"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: "*", acam: "PUT", aceh: "x-total", vary: varyAnyone},
			Counters: preflightAllowed,
		},
	},
	{
		Name: "nothing that the route adds stays on an allowed preflight, but its Vary", Config: standard, Added: meddling[:8],
		Request: preflight(shop, "PUT"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  with(answered(shop), H{vary: "accept-encoding," + varyPreflight}),
			Counters: preflightAllowed,
		},
	},
	{
		Name: "nothing that the route adds stays on a denied preflight, but its Vary", Config: standard, Added: meddling[:8],
		Request: preflight("https://evil.example", "PUT"),
		Want:    Want{Reply: 403, Details: "cors_origin_denied", Headers: H{vary: "accept-encoding," + varyPreflight}, Counters: preflightDenied},
	},
	{
		Name: "nothing that the route adds stays on a rejected request, but its Vary", Config: rejecting, Added: meddling[:8],
		Request: get("origin", "https://evil.example"),
		Want:    Want{Reply: 403, Details: "cors_request_rejected", Headers: H{vary: "accept-encoding,origin"}, Counters: requestRejected},
	},
	{
		Name: "the debug header is ours on a preflight", Config: debugging, Added: meddling[8:],
		Request: preflight(shop, "DELETE"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  with(debugged, H{said: "denied; reason=method=DELETE"}),
			Counters: methodDenied,
		},
	},
	{
		Name: "the debug header is ours on a response", Config: debugging, Added: meddling[8:],
		Request: get("origin", shop),
		Want:    Want{Headers: H{acao: shop, vary: "origin", said: "allowed"}, Counters: requestAllowed},
	},
	{
		Name: "without debug it is the route's", Config: standard, Added: meddling[8:],
		Request: preflight(shop, "PUT"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: with(answered(shop), H{said: "made up"}), Counters: preflightAllowed},
	},
	{
		Name: "a Vary that the route adds is completed, and names nothing twice", Config: standard,
		Added:   []Header{{vary, "Accept-Encoding, Origin"}},
		Request: preflight(shop, "PUT"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  with(answered(shop), H{vary: "Accept-Encoding, Origin," + varyAnyone}),
			Counters: preflightAllowed,
		},
	},
	{
		Name: "a Vary that the route adds is enough for a rejected request", Config: rejecting, Added: []Header{{vary, "Origin"}},
		Request: get("origin", "https://evil.example"),
		Want:    Want{Reply: 403, Details: "cors_request_rejected", Headers: H{vary: "Origin"}, Counters: requestRejected},
	},
	{
		Name: "a Vary of star that the route adds stays alone on a denied preflight", Config: standard, Added: []Header{{vary, "*"}},
		Request: preflight("https://evil.example", "PUT"),
		Want:    Want{Reply: 403, Details: "cors_origin_denied", Headers: H{vary: "*"}, Counters: preflightDenied},
	},
	{
		Name: "a Vary that only ends like ours is another", Config: rejecting, Added: []Header{{vary, "x-origin"}},
		Request: get("origin", "https://evil.example"),
		Want:    Want{Reply: 403, Details: "cors_request_rejected", Headers: H{vary: "x-origin,origin"}, Counters: requestRejected},
	},
	{
		Name: "a Vary of star that the route adds stays alone on a response", Config: standard, Added: []Header{{vary, "*"}},
		Request: get(),
		Want:    Want{Headers: H{vary: "*"}},
	},
	{
		Name: "what is sent back of a request stands beside nothing that the route adds", Config: echoingIt, Added: meddling,
		Request: preflight(shop, "QUERY", "access-control-request-headers", "X-B,x-a"),
		Want: Want{Reply: 204, Details: "cors_preflight", Headers: H{
			acao: shop, acac: "true", acam: "QUERY", acah: "x-b, x-a", vary: "accept-encoding," + varyPreflight, said: "allowed",
		}, Counters: preflightAllowed},
	},
	{
		Name: "what is not sent back of a request is not the route's either", Config: echoingIt, Added: meddling,
		Request: preflight(shop, "TRACE"),
		Want: Want{Reply: 204, Details: "cors_preflight", Headers: H{
			acao: shop, acac: "true", vary: "accept-encoding," + varyPreflight, said: "denied; reason=method=TRACE",
		}, Counters: methodDenied},
	},
	{
		Name: "timing that the route adds is closed where the policy has its own", Config: timed, Added: []Header{{tao, "*"}},
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: shop, vary: varyPreflight}, Counters: preflightAllowed},
	},
	{
		Name: "a rejected request may be timed all the same", Config: timed, Added: starring,
		Request: get("origin", "https://metrics.example.com"),
		Want: Want{
			Reply:    403,
			Details:  "cors_request_rejected",
			Headers:  H{tao: "https://metrics.example.com", vary: "origin"},
			Counters: requestRejected,
		},
	},
	{
		Name: "preserving keeps what the route adds to a reply, but a header that is not a list has only our value", Config: keeping,
		Added:   meddling[:8],
		Request: preflight(shop, "PUT"),
		Want: Want{Reply: 204, Details: "cors_preflight", Headers: H{
			acao: shop, acac: "true", acam: "PATCH,PUT", acah: "x-other,x-a", aceh: "x-secret", acma: "600", acpn: "true",
			vary: "accept-encoding," + varyPreflight,
		}, Counters: preflightAllowed},
	},
	{
		Name: "preserving keeps what the route adds to a denied preflight", Config: keeping, Added: starring,
		Request: preflight("https://evil.example", "PUT"),
		Want:    Want{Reply: 403, Details: "cors_origin_denied", Headers: H{acao: "*", vary: varyPreflight}, Counters: preflightDenied},
	},
	{
		Name:   "what the route adds goes with a preflight that upstream answers",
		Config: `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward"}`, Added: starring,
		Request: preflight("https://partner.example", "PUT"),
		Want:    Want{Headers: H{acao: "*", vary: "origin"}, Counters: []string{"origin_invalid", "preflight_forwarded"}},
	},
	{
		Name: "shadow leaves alone what the route adds", Config: shadowing, Added: starring,
		Request: get("origin", shop),
		Want:    Want{Headers: H{acao: "*"}, Counters: shadow(requestAllowed)},
	},
}
