package scenario

import "strings"

const debugging = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "allow_headers": ["x-a"], "debug": true}`

const shadowing = `{"allow_origins": ["https://shop.example.com"], "mode": "shadow", "debug": true, "disallowed_requests": "reject"}`

// shadow puts the mode in front of the names of counters.
func shadow(counters []string) (named []string) {
	for _, c := range counters {
		named = append(named, "shadow."+c)
	}
	return named
}

var debugged = H{acao: shop, acam: "PUT", acah: "x-a", vary: varyPreflight}

// visibility are rows about what operators see, and about the mode that only
// sees.
var visibility = []Scenario{
	{
		Name: "the debug header says allowed", Config: debugging, Request: get("origin", shop),
		Want: Want{Headers: H{acao: shop, vary: "origin", said: "allowed"}, Counters: requestAllowed},
	},
	{
		Name: "the debug header says allowed on the answer to a preflight", Config: debugging,
		Request: preflight(shop, "PUT", "access-control-request-headers", "x-a"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: with(debugged, H{said: "allowed"}), Counters: preflightAllowed},
	},
	{
		Name: "the debug header names the method", Config: debugging, Request: preflight(shop, "DELETE"),
		Want: Want{Reply: 204, Details: "cors_preflight", Headers: with(debugged, H{said: "denied; reason=method=DELETE"}), Counters: methodDenied},
	},
	{
		Name: "the debug header names the first header at fault, in lower case", Config: debugging,
		Request: preflight(shop, "PUT", "access-control-request-headers", "x-a,X-Foo,x-bar"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: with(debugged, H{said: "denied; reason=header=x-foo"}), Counters: headersDenied},
	},
	{
		Name: "the debug header does not repeat what is no token", Config: debugging,
		Request: preflight(shop, "PUT", "access-control-request-headers", "x-a,<script>"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: with(debugged, H{said: "denied; reason=header"}), Counters: headersDenied},
	},
	{
		Name: "the debug header does not repeat what is long", Config: debugging,
		Request: preflight(shop, strings.Repeat("M", 65)),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: with(debugged, H{said: "denied; reason=method"}), Counters: methodDenied},
	},
	{
		Name: "the debug header says that the origin is not allowed", Config: debugging, Request: get("origin", "https://evil.example"),
		Want: Want{Headers: H{vary: "origin", said: "denied; reason=origin"}, Counters: requestDenied},
	},
	{
		Name: "the debug header says that the origin is malformed", Config: debugging, Request: preflight("https://evil.example/", "PUT"),
		Want: Want{Reply: 403, Details: "cors_origin_denied", Headers: H{vary: varyPreflight, said: "denied; reason=malformed-origin"}, Counters: preflightDenied},
	},
	{
		Name: "the debug header is silent where there was nothing to decide, and upstream's own is gone", Config: debugging, Request: get(),
		Upstream: Upstream{Headers: []Header{{said, "allowed"}}},
		Want:     Want{Headers: closed},
	},
	{
		Name: "shadow touches nothing on the way to an unlisted origin", Config: shadowing, Request: get("origin", "https://evil.example"),
		Upstream: careless,
		Want:     Want{Headers: H{acao: "*", acac: "true", aceh: "x-secret"}, Counters: shadow(requestRejected)},
	},
	{
		Name: "shadow answers no preflight", Config: shadowing, Request: preflight(shop, "GET"),
		Upstream: Upstream{Status: 404},
		Want:     Want{Counters: shadow(preflightAllowed)},
	},
	{
		Name: "shadow counts an unlisted origin's preflight", Config: shadowing, Request: preflight("https://evil.example", "GET"),
		Upstream: Upstream{Status: 404, Headers: []Header{{vary, "accept"}}},
		Want:     Want{Headers: H{vary: "accept"}, Counters: shadow(preflightDenied)},
	},
	{
		Name: "shadow leaves requests without an origin alone", Config: shadowing, Request: get(),
		Upstream: careless,
		Want:     Want{Headers: H{acao: "*", acac: "true", aceh: "x-secret"}},
	},
}
