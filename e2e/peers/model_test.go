package peers

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rs/cors"

	"corsfilter/internal/browser"
)

// ours is a policy in the filter's form.
type ours struct {
	Origins        []any    `json:"allow_origins"`
	Methods        []string `json:"allow_methods,omitempty"`
	Headers        []string `json:"allow_headers,omitempty"`
	Expose         []string `json:"expose_headers,omitempty"`
	Credentials    bool     `json:"allow_credentials,omitempty"`
	MaxAge         *int     `json:"max_age,omitempty"`
	PrivateNetwork bool     `json:"allow_private_network_access,omitempty"`
	Tolerate       []string `json:"dangerously_tolerate"`
}

func (o ours) json() []byte {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return text
}

// policy is one policy in both forms.
type policy struct {
	origins []string
	methods []string
	headers []string
	ours    ours
	theirs  cors.Options
}

// patterns are entries for origins, with the equivalents of rs/cors.
var patterns = map[string][]string{
	"*":                                 {"*"},
	"null":                              {"null"},
	"https://example.com":               {"https://example.com"},
	"https://*.example.com":             {"https://*.example.com"},
	"https://*.example.com:8443":        {"https://*.example.com:8443"},
	"https://example.com:*":             {"https://example.com:*"},
	"https://example.com:[8443,9443]":   {"https://example.com:8443", "https://example.com:9443"},
	"http://localhost:3000":             {"http://localhost:3000"},
	"http://localhost:*":                {"http://localhost:*"},
	"https://[2001:db8::1]:8443":        {"https://[2001:db8::1]:8443"},
	"chrome-extension://abcdefghijklmn": {"chrome-extension://abcdefghijklmn"},
}

var patternNames = sorted(patterns)

func sorted(m map[string][]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// friends are the origins of three in four requests.
var friends = []string{
	"https://example.com", "https://a.example.com", "https://a.b.example.com", "https://a.example.com:8443", "https://example.com:8443",
	"https://example.com:9443", "http://localhost:3000", "http://localhost", "http://localhost:80", "https://[2001:db8::1]:8443",
	"chrome-extension://abcdefghijklmn", "null", "HTTPS://A.EXAMPLE.COM", "https://xn--bcher-kva.example.com", "https://a_b.example.com",
}

// origins are pages of all kinds, and values that no browser sends but another client
// may.
var origins = append(friends[:len(friends):len(friends)], []string{
	// Unlisted origins, some of which resemble friends.
	"https://evil.example", "https://barexample.com", "https://example.com.evil.example", "http://example.com", "http://a.example.com",
	"https://example.comx", "https://example.com.", "https://a.example.com.", "http://localhost:30000", "file://",
	// Values that are not serialized origins.
	"https://example.com:443", "https://a.example.com:443", "https://example.com:99999", "https://example.com:8443.evil.example",
	"https://example.com:",
	"https://evil.example@a.example.com", "https://evil.example/.example.com", "https://evil.example,https://a.example.com",
	"https://evil.example?.example.com",
	"https://evil.example#.example.com", "https://a b.example.com", "https://a\x00.example.com", "https://a\t.example.com",
	"https://\xff.example.com",
	"https://a~b.example.com", "https://.example.com", "https://a..example.com", "https://%61.example.com", "https://[::1].example.com",
	"https://a:b.example.com",
	"https://" + strings.Repeat("a.", 260) + "example.com", "https://example.com/", " ",
}...)

var sends = []browser.Header{
	{Name: "X-A", Value: "1"}, {Name: "x-b", Value: "1"}, {Name: "x-c", Value: "1"}, {Name: "Authorization", Value: "Bearer t"},
	{Name: "content-type", Value: "application/json"}, {Name: "content-type", Value: "text/plain"}, {Name: "accept", Value: "*/*"},
	{Name: "accept", Value: strings.Repeat("a", 129)}, {Name: "x-requested-with", Value: "fetch"}, {Name: "range", Value: "bytes=0-1"},
}

var longName = browser.Header{Name: "x-" + strings.Repeat("long", 1100), Value: "1"}

// some draws up to n different entries.
func some[T any](r *rand.Rand, from []T, n int) (drawn []T) {
	for _, i := range r.Perm(len(from))[:r.IntN(n+1)] {
		drawn = append(drawn, from[i])
	}
	return drawn
}

func drawPolicy(r *rand.Rand) (p policy) {
	for len(p.origins) == 0 {
		p.origins = some(r, patternNames, 8)
	}
	p.methods = some(r, []string{"*", "PUT", "DELETE", "PATCH", "GET", "HEAD", "POST", "OPTIONS", "QUERY", "put"}, 6)
	p.headers = some(r, []string{"*", "content-type", "X-A", "x-b", "authorization", "accept"}, 3)
	expose := some(r, []string{"x-total", "etag", "X-A"}, 2)
	credentials, private := r.IntN(2) == 0, r.IntN(2) == 0
	p.ours = ours{
		Methods: p.methods, Headers: p.headers, Expose: expose, Credentials: credentials, PrivateNetwork: private,
		Tolerate: []string{"null-origin", "any-origin-with-credentials", "insecure-origin"},
	}
	p.theirs = cors.Options{
		AllowedMethods: slices.Clone(p.methods), AllowedHeaders: slices.Clone(p.headers), ExposedHeaders: expose, AllowCredentials: credentials,
		AllowPrivateNetwork: private,
	}
	for _, o := range p.origins {
		p.ours.Origins = append(p.ours.Origins, o)
		p.theirs.AllowedOrigins = append(p.theirs.AllowedOrigins, patterns[o]...)
	}
	if age := []int{-2, -1, 0, 600, 86400}[r.IntN(5)]; age > -2 {
		p.ours.MaxAge, p.theirs.MaxAge = &age, age
	}
	return p
}

var methods = []string{"GET", "GET", "GET", "post", "HEAD", "PUT", "PUT", "put", "DELETE", "PATCH", "patch", "QUERY", "OPTIONS"}

func drawRequest(r *rand.Rand) browser.Request {
	request := browser.Request{
		Origin:         origins[r.IntN(len(origins))],
		Method:         methods[r.IntN(len(methods))],
		Credentials:    r.IntN(3) == 0,
		PrivateNetwork: r.IntN(6) == 0,
		Headers:        some(r, sends, 1+r.IntN(2)),
	}
	if r.IntN(4) > 0 {
		request.Origin = friends[r.IntN(len(friends))]
	}
	if r.IntN(60) == 0 {
		request.Headers = append(request.Headers, longName)
	}
	return request
}
