package scenario

import "strings"

const (
	anyCreds = `{"allow_origins": ["*"], "allow_credentials": true, "disallowed_requests": "reject", "debug": true, ` +
		`"dangerously_tolerate": ["any-origin-with-credentials"]}`
	shopOnly = `{"allow_origins": ["https://shop.example.com"]}`
)

// aged is a row about max_age.
func aged(config, age string) Scenario {
	return Scenario{
		Name: "a max age is sent in seconds: " + config, Config: `{"allow_origins": ["https://shop.example.com"], ` + config + `}`,
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: shop, acma: age, vary: varyPreflight}, Counters: preflightAllowed},
	}
}

// sameOrigin is a row about a POST where unlisted origins are rejected.
func sameOrigin(name string, pass bool, headers ...string) Scenario {
	s := Scenario{Name: name, Config: rejecting, Request: message("POST", headers...), Want: rejected}
	if pass {
		s.Want = Want{Headers: closed, Counters: requestDenied}
	}
	return s
}

// edges are rows at the borders of what the others say.
var edges = append([]Scenario{
	aged(`"max_age": 0`, "0"), aged(`"max_age": "0"`, "0"), aged(`"max_age": 600.0`, "600"), aged(`"max_age": 6e2`, "600"),
	aged(`"max_age": "600"`, "600"), aged(`"max_age": "10m"`, "600"), aged(`"max_age": "600s"`, "600"), aged(`"maxAge": "-1"`, "0"),

	// 2.3, same-origin
	sameOrigin(
		"behind TLS termination x-forwarded-proto is the scheme", true, "origin", "https://api.example.com", "x-forwarded-proto", "https",
	),
	sameOrigin(
		"x-forwarded-proto goes before the scheme of the connection", false, "origin", "http://api.example.com", "x-forwarded-proto", "https",
	),
	sameOrigin(
		"the default port of https in the authority", true, "origin", "https://api.example.com", "x-forwarded-proto", "https", ":authority",
		"api.example.com:443",
	),
	sameOrigin(
		"the default port of http is not that of https", false, "origin", "https://api.example.com", "x-forwarded-proto", "https", ":authority",
		"api.example.com:80",
	),
	sameOrigin("a port of its own on both sides", true, "origin", "http://api.example.com:8080", ":authority", "api.example.com:8080"),
	sameOrigin("the case of the authority does not matter", true, "origin", "http://api.example.com", ":authority", "API.Example.com"),
	sameOrigin("an address of IPv6", true, "origin", "http://[::1]:8080", ":authority", "[::1]:8080"),
	sameOrigin(
		"a same-origin WebSocket handshake passes", true, "origin", "http://api.example.com", "connection", "upgrade", "upgrade", "websocket",
	),
	// Behind TLS termination without x-forwarded-proto.
	sameOrigin("an https origin of the request's own host is its own over http", true, "origin", "https://api.example.com"),
	sameOrigin("so it is where x-forwarded-proto is the last hop's", true, "origin", "https://api.example.com", "x-forwarded-proto", "http"),
	sameOrigin(
		"so is that of a WebSocket handshake, which has no sec-fetch-site", true, "origin", "https://api.example.com", "connection", "upgrade",
		"upgrade", "websocket",
	),
	sameOrigin(
		"an https origin of another host is an unlisted origin in a WebSocket handshake", false, "origin", "https://evil.example",
		"connection", "upgrade", "upgrade", "websocket",
	),
	sameOrigin(
		"the default port of https may be spelled out in the authority over http", true, "origin", "https://api.example.com", ":authority",
		"api.example.com:443",
	),
	sameOrigin("a port of its own over http", true, "origin", "https://api.example.com:8443", ":authority", "api.example.com:8443"),
	sameOrigin(
		"the default port of http in the authority is not that of https, not even over http", false, "origin", "https://api.example.com",
		":authority", "api.example.com:80",
	),
	sameOrigin("https at port 80 is not the host without a port", false, "origin", "https://api.example.com:80"),
	sameOrigin(
		"https at port 80 is the host with that port", true, "origin", "https://api.example.com:80", ":authority", "api.example.com:80",
	),
	sameOrigin(
		"a port in the authority alone is another one", false, "origin", "https://api.example.com", ":authority", "api.example.com:8080",
	),
	sameOrigin("a port in the origin alone is another one", false, "origin", "https://api.example.com:8443"),
	sameOrigin(
		"an http origin at the port of https is not an https origin", false, "origin", "http://api.example.com:443", ":authority",
		"api.example.com:443", "x-forwarded-proto", "https",
	),
	sameOrigin(
		"an http origin of an https WebSocket is another", false, "origin", "http://api.example.com", "x-forwarded-proto", "https",
		"connection", "upgrade", "upgrade", "websocket",
	),
	sameOrigin(
		"a browser's word is enough though the origin is malformed", true, "origin", "https://evil.example/", "sec-fetch-site", "same-origin",
	),
	sameOrigin(
		"an equal origin is enough though sec-fetch-site says otherwise", true, "origin", "http://api.example.com", "sec-fetch-site",
		"cross-site",
	),
	sameOrigin("null is never its own origin", false, "origin", "null"),
	sameOrigin("a name that begins like the host is another", false, "origin", "http://api.example.com.evil.example"),
	{
		Name:    "OPTIONS that is no preflight is rejected like any request",
		Config:  rejecting,
		Request: message("OPTIONS", "origin", "https://evil.example"),
		Want:    rejected,
	},

	// 1.2 and 2.4, everyone
	{
		Name:    "a policy for everyone rejects nobody, malformed or not",
		Config:  `{"allow_origins": ["*"], "disallowed_requests": "reject", "debug": true}`,
		Request: get("origin", "a, b"),
		Want:    Want{Headers: H{acao: "*", said: "allowed", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "what is shown of a policy for everyone depends on the origin, without one as well",
		Config:  `{"allow_origins": ["*"], "debug": true}`,
		Request: get(),
		Want:    Want{Headers: H{acao: "*", vary: "origin"}},
	},
	{
		Name:    "the answer to a preflight shows the same whatever the origin",
		Config:  `{"allow_origins": ["*"], "allow_methods": ["PUT"], "debug": true}`,
		Request: preflight("https://evil.example", "PUT"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: "*", acam: "PUT", vary: varyAnyone, said: "allowed"},
			Counters: preflightAllowed,
		},
	},
	{
		Name:    "a policy for everyone answers null with a star",
		Config:  anyone,
		Request: get("origin", "null"),
		Want:    Want{Headers: H{acao: "*", aceh: "x-total"}, Counters: requestAllowed},
	},
	{Name: "a policy for everyone answers a malformed preflight with a star", Config: anyone, Request: preflight("a, b", "PUT"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: "*", acam: "PUT", aceh: "x-total", vary: varyAnyone},
			Counters: preflightAllowed,
		}},
	{
		Name:     "upstream's credentials do not stay beside a star",
		Config:   anyone,
		Request:  get(),
		Upstream: careless,
		Want:     Want{Headers: H{acao: "*", aceh: "x-total"}},
	},
	{
		Name:     "upstream's Vary on Origin stays beside a star",
		Config:   anyone,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{vary, "Origin"}}},
		Want:     Want{Headers: H{acao: "*", aceh: "x-total", vary: "Origin"}, Counters: requestAllowed},
	},
	{
		Name:     "everyone with credentials varies, and closes what upstream opened without an origin",
		Config:   anyCreds,
		Request:  get(),
		Upstream: careless,
		Want:     Want{Headers: closed},
	},
	{Name: "everyone with credentials rejects what is no origin", Config: anyCreds, Request: get("origin", "a, b"),
		Want: Want{
			Reply:    403,
			Details:  "cors_request_rejected",
			Headers:  H{vary: "origin", said: "denied; reason=malformed-origin"},
			Counters: requestRejected,
		}},
	{Name: "everyone with credentials denies a preflight of what is no origin", Config: anyCreds, Request: preflight("a, b", "GET"),
		Want: Want{
			Reply:    403,
			Details:  "cors_origin_denied",
			Headers:  H{vary: varyPreflight, said: "denied; reason=malformed-origin"},
			Counters: preflightDenied,
		}},

	// 2.4, preserve and Vary
	{
		Name:     "preserving without an origin",
		Config:   preserving,
		Request:  get(),
		Upstream: careless,
		Want:     Want{Headers: H{acao: "*", acac: "true", aceh: "x-secret", vary: "origin"}},
	},
	{Name: "preserving a response without CORS headers, without an origin", Config: preserving, Request: get(), Want: Want{Headers: closed}},
	{
		Name:     "preserving closes what an unlisted origin gets of upstream without an ACAO",
		Config:   preserving,
		Request:  get("origin", "https://evil.example"),
		Upstream: Upstream{Headers: []Header{{acac, "true"}, {aceh, "x-secret"}}},
		Want:     Want{Headers: closed, Counters: requestDenied},
	},
	{Name: "preserving beside a star", Config: `{"allow_origins": ["*"], "upstream_headers": "preserve"}`, Request: get("origin", shop),
		Upstream: Upstream{Headers: []Header{{acao, shop}}}, Want: Want{Headers: H{acao: shop}, Counters: requestAllowed}},
	{Name: "preserving a preflight's answer is the filter's", Config: preserving, Request: preflight(shop, "GET"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: shop, aceh: "x-total", vary: varyPreflight},
			Counters: preflightAllowed,
		}},
	{
		Name:     "a star within a list of Vary",
		Config:   shopOnly,
		Request:  get(),
		Upstream: Upstream{Headers: []Header{{vary, "accept, *"}}},
		Want:     Want{Headers: H{vary: "accept, *"}},
	},
	{
		Name:     "Vary in capitals",
		Config:   shopOnly,
		Request:  get(),
		Upstream: Upstream{Headers: []Header{{vary, "ORIGIN"}}},
		Want:     Want{Headers: H{vary: "ORIGIN"}},
	},
	{
		Name:     "Vary spaced with tabs",
		Config:   shopOnly,
		Request:  get(),
		Upstream: Upstream{Headers: []Header{{vary, "accept ,\t origin\t,x"}}},
		Want:     Want{Headers: H{vary: "accept ,\t origin\t,x"}},
	},
	{
		Name:     "Vary holds a longer word",
		Config:   shopOnly,
		Request:  get(),
		Upstream: Upstream{Headers: []Header{{vary, "origin-agent-cluster"}}},
		Want:     Want{Headers: H{vary: "origin-agent-cluster,origin"}},
	},
	{Name: "the other CORS headers of upstream, to an unlisted origin", Config: shopOnly, Request: get("origin", "https://evil.example"),
		Upstream: Upstream{Headers: []Header{{acao, "*"}, {acao, "*"}, {acac, "true"}, {aceh, "a"}, {aceh, "b"}}},
		Want:     Want{Headers: closed, Counters: requestDenied}},
	{
		Name:     "exactly the right ACAO of upstream stays one",
		Config:   shopOnly,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{acao, shop}}},
		Want:     Want{Headers: H{acao: shop, vary: "origin"}, Counters: requestAllowed},
	},

	// Two lines of Origin: Envoy joins them with a comma.
	{
		Name:    "two Origin lines are no origin",
		Config:  shopOnly,
		Request: get("origin", shop, "origin", shop),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},

	// 2.2
	{
		Name:     "a forwarded preflight shows the decision",
		Config:   `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward", "debug": true}`,
		Request:  preflight("https://evil.example", "PUT"),
		Upstream: Upstream{Status: 204, Headers: []Header{{acao, "*"}, {said, "x"}}},
		Want: Want{
			Headers:  H{acao: "*", vary: "origin", said: "denied; reason=origin"},
			Counters: []string{"origin_invalid", "preflight_forwarded"},
		},
	},
	{Name: "forwarding a malformed preflight", Config: `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward"}`,
		Request: preflight("a, b", "PUT"), Want: Want{Headers: closed, Counters: []string{"origin_invalid", "preflight_forwarded"}}},
	{
		Name:    "reject is not about preflights",
		Config:  `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward", "disallowed_requests": "reject"}`,
		Request: preflight("https://evil.example", "PUT"),
		Want:    Want{Headers: closed, Counters: []string{"origin_invalid", "preflight_forwarded"}},
	},
	{
		Name:    "a private network is asked for by true alone",
		Config:  `{"allow_origins": ["https://shop.example.com"], "allow_private_network_access": true}`,
		Request: preflight(shop, "GET", "access-control-request-private-network", "false"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: shop, vary: varyPreflight}, Counters: preflightAllowed},
	},
	{
		Name:    "a private network is closed to unlisted origins",
		Config:  `{"allow_origins": ["https://shop.example.com"], "allow_private_network_access": true}`,
		Request: preflight("https://evil.example", "GET", "access-control-request-private-network", "true"),
		Want:    denied,
	},
	{
		Name:    "the last of the good statuses",
		Config:  `{"allow_origins": ["https://shop.example.com"], "preflight_status": 299}`,
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 299, Details: "cors_preflight", Headers: H{acao: shop, vary: varyPreflight}, Counters: preflightAllowed},
	},
	{
		Name:    "the status of the answer is not that of a denial",
		Config:  `{"allow_origins": ["https://shop.example.com"], "preflight_status": 200}`,
		Request: preflight("https://evil.example", "GET"),
		Want:    denied,
	},
	{
		Name:    "exposed headers are a preflight's as well, timing is not",
		Config:  `{"allow_origins": ["https://shop.example.com"], "expose_headers": "x-a", "timing_allow_origins": ["*"]}`,
		Request: preflight(shop, "GET"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: shop, aceh: "x-a", vary: varyPreflight},
			Counters: preflightAllowed,
		},
	},

	// 1.3
	{
		Name:    "a star of headers is sent unasked",
		Config:  starred,
		Request: preflight(shop, "GET"),
		Want:    preflightFor(preflightAllowed, H{acam: "*", acah: "*", aceh: "*"}),
	},
	{
		Name:    "authorization may hide behind other names",
		Config:  starred,
		Request: preflight(shop, "GET", "access-control-request-headers", "x-a, Authorization ,x-b"),
		Want:    preflightFor(headersDenied, H{acam: "*", acah: "*", aceh: "*"}),
	},
	{
		Name:    "a list of commas asks for nothing",
		Config:  starredCreds,
		Request: preflight(shop, "PUT", "access-control-request-headers", ", ,,"),
		Want:    preflightFor(preflightAllowed, H{acac: "true", acam: "PUT"}),
	},
	{
		Name:    "a repeated list keeps its order and its doubles",
		Config:  starredCreds,
		Request: preflight(shop, "PUT", "access-control-request-headers", "X-B,x-a,x-b"),
		Want:    preflightFor(preflightAllowed, H{acac: "true", acam: "PUT", acah: "x-b, x-a, x-b"}),
	},
	{
		Name:    "a repeated method keeps its case",
		Config:  starredCreds,
		Request: preflight(shop, "Query"),
		Want:    preflightFor(preflightAllowed, H{acac: "true", acam: "Query"}),
	},
	{
		Name:        "a list beyond ASCII is not repeated",
		Config:      starredCreds,
		Request:     preflight(shop, "PUT", "access-control-request-headers", "x-ä"),
		NotOverHTTP: true,
		Want:        preflightFor(headersDenied, H{acac: "true", acam: "PUT"}),
	},
	{
		Name: "lists may be one string",
		Config: `{"allow_origins": ["https://shop.example.com"], "allow_methods": "put, DELETE", ` +
			`"allow_headers": "X-A ,x-b", "expose_headers": " X-C"}`,
		Request: preflight(shop, "PUT", "access-control-request-headers", "x-b"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: shop, acam: "PUT, DELETE", acah: "x-a, x-b", aceh: "x-c", vary: varyPreflight},
			Counters: preflightAllowed,
		},
	},

	// 1.1, mode and debug
	{
		Name:     "off leaves an unlisted origin's request alone",
		Config:   `{"mode": "off", "allow_origins": ["https://shop.example.com"]}`,
		Request:  get("origin", "https://evil.example"),
		Upstream: careless,
		Want:     Want{Headers: H{acao: "*", acac: "true", aceh: "x-secret"}},
	},
	{
		Name:     "off answers no preflight",
		Config:   `{"mode": "off"}`,
		Request:  preflight(shop, "PUT"),
		Upstream: Upstream{Status: 405, Headers: []Header{{vary, "x"}}},
		Want:     Want{Headers: H{vary: "x"}},
	},
	{
		Name:    "a rejection shows why",
		Config:  `{"allow_origins": ["https://shop.example.com"], "disallowed_requests": "reject", "debug": true}`,
		Request: get("origin", "https://evil.example"),
		Want: Want{
			Reply:    403,
			Details:  "cors_request_rejected",
			Headers:  H{vary: "origin", said: "denied; reason=origin"},
			Counters: requestRejected,
		},
	},
	{
		Name:     "without debug upstream's word stays",
		Config:   shopOnly,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{said, "mine"}}},
		Want:     Want{Headers: H{acao: shop, vary: "origin", said: "mine"}, Counters: requestAllowed},
	},
	{
		Name:     "with debug there is one word",
		Config:   debugging,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{said, "mine"}, {said, "again"}}},
		Want:     Want{Headers: H{acao: shop, vary: "origin", said: "allowed"}, Counters: requestAllowed},
	},
	{
		Name: "shadow in one rule, enforcement in the next",
		Config: `{"rules": [{"paths": ["/s/*"], "policy": {"mode": "shadow", "allow_origins": ` +
			`["https://shop.example.com"]}}], "allow_origins": ["https://shop.example.com"]}`,
		Request: get(":path", "/s/x", "origin", "https://evil.example"),
		Want:    Want{Counters: shadow(requestDenied)},
	},

	{
		Name: "a repeated list stands beside the reason of a denial",
		Config: `{"allow_origins": ["https://shop.example.com"], "allow_methods": "*", "allow_headers": ` +
			`"*", "allow_credentials": true, "debug": true}`,
		Request: preflight(shop, "TRACE", "access-control-request-headers", "x-alpha,x-beta"),
		Want:    preflightFor(methodDenied, H{acac: "true", acah: "x-alpha, x-beta", said: "denied; reason=method=TRACE"}),
	},
	{
		Name:    "an origin with its default port spelled out is not serialized, and never echoed",
		Config:  anyCreds,
		Request: get("origin", "https://other.example:443"),
		Want: Want{
			Reply:    403,
			Details:  "cors_request_rejected",
			Headers:  H{vary: "origin", said: "denied; reason=malformed-origin"},
			Counters: requestRejected,
		},
	},
	{
		Name: "a forwarded preflight keeps upstream's timing",
		Config: `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward", ` +
			`"timing_allow_origins": ["https://shop.example.com"]}`,
		Request:  preflight("https://evil.example", "PUT"),
		Upstream: Upstream{Headers: []Header{{tao, "*"}}},
		Want:     Want{Headers: H{tao: "*", vary: "origin"}, Counters: []string{"origin_invalid", "preflight_forwarded"}},
	},

	// 1.4
	{
		Name:    "a host of IPv6 with a port",
		Config:  `{"rules": [{"hosts": ["[::1]"], "policy": {"allow_origins": ["https://shop.example.com"]}}]}`,
		Request: ask("[::1]:8080", "/"),
		Want:    Want{Headers: H{acao: shop, vary: "origin"}, Counters: requestAllowed},
	},
	{Name: "a path with a star, and a query at once", Config: ruled, Request: ask("api.example.com", "/v1?x=1"), Want: api},
	{Name: "a path with a star, and a slash", Config: ruled, Request: ask("api.example.com", "/v1/"), Want: api},
	{
		Name:    "a rule without host and path takes all",
		Config:  `{"rules": [{"policy": {"allow_origins": ["https://shop.example.com"]}}], "allow_origins": ["https://other.example"]}`,
		Request: ask("x.example", "/"),
		Want:    Want{Headers: H{acao: shop, vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name: "the order decides, not the precision",
		Config: `{"rules": [{"paths": ["/v1/*"], "policy": {"allow_origins": ["https://first.example"]}}, {"hosts": ` +
			`["api.example.com"], "paths": ["/v1/orders", "/v2/orders"], "policy": {"allow_origins": ["https://shop.example.com"]}}]}`,
		Request: get("origin", shop),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
}, patterns()...)

// patterns are forms of 1.2 one by one.
func patterns() (rows []Scenario) {
	for _, p := range []struct{ config, in, out string }{
		{
			`"https://*.example.org:*"`, "https://a.example.org https://a.b.example.org:1 https://a.example.org:65535",
			"https://example.org https://example.org:1 http://a.example.org",
		},
		{
			`"https://*.example.org:[8080,8443]"`, "https://a.example.org:8080 https://b.a.example.org:8443",
			"https://a.example.org https://a.example.org:80 https://example.org:8080",
		},
		{`"http://[::1]:*"`, "http://[::1] http://[::1]:1", "http://[::2] https://[::1]"},
		{`"http://localhost:*"`, "http://localhost http://localhost:5173", "http://a.localhost https://localhost http://localhost:80000000"},
		{`"chrome-extension://abc"`, "chrome-extension://abc", "chrome-extension://abcd chrome-extension://ab moz-extension://abc"},
		{`{"exact": "https://a.example", "ignore_case": true}`, "https://a.example HTTPS://A.example", "https://b.example"},
		{
			`{"regex": "https://(a|b)\\.example"}`, "https://a.example https://b.example",
			"https://c.example https://a.example.evil.example https://a.exampleb xhttps://a.example",
		},
		{
			`{"safe_regex": {"regex": "https://a\\.example|https://b\\.example"}}`, "https://a.example https://b.example",
			"https://a.examplehttps://b.example https://a.example:8443 https://xb.example",
		},
		{`{"suffix": ".example"}`, "https://a.example", "https://a.example.org https://a.example:1"},
		{`{"contains": "//app"}`, "https://app.example https://apple.example", "https://x.app.example"},
	} {
		config := `{"allow_origins": [` + p.config + `], "dangerously_tolerate": ["loose-origin-match"]}`
		if !strings.Contains(p.config, "suffix") && !strings.Contains(p.config, "contains") {
			config = `{"allow_origins": [` + p.config + `]}`
		}
		for _, o := range strings.Fields(p.in) {
			rows = append(
				rows,
				Scenario{
					Name:    "edge in " + p.config + " " + o,
					Config:  config,
					Request: get("origin", o),
					Want:    Want{Headers: H{acao: o, vary: "origin"}, Counters: requestAllowed},
				},
			)
		}
		for _, o := range strings.Fields(p.out) {
			rows = append(
				rows,
				Scenario{
					Name:    "edge out " + p.config + " " + o,
					Config:  config,
					Request: get("origin", o),
					Want:    Want{Headers: closed, Counters: requestDenied},
				},
			)
		}
	}
	return rows
}
