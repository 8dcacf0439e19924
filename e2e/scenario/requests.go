package scenario

const rejecting = `{"allow_origins": ["https://shop.example.com"], "disallowed_requests": "reject"}`

var rejected = Want{Reply: 403, Details: "cors_request_rejected", Headers: closed, Counters: requestRejected}

var requests = []Scenario{
	{
		Name:    "a request of an allowed origin is forwarded and its response gets CORS headers",
		Config:  standard,
		Request: get("origin", shop),
		Want:    Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:    "a request of an unlisted origin is forwarded without CORS headers",
		Config:  standard,
		Request: get("origin", "https://evil.example"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:    "a request without an origin is distinguished by Vary",
		Config:  standard,
		Request: get(),
		Want:    Want{Headers: closed},
	},
	{
		Name:    "an empty origin is no origin",
		Config:  standard,
		Request: get("origin", ""),
		Want:    Want{Headers: closed},
	},
	{
		Name:     "an error carries the headers, so that the page can read it",
		Config:   standard,
		Request:  get("origin", shop),
		Upstream: Upstream{Status: 401, Headers: []Header{{"www-authenticate", "Bearer"}}},
		Want:     Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:     "a redirect carries the headers",
		Config:   standard,
		Request:  message("POST", "origin", shop),
		Upstream: Upstream{Status: 302, Headers: []Header{{"location", "/v2/orders"}}},
		Want:     Want{Headers: corsHeaders(shop), Counters: requestAllowed},
	},
	{
		Name:    "a request of an unlisted origin is rejected where the policy says so",
		Config:  rejecting,
		Request: message("POST", "origin", "https://evil.example"),
		Want:    rejected,
	},
	{
		Name:    "a request of an allowed origin passes where unlisted origins are rejected",
		Config:  rejecting,
		Request: message("POST", "origin", shop),
		Want:    Want{Headers: H{acao: shop, vary: "origin"}, Counters: requestAllowed},
	},
	{
		Name:    "a request without an origin passes where unlisted origins are rejected",
		Config:  rejecting,
		Request: get(),
		Want:    Want{Headers: closed},
	},
	{
		Name:    "a malformed origin is rejected, too",
		Config:  rejecting,
		Request: get("origin", "https://evil.example/"),
		Want:    rejected,
	},
	{
		Name:    "a cross-site WebSocket handshake is rejected",
		Config:  rejecting,
		Request: get("origin", "https://evil.example", "connection", "upgrade", "upgrade", "websocket", "sec-fetch-site", "cross-site"),
		Want:    rejected,
	},
	{
		Name:    "a page's request to its own origin is never rejected: the browser says so",
		Config:  rejecting,
		Request: message("POST", "origin", "https://other.example", "sec-fetch-site", "same-origin"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:    "a page of a sibling is another origin",
		Config:  rejecting,
		Request: message("POST", "origin", "https://www.example.com", "sec-fetch-site", "same-site"),
		Want:    rejected,
	},
	{
		Name:    "a page's request to its own origin is known by scheme, host and port",
		Config:  rejecting,
		Request: message("POST", "origin", "http://api.example.com"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:    "the default port may be spelled out in the authority",
		Config:  rejecting,
		Request: message("POST", "origin", "http://api.example.com", ":authority", "api.example.com:80"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:    "the default port may be spelled out in the origin",
		Config:  rejecting,
		Request: message("POST", "origin", "http://api.example.com:80"),
		Want:    Want{Headers: closed, Counters: requestDenied},
	},
	{
		Name:    "another port is another origin",
		Config:  rejecting,
		Request: message("POST", "origin", "http://api.example.com:8080"),
		Want:    rejected,
	},
}
