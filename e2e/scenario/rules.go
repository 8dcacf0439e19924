package scenario

const ruled = `{
  "rules": [
    {"name": "status", "hosts": ["api.example.com", "*.api.example.com"], "paths": ["/status"], "policy": {"allow_origins": ["*"]}},
    {"name": "internal", "paths": ["/internal/*"], "policy": {"mode": "off"}},
    {"name": "partners", "hosts": ["*.partner.example"], "policy": {"allow_origins": ["https://partner.example"]}},
    {"name": "api", "hosts": ["api.example.com"], "paths": ["/v1/*"], "policy": {"allow_origins": ["https://shop.example.com"], "expose_headers": "x-api"}},
    {"name": "late", "hosts": ["api.example.com"], "policy": {"allow_origins": ["https://late.example"]}}
  ]
}`

const ruledWithDefault = `{"rules": [{"paths": ["/v2/*"], "policy": {"allow_origins": ["https://v2.example"]}}], ` +
	`"allow_origins": ["https://shop.example.com"]}`

const ruledReject = `{"rules": [{"hosts": ["api.example.com"], "policy": {"allow_origins": ["https://shop.example.com"], ` +
	`"disallowed_requests": "reject"}}], "mode": "off"}`

// ruledByForm has a rule for each form of a path: a gRPC service, letters, a regex.
const ruledByForm = `{
  "rules": [
    {"name": "billing", "hosts": ["grpc.example.com"], "paths": ["/billing.*"], "policy": {
      "allow_origins": ["https://shop.example.com"], "allow_headers": ["content-type", "x-grpc-web", "x-user-agent"], "expose_headers": ["grpc-status", "grpc-message"]}},
    {"name": "orders", "paths": [{"regex": "/v[0-9]+/orders(/[0-9]+)?"}, {"regex": "/.*\\.json"}], "policy": {"allow_origins": ["https://shop.example.com"], "expose_headers": "x-orders"}},
    {"name": "v1", "paths": ["/v1*"], "policy": {"allow_origins": ["*"]}}
  ],
  "allow_origins": ["https://other.example"], "disallowed_requests": "reject"
}`

// open is the response of the rule for everyone.
var open = Want{Headers: H{acao: "*"}, Counters: requestAllowed}

// api is the response of the rule for the shop.
var api = Want{Headers: H{acao: shop, aceh: "x-api", vary: "origin"}, Counters: requestAllowed}

// orders is the response of the rule with regexes.
var orders = Want{Headers: H{acao: shop, aceh: "x-orders", vary: "origin"}, Counters: requestAllowed}

func ask(host, path string) []Header {
	return get(":authority", host, ":path", path, "origin", shop)
}

// rules are rows about which policy applies.
var rules = []Scenario{
	{Name: "a rule matches by host and path", Config: ruled, Request: ask("api.example.com", "/status"), Want: open},
	{Name: "the port of the host does not matter", Config: ruled, Request: ask("api.example.com:8443", "/status"), Want: open},
	{Name: "the case of the host does not matter", Config: ruled, Request: ask("API.Example.COM", "/status"), Want: open},
	{Name: "one trailing dot of the host does not matter", Config: ruled, Request: ask("api.example.com.", "/status"), Want: open},
	{Name: "one trailing dot before the port does not matter", Config: ruled, Request: ask("API.example.com.:8443", "/status"), Want: open},
	{
		Name:    "a trailing dot does not escape a rule that rejects",
		Config:  ruledReject,
		Request: get(":authority", "api.example.com.", "origin", "http://evil.example"),
		Want:    rejected,
	},
	{
		Name:    "a trailing dot and a port do not escape a rule that rejects",
		Config:  ruledReject,
		Request: get(":authority", "api.example.com.:8443", "origin", "http://evil.example"),
		Want:    rejected,
	},
	{Name: "two trailing dots are another host", Config: ruled, Request: ask("api.example.com..", "/status"), Want: Want{}},
	{Name: "the query does not matter", Config: ruled, Request: ask("api.example.com", "/status?verbose=/internal/"), Want: open},
	{Name: "a wildcard host stands for one label or more", Config: ruled, Request: ask("eu.west.api.example.com", "/status"), Want: open},
	{
		Name:    "a path is compared as a whole",
		Config:  ruled,
		Request: ask("api.example.com", "/status/"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{Name: "a path is compared by case", Config: ruled, Request: ask("eu.api.example.com", "/Status"), Want: Want{}},
	{Name: "a path with a star matches below", Config: ruled, Request: ask("api.example.com", "/v1/orders/1"), Want: api},
	{Name: "a path with a star matches itself", Config: ruled, Request: ask("api.example.com", "/v1"), Want: api},
	{
		Name:    "a path with a star matches by segment",
		Config:  ruled,
		Request: ask("api.example.com", "/v1x"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:    "the first rule that matches wins",
		Config:  ruled,
		Request: get(":path", "/v1/orders", "origin", "https://late.example"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:    "a later rule takes what earlier ones leave",
		Config:  ruled,
		Request: get(":path", "/v9", "origin", "https://late.example"),
		Want:    Want{Headers: H{acao: "https://late.example", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name: "where no rule matches and there is no policy, the filter leaves the request alone", Config: ruled,
		Request: ask("other.example", "/"), Upstream: careless,
		Want: Want{Headers: H{acao: "*", acac: "true", aceh: "x-secret"}},
	},
	{
		Name: "a policy that is off leaves upstream's headers alone", Config: ruled,
		Request: ask("other.example", "/internal/x"), Upstream: careless,
		Want: Want{Headers: H{acao: "*", acac: "true", aceh: "x-secret"}},
	},
	{
		Name: "a policy that is off lets preflights through", Config: ruled,
		Request: preflight(shop, "PUT", ":path", "/internal/x"), Upstream: Upstream{Status: 405},
		Want: Want{},
	},
	{
		Name: "a preflight finds its policy by host and path", Config: ruled,
		Request: preflight("https://partner.example", "GET", ":authority", "eu.partner.example", ":path", "/any"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: "https://partner.example", vary: varyPreflight},
			Counters: preflightAllowed,
		},
	},
	{
		Name:    "a wildcard host is not the host itself",
		Config:  ruled,
		Request: get(":authority", "partner.example", "origin", "https://partner.example"),
		Want:    Want{},
	},
	{
		Name:    "the top-level policy takes what no rule matches",
		Config:  ruledWithDefault,
		Request: ask("any.example", "/v1"),
		Want:    Want{Headers: H{acao: shop, vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "a rule inherits nothing from the top level",
		Config:  ruledWithDefault,
		Request: ask("any.example", "/v2/x"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},

	{
		Name:    "letters take a package of gRPC services",
		Config:  ruledByForm,
		Request: ask("grpc.example.com", "/billing.Orders/Get"),
		Want:    Want{Headers: H{acao: shop, aceh: "grpc-status, grpc-message", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name: "a preflight of a gRPC service finds its policy by letters", Config: ruledByForm,
		Request: preflight(
			shop, "POST", ":authority", "grpc.example.com", ":path", "/billing.v1.Orders/Get", "access-control-request-headers",
			"content-type,x-grpc-web",
		),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: shop, acah: "content-type, x-grpc-web, x-user-agent", aceh: "grpc-status, grpc-message", vary: varyPreflight},
			Counters: preflightAllowed,
		},
	},
	{
		Name:    "letters do not take another service",
		Config:  ruledByForm,
		Request: ask("grpc.example.com", "/billings.Orders/Get"),
		Want:    rejected,
	},
	{
		Name:    "letters of another host take nothing",
		Config:  ruledByForm,
		Request: ask("api.example.com", "/billing.Orders/Get"),
		Want:    rejected,
	},
	{Name: "letters take no whole segment alone", Config: ruledByForm, Request: ask("api.example.com", "/v1x/a?b=c"), Want: open},
	{Name: "letters take themselves", Config: ruledByForm, Request: ask("api.example.com", "/v1"), Want: open},
	{Name: "a regex takes a path as a whole", Config: ruledByForm, Request: ask("api.example.com", "/v12/orders/7?x=/"), Want: orders},
	{Name: "a regex before letters is asked first", Config: ruledByForm, Request: ask("api.example.com", "/v1/orders"), Want: orders},
	{Name: "a regex takes no part of a path", Config: ruledByForm, Request: ask("api.example.com", "/v2/orders/7/x"), Want: rejected},
	{Name: "a regex distinguishes letters by case", Config: ruledByForm, Request: ask("api.example.com", "/V2/orders"), Want: rejected},
	{Name: "the second regex of a rule", Config: ruledByForm, Request: ask("api.example.com", "/a/b.json"), Want: orders},
	{Name: "a query does not make a path match a regex", Config: ruledByForm, Request: ask("api.example.com", "/a?b=/x.json"), Want: rejected},
}
