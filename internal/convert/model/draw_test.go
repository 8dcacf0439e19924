package model

import (
	"slices"
	"strings"

	"pgregory.net/rapid"

	"corsfilter/internal/browser"
)

// What is drawn comes from small pools, so that requests meet policies, and near
// misses of both are in them.

var (
	hostNames = []string{
		"api.example.com", "shop.example.com", "a.shop.example.com", "b.a.shop.example.com", "example.com", "other.example.net",
	}
	hostWilds = []string{"*.example.com", "*.shop.example.com", "*"}
	pathTexts = []string{"/", "/v1", "/v1/", "/v1/orders", "/v1/orders/7", "/v2", "/status"}
	pathNear  = []string{"/v1x", "/v10/orders", "/V1/orders", "/v1/ordersx", "/statusx", "/v2/a", "/other", "/v1/orders?x=1", "/v1?x=/v2"}

	pageOrigins = []string{
		"https://shop.example.com", "https://a.shop.example.com", "https://b.a.shop.example.com", "https://shop.example.com:8443",
		"http://shop.example.com", "http://localhost:3000", "https://pr-7.preview.example.com", "https://app.example.org", "null",
		// Unlisted origins, some of which look like friends.
		"https://evil.example", "https://evilshop.example.com", "https://shop.example.com.evil.example", "http://localhost:3001",
		"https://shop-example.com",
		"https://shopxexample.com", "https://preview.example.com", "chrome-extension://abcdefghijklmnop",
	}
	exactOrigins = []string{
		"https://shop.example.com", "https://a.shop.example.com", "https://shop.example.com:8443", "http://localhost:3000",
		"https://app.example.org",
	}
	methodNames = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"}
	anyMethods  = append([]string{"put", "Delete"}, methodNames...) // where the source does not mind
	headerNames = []string{"content-type", "authorization", "x-a", "X-B"}
	exposed     = []string{"x-total", "etag"}
)

// die draws 0 to n-1, each as often as the other: rapid's own ranges prefer small
// numbers.
func die(t *rapid.T, label string, n int) (v int) {
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 10, 10).Draw(t, label) {
		v *= 2
		if bit {
			v++
		}
	}
	return v * n / 1024
}

// pick draws one of a pool.
func pick[T any](t *rapid.T, label string, pool []T) T { return pool[die(t, label, len(pool))] }

// some draws least to most of a pool.
func some(t *rapid.T, label string, pool []string, least, most int) (out []string) {
	pool = slices.Clone(pool)
	for range least + die(t, label, most-least+1) {
		i := die(t, label, len(pool))
		out = append(out, pool[i])
		pool = slices.Delete(pool, i, i+1)
	}
	return out
}

// chance is true once in n times.
func chance(t *rapid.T, label string, n int) bool { return die(t, label, n) == n-1 }

// optional draws an optional setting.
func optional(t *rapid.T, label string) *bool {
	return pick(t, label, []*bool{nil, nil, yes(), no()})
}

// words draws a list that is, now and then, "*" alone.
func words(t *rapid.T, label string, pool []string, most int) []string {
	if chance(t, label+" any", 6) {
		return []string{"*"}
	}
	return some(t, label, pool, 0, most)
}

// drawTarget draws a host, which browsers write in lower case, and a path.
func drawTarget(t *rapid.T) request {
	host := pick(t, "to host", hostNames[:5+die(t, "elsewhere", 2)])
	if chance(t, "a dot at its end", 12) {
		host += "."
	}
	if chance(t, "a port", 10) {
		host += ":8443"
	}
	return request{Host: host, Path: pick(t, "to path", append(slices.Clone(pathTexts), pathNear...))}
}

// drawPage draws what a script asks for.
func drawPage(t *rapid.T) browser.Request {
	r := browser.Request{
		Origin:         pick(t, "origin", pageOrigins[:8+9*die(t, "an unlisted origin", 2)]),
		Method:         pick(t, "method", []string{"GET", "GET", "GET", "POST", "PUT", "DELETE", "PATCH", "QUERY"}),
		Credentials:    chance(t, "sends credentials", 3),
		PrivateNetwork: chance(t, "private network", 12),
	}
	for _, h := range some(
		t, "sets", []string{"X-A: 1", "x-b: 1", "authorization: Bearer t", "content-type: application/json", "content-type: text/plain"}, 0, 2,
	) {
		name, value, _ := strings.Cut(h, ": ")
		r.Headers = append(r.Headers, browser.Header{Name: name, Value: value})
	}
	return r
}

// drawUpstream draws the CORS headers that the backend sends itself: mostly none.
func drawUpstream(t *rapid.T) []browser.Header {
	switch die(t, "upstream", 8) {
	case 0:
		return []browser.Header{{Name: acao, Value: "*"}, {Name: acam, Value: "*"}, {Name: acah, Value: "*"}}
	case 1:
		return []browser.Header{{Name: acao, Value: "https://app.example.org"}, {Name: acac, Value: "true"}, {Name: aceh, Value: "x-secret"}}
	}
	return nil
}

// waivable are the refusals that a waiver lets through; holdProblem asks whether it
// was given.
func waivable() []reason {
	return []reason{{"a waiver is needed", `\((` + strings.Join(waivers, "|") + `)\)$`}}
}

// drawAges draws how old objects are: of all, or of none, as files have it.
func drawAges(t *rapid.T) func() int {
	if chance(t, "no ages", 2) {
		return func() int { return 0 }
	}
	return func() int { return 1 + die(t, "age", 3) }
}

func drawMatchers(t *rapid.T, loose bool) (out []stringMatcher) {
	for range 1 + die(t, "matchers", 3) {
		switch die(t, "matcher", 12) {
		case 0:
			out = append(out, stringMatcher{Kind: "exact", Value: "*"})
		case 1, 2, 3:
			out = append(out, stringMatcher{Kind: "safe_regex", Value: pick(t, "regex", regexOrigins)})
		case 4:
			out = append(out, stringMatcher{Kind: "prefix", Value: pick(t, "prefix", []string{"https://shop.example.com", "https://shop", "*"})})
		case 5:
			if loose {
				out = append(out, stringMatcher{Kind: pick(t, "loose", []string{"suffix", "contains"}),
					Value: pick(t, "part", []string{".example.com", "shop.example"}), IgnoreCase: chance(t, "any case", 2)})
				continue
			}
			fallthrough
		case 6:
			out = append(out, stringMatcher{Kind: "exact", Value: pick(t, "rare origin", rareOrigins)})
		default:
			out = append(out, stringMatcher{Kind: "exact", Value: pick(t, "exact origin", exactOrigins)})
		}
	}
	return out
}

// maybe draws a policy once in n times.
func maybe[T any](t *rapid.T, label string, n int, draw func(*rapid.T) *T) *T {
	if !chance(t, label, n) {
		return nil
	}
	return draw(t)
}

var (
	rareOrigins  = []string{"http://shop.example.com", "null"}
	regexOrigins = []string{
		`https://.*\.shop\.example\.com`, `https://shop\.example\.com(:[0-9]+)?`, `https://pr-[0-9]+\.preview\.example\.com`,
		`https?://localhost:[0-9]+`,
		`https://([a-z0-9-]+\.)?shop\.example\.com`, `.*`, `https://.*example\.com`, `https://shop.example.com`,
		`https://[a-z]+\.example\.(com|org)`,
	}
)
