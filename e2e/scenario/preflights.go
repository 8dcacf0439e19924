package scenario

import "strings"

var preflights = []Scenario{
	{
		Name:    "a preflight of an allowed origin is answered with the whole lists",
		Config:  standard,
		Request: preflight(shop, "PUT", "access-control-request-headers", "content-type"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: preflightAllowed},
	},
	{
		Name:    "a preflight for a method that is not listed gets the same answer, so that the browser can name it",
		Config:  standard,
		Request: preflight(shop, "PATCH"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: methodDenied},
	},
	{
		Name:    "a preflight for a header that is not listed gets the same answer",
		Config:  standard,
		Request: preflight(shop, "PUT", "access-control-request-headers", "content-type,x-foo"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: headersDenied},
	},
	{
		Name:    "methods are case-sensitive",
		Config:  standard,
		Request: preflight(shop, "put"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: methodDenied},
	},
	{
		Name:    "GET, HEAD and POST never need listing",
		Config:  standard,
		Request: preflight(shop, "POST", "access-control-request-headers", "x-request-id"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: preflightAllowed},
	},
	{
		Name:    "intermediaries may space the list of headers and leave empty elements",
		Config:  standard,
		Request: preflight(shop, "PUT", "access-control-request-headers", " Content-Type ,, x-request-id,"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: preflightAllowed},
	},
	{
		Name:    "a preflight of an unlisted origin is answered with 403 and no CORS header but Vary",
		Config:  standard,
		Request: preflight("https://evil.example", "PUT"),
		Want:    denied,
	},
	{
		Name:    "a preflight of an unlisted origin goes upstream where the policy says so, and upstream's headers stay",
		Config:  `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward"}`,
		Request: preflight("https://partner.example", "PUT"),
		Upstream: Upstream{Status: 200, Headers: []Header{
			{acao, "https://partner.example"}, {acam, "PUT"}, {acac, "true"}, {acah, "x-a"}, {acma, "5"},
		}},
		Want: Want{
			Headers:  H{acao: "https://partner.example", acam: "PUT", acac: "true", acah: "x-a", acma: "5", vary: "origin"},
			Counters: []string{"origin_invalid", "preflight_forwarded"},
		},
	},
	{
		Name:    "a preflight of an allowed origin is answered here where those of unlisted origins go upstream",
		Config:  `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward"}`,
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: shop, vary: varyPreflight}, Counters: preflightAllowed},
	},
	{
		Name:    "any origin without credentials is a star, and Vary does not name Origin",
		Config:  anyone,
		Request: preflight("https://evil.example", "PUT"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: "*", acam: "PUT", aceh: "x-total", vary: varyAnyone},
			Counters: preflightAllowed,
		},
	},
	{
		Name:    "any origin with credentials, waived, is echoed",
		Config:  `{"allow_origins": ["*"], "allow_credentials": true, "dangerously_tolerate": ["any-origin-with-credentials"]}`,
		Request: preflight("https://evil.example", "GET"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: "https://evil.example", acac: "true", vary: varyPreflight},
			Counters: preflightAllowed,
		},
	},
	{
		Name:    "the status of the answer can be chosen",
		Config:  `{"allow_origins": ["https://shop.example.com"], "preflight_status": 200}`,
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 200, Details: "cors_preflight", Headers: H{acao: shop, vary: varyPreflight}, Counters: preflightAllowed},
	},
	{
		Name:    "a max age of -1 says do not cache",
		Config:  `{"allow_origins": ["https://shop.example.com"], "max_age": -1}`,
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: shop, acma: "0", vary: varyPreflight}, Counters: preflightAllowed},
	},
	{
		Name:    "a max age may be a duration",
		Config:  `{"allow_origins": ["https://shop.example.com"], "max_age": "24h"}`,
		Request: preflight(shop, "GET"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: shop, acma: "86400", vary: varyPreflight},
			Counters: preflightAllowed,
		},
	},
	{
		Name:    "a request into a more private network is answered where the policy says so",
		Config:  `{"allow_origins": ["https://shop.example.com"], "allow_private_network_access": true}`,
		Request: preflight(shop, "GET", "access-control-request-private-network", "true"),
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: shop, acpn: "true", vary: varyPreflight},
			Counters: preflightAllowed,
		},
	},
	{
		Name:    "a private network is not mentioned unasked",
		Config:  `{"allow_origins": ["https://shop.example.com"], "allow_private_network_access": true}`,
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: shop, vary: varyPreflight}, Counters: preflightAllowed},
	},
	{
		Name:    "a private network stays closed by default",
		Config:  standard,
		Request: preflight(shop, "PUT", "access-control-request-private-network", "true"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: answered(shop), Counters: preflightAllowed},
	},
	{
		Name:    "OPTIONS without a requested method is no preflight",
		Config:  standard,
		Request: message("OPTIONS", "origin", shop),
		Want:    Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:    "OPTIONS with an empty requested method is no preflight",
		Config:  standard,
		Request: message("OPTIONS", "origin", shop, "access-control-request-method", ""),
		Want:    Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:    "a requested method does not make a GET a preflight",
		Config:  standard,
		Request: get("origin", shop, "access-control-request-method", "PUT"),
		Want:    Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:    "OPTIONS without an origin is not a CORS request",
		Config:  standard,
		Request: message("OPTIONS", "access-control-request-method", "PUT"),
		Want:    Want{Headers: closed},
	},
	{
		Name:        "a requested method that is no token is not repeated",
		Config:      `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["*"], "allow_credentials": true, "debug": true}`,
		Request:     preflight(shop, "PUT\r\nx-evil: 1"),
		NotOverHTTP: true,
		Want: Want{
			Reply:    204,
			Details:  "cors_preflight",
			Headers:  H{acao: shop, acac: "true", vary: varyPreflight, said: "denied; reason=method"},
			Counters: methodDenied,
		},
	},
	{
		Name:    "a requested method longer than any real one is not repeated",
		Config:  `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["*"], "allow_credentials": true}`,
		Request: preflight(shop, strings.Repeat("M", 300)),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: shop, acac: "true", vary: varyPreflight}, Counters: methodDenied},
	},
}
