package scenario

const preserving = `{"allow_origins": ["https://shop.example.com"], "expose_headers": ["x-total"], "upstream_headers": "preserve"}`

// careless is an upstream that allows everyone.
var careless = Upstream{Headers: []Header{{acao, "*"}, {acac, "true"}, {aceh, "x-secret"}}}

var responses = []Scenario{
	{
		Name:     "upstream's own headers are replaced: there is exactly one Access-Control-Allow-Origin",
		Config:   standard,
		Request:  get("origin", shop),
		Upstream: careless,
		Want:     Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:     "upstream cannot open for an unlisted origin what the gateway closed",
		Config:   standard,
		Request:  get("origin", "https://evil.example"),
		Upstream: careless,
		Want:     Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:     "upstream's headers are removed where the request has no origin, since a cache may serve it to all",
		Config:   standard,
		Request:  get(),
		Upstream: careless,
		Want:     Want{Headers: closed},
	},
	{
		Name:     "upstream's credentials are removed where the policy has none",
		Config:   `{"allow_origins": ["https://shop.example.com"]}`,
		Request:  get("origin", shop),
		Upstream: careless,
		Want:     Want{Headers: H{acao: shop, vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:     "two of upstream's own become one",
		Config:   standard,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{acao, "https://a.example"}, {acao, shop}}},
		Want:     Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:     "upstream's headers for preflights are its own business on other responses",
		Config:   standard,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{acam, "PUT"}, {acma, "5"}}},
		Want:     Want{Headers: with(corsHeaders(shop), H{acam: "PUT", acma: "5"}), Counters: requestAllowed},
	},
	{
		Name:     "upstream's headers stay where the policy preserves them",
		Config:   preserving,
		Request:  get("origin", shop),
		Upstream: careless,
		Want:     Want{Headers: H{acao: "*", acac: "true", aceh: "x-secret", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:     "upstream's headers stay for an unlisted origin too, if the policy preserves them",
		Config:   preserving,
		Request:  get("origin", "https://evil.example"),
		Upstream: Upstream{Headers: []Header{{acao, "https://evil.example"}}},
		Want:     Want{Headers: H{acao: "https://evil.example", vary: "origin"}, Counters: requestDenied},
	},
	{
		Name:     "a preserving policy sets its headers if upstream sends no Access-Control-Allow-Origin",
		Config:   preserving,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{aceh, "x-secret"}}},
		Want:     Want{Headers: H{acao: shop, aceh: "x-total", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "any origin without credentials is a star on every response",
		Config:  anyone,
		Request: get("origin", "https://evil.example"),
		Want:    Want{Headers: H{acao: "*", aceh: "x-total"}, Counters: requestAllowed},
	},
	{
		Name:    "any origin without credentials is a star without an origin, too",
		Config:  anyone,
		Request: get(),
		Want:    Want{Headers: H{acao: "*", aceh: "x-total"}},
	},
	{
		Name:     "a star leaves Vary as it is",
		Config:   anyone,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{vary, "accept-encoding"}}},
		Want:     Want{Headers: H{acao: "*", aceh: "x-total", vary: "accept-encoding"}, Counters: requestAllowed},
	},
	{
		Name:     "Vary is appended to",
		Config:   standard,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{vary, "accept-encoding"}}},
		Want:     Want{Headers: with(corsHeaders(shop), H{vary: "accept-encoding,origin"}), Counters: requestAllowed},
	},
	{
		Name:     "Vary names Origin once, however it is written",
		Config:   standard,
		Request:  get(),
		Upstream: Upstream{Headers: []Header{{vary, "Accept-Encoding, Origin"}}},
		Want:     Want{Headers: H{vary: "Accept-Encoding, Origin"}},
	},
	{
		Name:     "a header whose name holds the word is not Origin",
		Config:   standard,
		Request:  get(),
		Upstream: Upstream{Headers: []Header{{vary, "x-origin"}}},
		Want:     Want{Headers: H{vary: "x-origin,origin"}},
	},
	{
		Name:     "nothing is added to a Vary of star",
		Config:   standard,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{vary, "*"}}},
		Want:     Want{Headers: with(corsHeaders(shop), H{vary: "*"}), Counters: requestAllowed},
	},
	{
		Name:     "a second Vary of upstream's counts",
		Config:   standard,
		Request:  get(),
		Upstream: Upstream{Headers: []Header{{vary, "accept-encoding"}, {vary, "origin"}}},
		Want:     Want{Headers: H{vary: "accept-encoding,origin"}},
	},
	{
		Name:    "timing is open for its own origins",
		Config:  `{"allow_origins": ["https://shop.example.com"], "timing_allow_origins": ["https://metrics.example.com"]}`,
		Request: get("origin", "https://metrics.example.com"),
		Want:    Want{Headers: H{tao: "https://metrics.example.com", vary: "origin"}, Counters: requestDenied},
	},
	{
		Name:     "timing is closed for others, though upstream opens it",
		Config:   `{"allow_origins": ["https://shop.example.com"], "timing_allow_origins": ["https://metrics.example.com"]}`,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{tao, "*"}}},
		Want:     Want{Headers: H{acao: shop, vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "timing may be open for everyone",
		Config:  `{"allow_origins": ["*"], "timing_allow_origins": ["*"]}`,
		Request: get(),
		Want:    Want{Headers: H{acao: "*", tao: "*"}},
	},
	{
		Name:    "timing for some origins makes a response of any origin vary",
		Config:  `{"allow_origins": ["*"], "timing_allow_origins": ["https://metrics.example.com"]}`,
		Request: get("origin", shop),
		Want:    Want{Headers: H{acao: "*", vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "the answer to a preflight carries no timing, so that its Vary goes without origin beside a star",
		Config:  `{"allow_origins": ["*"], "timing_allow_origins": ["https://metrics.example.com"]}`,
		Request: preflight(shop, "GET"),
		Want:    Want{Reply: 204, Details: "cors_preflight", Headers: H{acao: "*", vary: varyAnyone}, Counters: preflightAllowed},
	},
	{
		Name:     "timing is upstream's business where the policy does not mention it",
		Config:   standard,
		Request:  get("origin", shop),
		Upstream: Upstream{Headers: []Header{{tao, "*"}}},
		Want:     Want{Headers: with(corsHeaders(shop), H{tao: "*"}), Counters: requestAllowed},
	},
}
