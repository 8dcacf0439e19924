// Package workload has the requests, responses and policies of the benchmarks, and the
// expected outcomes: requests as browsers send them, a response as an API sends it,
// policies of any size. It imports only the standard library.
package workload

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Pairs are header entries in their order.
type Pairs [][2]string

// Want is what must come of a request, asserted before it is timed.
type Want struct {
	Status int `json:"status"` // of the reply; 0: the request is forwarded
	// Headers are those of the reply, or those set or added on the response.
	Headers  Pairs    `json:"headers"`
	Counters []string `json:"counters"` // that count one
}

// Case is one kind of request.
type Case struct {
	Name string
	// Calls is how often the request has to call the proxy.
	Calls   int
	request Pairs
	origin  string
	want    Want
}

// origin stands for the request's Origin in the headers below.
const origin = "{origin}"

var shop, unlisted = "https://shop.example.com", "https://evil.example"

// Response is what upstream answers.
var Response = Pairs{
	{":status", "200"}, {"date", "Mon, 23 Nov 2026 12:00:00 GMT"}, {"server", "envoy"}, {"content-type", "application/json; charset=utf-8"},
	{"content-length", "5120"}, {"content-encoding", "gzip"}, {"cache-control", "private, max-age=0, must-revalidate"},
	{"etag", `W/"1400-9vI0B6lVJx3J1lDf0mYwZkZgQkE"`}, {"vary", "accept-encoding"}, {"strict-transport-security", "max-age=31536000; includeSubDomains"},
	{"x-content-type-options", "nosniff"}, {"x-request-id", "6f1c2a4e-9d0b-4f5e-8a77-2f1f3b0c9d11"}, {"x-envoy-upstream-service-time", "12"},
	{"set-cookie", "lang=en; Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=None"},
}

var (
	noOrigin = Pairs{
		{":method", "GET"}, {":scheme", "https"}, {":authority", "api.example.com"}, {":path", "/v1/orders?page=2&per_page=50"},
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
		{"accept", "application/json, text/plain, */*"}, {"accept-encoding", "gzip, deflate, br, zstd"}, {"accept-language", "en-GB,en;q=0.9,de;q=0.8"},
		{"cookie", "session=0af7651916cd43dd8448eb211c80319c; lang=en; _ga=GA1.1.1234567890.1700000000"},
		{"x-forwarded-for", "203.0.113.7"}, {"x-forwarded-proto", "https"}, {"x-request-id", "6f1c2a4e-9d0b-4f5e-8a77-2f1f3b0c9d11"},
	}
	fetched = append(noOrigin[:len(noOrigin):len(noOrigin)], Pairs{{"origin", origin}, {"sec-fetch-site", "cross-site"}, {"sec-fetch-mode", "cors"}}...)
	asking  = Pairs{
		{":method", "OPTIONS"}, {":scheme", "https"}, {":authority", "api.example.com"}, {":path", "/v1/orders/17"},
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
		{"accept", "*/*"}, {"accept-encoding", "gzip, deflate, br, zstd"}, {"accept-language", "en-GB,en;q=0.9,de;q=0.8"},
		{"access-control-request-method", "PUT"}, {"access-control-request-headers", "content-type,x-request-id"}, {"origin", origin},
		{"sec-fetch-site", "same-site"}, {"sec-fetch-mode", "cors"}, {"x-forwarded-for", "203.0.113.7"}, {"x-forwarded-proto", "https"},
	}
)

// The cases. Denied is a request of an origin that is not allowed; it is
// forwarded, and no page may read the response.
var (
	NoOrigin = Case{"no-origin", 3, noOrigin, "", Want{0, Pairs{{"vary", "origin"}}, nil}}
	Actual   = Case{"actual", 7, fetched, shop, Want{0, Pairs{
		{"access-control-allow-credentials", "true"}, {"access-control-allow-origin", origin},
		{"access-control-expose-headers", "x-total-count"}, {"vary", "origin"},
	}, []string{"cors.origin_valid", "cors.request_allowed"}}}
	Denied    = Case{"denied", 4, fetched, unlisted, Want{0, Pairs{{"vary", "origin"}}, []string{"cors.origin_invalid", "cors.request_denied"}}}
	Preflight = Case{"preflight", 5, asking, shop, Want{204, Pairs{
		{"access-control-allow-credentials", "true"}, {"access-control-allow-headers", "content-type, x-request-id"},
		{"access-control-allow-methods", "PUT, DELETE"}, {"access-control-allow-origin", origin},
		{"access-control-expose-headers", "x-total-count"}, {"access-control-max-age", "600"}, {"vary", "origin, access-control-request-method, access-control-request-headers"},
	}, []string{"cors.origin_valid", "cors.preflight_allowed"}}}

	Cases = []Case{NoOrigin, Actual, Denied, Preflight}
)

// HasOrigin reports whether its requests have an Origin.
func (c Case) HasOrigin() bool { return c.origin != "" }

// Exchange is one request, with what must come of it.
type Exchange struct {
	Request Pairs `json:"request"`
	Want    Want  `json:"want"`
}

// Exchanges are n requests of the case, to be sent in turn. Where n is more than one
// they are of n different origins, from all over a list of so many.
func (c Case) Exchanges(n, origins int) (all []Exchange) {
	for i := range n {
		o := c.origin
		switch {
		case n == 1:
		case o == unlisted:
			o = fmt.Sprintf("https://evil-%d.example", i)
		default:
			o = member(1 + i*7919%(origins-1)) // a prime: none comes twice
		}
		want := c.want
		want.Headers = fill(want.Headers, o)
		all = append(all, Exchange{fill(c.request, o), want})
	}
	return all
}

func fill(pairs Pairs, o string) Pairs {
	filled := make(Pairs, len(pairs))
	for i, p := range pairs {
		filled[i] = [2]string{p[0], strings.ReplaceAll(p[1], origin, o)}
	}
	return filled
}

// WithRequestHeaders is the preflight with a list of n bytes, more or less, in
// Access-Control-Request-Headers: names that are allowed, but beyond a list of
// 4,096 bytes none is.
func WithRequestHeaders(n int) Exchange {
	e := Preflight.Exchanges(1, 1)[0]
	list := strings.Repeat("x-request-id,", n/13+1)
	list = list[:len(list)-1]
	for i, p := range e.Request {
		if p[0] == "access-control-request-headers" {
			e.Request[i][1] = list
		}
	}
	if len(list) > 4096 {
		e.Want.Counters = []string{"cors.origin_valid", "cors.preflight_denied_headers"}
	}
	return e
}

// entry is the i-th entry of a list of origins: one in five is a pattern. member
// is an origin that it allows.
func entry(i int) string {
	switch {
	case i == 0:
		return shop
	case i%5 == 0:
		return fmt.Sprintf("https://*.team-%d.example.org", i)
	}
	return member(i)
}

func member(i int) string {
	if i%5 == 0 {
		return fmt.Sprintf("https://a.team-%d.example.org", i)
	}
	return fmt.Sprintf("https://app-%d.example.net", i)
}

// Origins returns a list of n entries.
func Origins(n int) (list []string) {
	for i := range n {
		list = append(list, entry(i))
	}
	return list
}

func policy(origins []string) map[string]any {
	return map[string]any{
		"allow_origins": origins, "allow_methods": []string{"PUT", "DELETE"}, "allow_headers": []string{"content-type", "x-request-id"},
		"expose_headers": []string{"x-total-count"}, "allow_credentials": true, "max_age": 600,
	}
}

// WithOrigins is the policy of the cases, with n entries in its list of origins.
func WithOrigins(n int) []byte { return marshal(policy(Origins(n))) }

// WithRules is that policy as the last of n rules by host.
func WithRules(n int) []byte {
	var rules []map[string]any
	for i := range n - 1 {
		rules = append(rules, map[string]any{"hosts": []string{fmt.Sprintf("api-%d.example.net", i)}, "policy": map[string]any{"allow_origins": []string{member(1)}}})
	}
	return marshal(map[string]any{"rules": append(rules, map[string]any{"hosts": []string{"api.example.com"}, "policy": policy(Origins(1))})})
}

func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and booleans only
	}
	return data
}
