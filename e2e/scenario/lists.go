package scenario

import "strings"

const (
	starred      = `{"allow_origins": ["https://shop.example.com"], "allow_methods": "*", "allow_headers": "*", "expose_headers": "*"}`
	starredAuth  = `{"allow_origins": ["https://shop.example.com"], "allow_methods": "*", "allow_headers": ["*", "Authorization"]}`
	starredCreds = `{"allow_origins": ["https://shop.example.com"], "allow_methods": "*", "allow_headers": "*", "allow_credentials": true}`
)

// preflightFor is the answer of a policy with stars to a preflight.
func preflightFor(counters []string, headers ...H) Want {
	return Want{
		Reply:    204,
		Details:  "cors_preflight",
		Headers:  with(append([]H{{acao: shop, vary: varyPreflight}}, headers...)...),
		Counters: counters,
	}
}

// lists are rows about the stars of methods and headers.
var lists = []Scenario{
	{
		Name:    "stars are sent as stars without credentials",
		Config:  starred,
		Request: preflight(shop, "QUERY", "access-control-request-headers", "x-anything"),
		Want:    preflightFor(preflightAllowed, H{acam: "*", acah: "*", aceh: "*"}),
	},
	{
		Name:    "a star does not cover authorization",
		Config:  starred,
		Request: preflight(shop, "GET", "access-control-request-headers", "authorization"),
		Want:    preflightFor(headersDenied, H{acam: "*", acah: "*", aceh: "*"}),
	},
	{
		Name:    "authorization is listed beside the star",
		Config:  starredAuth,
		Request: preflight(shop, "GET", "access-control-request-headers", "authorization,x-a"),
		Want:    preflightFor(preflightAllowed, H{acam: "*", acah: "*, authorization"}),
	},
	{
		Name:    "a star exposes every header",
		Config:  starred,
		Request: get("origin", shop),
		Want:    Want{Headers: H{acao: shop, aceh: "*", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "a star is exposed beside credentials as well, with the names beside it",
		Config:  `{"allow_origins": ["https://shop.example.com"], "expose_headers": ["x-total", "*"], "allow_credentials": true}`,
		Request: get("origin", shop),
		Want:    Want{Headers: H{acao: shop, acac: "true", aceh: "*, x-total", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "stars with credentials repeat what the request asks for",
		Config:  starredCreds,
		Request: preflight(shop, "QUERY", "access-control-request-headers", "X-B,,  authorization\t,x-a"),
		Want:    preflightFor(preflightAllowed, H{acac: "true", acam: "QUERY", acah: "x-b, authorization, x-a"}),
	},
	{
		Name:    "stars with credentials repeat no headers where none are asked for",
		Config:  starredCreds,
		Request: preflight(shop, "PUT"),
		Want:    preflightFor(preflightAllowed, H{acac: "true", acam: "PUT"}),
	},
	{
		Name:    "a list with an element that is no token is not repeated",
		Config:  starredCreds,
		Request: preflight(shop, "PUT", "access-control-request-headers", "x-a, x b"),
		Want:    preflightFor(headersDenied, H{acac: "true", acam: "PUT"}),
	},
	{
		Name:        "a list with a line break is not repeated",
		Config:      starredCreds,
		Request:     preflight(shop, "PUT", "access-control-request-headers", "x-a\r\nset-cookie: a=b"),
		NotOverHTTP: true,
		Want:        preflightFor(headersDenied, H{acac: "true", acam: "PUT"}),
	},
	{
		Name:    "a list of 4,096 bytes is repeated",
		Config:  starredCreds,
		Request: preflight(shop, "PUT", "access-control-request-headers", strings.Repeat("a", 4096)),
		Want:    preflightFor(preflightAllowed, H{acac: "true", acam: "PUT", acah: strings.Repeat("a", 4096)}),
	},
	{
		Name:    "a list of 4,096 bytes of single letters is repeated with spaces",
		Config:  starredCreds,
		Request: preflight(shop, "PUT", "access-control-request-headers", strings.Repeat("a,", 2048)),
		Want:    preflightFor(preflightAllowed, H{acac: "true", acam: "PUT", acah: strings.TrimSuffix(strings.Repeat("a, ", 2048), ", ")}),
	},
	{
		Name:    "a longer list is not repeated",
		Config:  starredCreds,
		Request: preflight(shop, "PUT", "access-control-request-headers", strings.Repeat("a", 4097)),
		Want:    preflightFor(headersDenied, H{acac: "true", acam: "PUT"}),
	},
	{
		Name:    "a longer list is denied where headers are listed, too",
		Config:  standard,
		Request: preflight(shop, "PUT", "access-control-request-headers", strings.Repeat("content-type,", 400)),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: headersDenied},
	},
	{
		Name:    "a forbidden method is not repeated",
		Config:  starredCreds,
		Request: preflight(shop, "TRACE"),
		Want:    preflightFor(methodDenied, H{acac: "true"}),
	},
}
