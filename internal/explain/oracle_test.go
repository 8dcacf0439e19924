package explain

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/browser"
)

// policyModel is a policy in the form in which its meaning is plain: what each
// entry lets in is written beside it, not computed.
type policyModel struct {
	Origins        []string `json:"allow_origins"`
	Methods        []string `json:"allow_methods,omitempty"`
	Headers        []string `json:"allow_headers,omitempty"`
	Expose         []string `json:"expose_headers,omitempty"`
	Credentials    bool     `json:"allow_credentials,omitempty"`
	PrivateNetwork bool     `json:"allow_private_network_access,omitempty"`
	Rejects        string   `json:"disallowed_requests,omitempty"`
	Unmatched      string   `json:"unmatched_preflights,omitempty"`
	Tolerate       []string `json:"dangerously_tolerate,omitempty"`
}

// letsIn lists, for each pattern, the origins of the pool that it means.
var letsIn = map[string][]string{
	"https://example.com":               {"https://example.com"},
	"https://*.example.com":             {"https://a.example.com", "https://a.b.example.com"},
	"https://example.com:*":             {"https://example.com", "https://example.com:8443"},
	"https://example.com:[8443,9443]":   {"https://example.com:8443"},
	"http://localhost:3000":             {"http://localhost:3000"},
	"chrome-extension://abcdefghijklmn": {"chrome-extension://abcdefghijklmn"},
	"null":                              {"null"},
}

var originPool = []string{
	"https://example.com", "https://a.example.com", "https://a.b.example.com", "https://example.com:8443",
	"http://localhost:3000", "chrome-extension://abcdefghijklmn", "null",
	// Strangers, some of which look like friends.
	"https://evil.example", "https://barexample.com", "https://example.com.evil.example", "http://example.com",
	"https://a.example.com:8443", "http://localhost:3001", "https://example.comx",
}

func (m policyModel) allowsOrigin(origin string) bool {
	return slices.ContainsFunc(m.Origins, func(p string) bool { return p == "*" || slices.Contains(letsIn[p], origin) })
}

func (m policyModel) allowsMethod(method string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST"}, method) || slices.Contains(m.Methods, method) || slices.Contains(m.Methods, "*")
}

func (m policyModel) allowsHeader(name string) bool {
	if slices.Contains(m.Headers, name) {
		return true
	}
	return slices.Contains(m.Headers, "*") && (m.Credentials || name != "authorization")
}

// allows says what the policy means for a request.
func (m policyModel) allows(r browser.Request) bool {
	if !m.allowsOrigin(r.Origin) || r.Credentials && !m.Credentials {
		return false
	}
	if needed, _ := r.NeedsPreflight(); !needed {
		return true
	}
	return m.allowsMethod(r.NormalizedMethod()) && !slices.ContainsFunc(r.UnsafeHeaderNames(), func(n string) bool { return !m.allowsHeader(n) }) &&
		(!r.PrivateNetwork || m.PrivateNetwork)
}

func drawPolicy(t *rapid.T) policyModel {
	patterns := append([]string{"*"}, sortedKeys(letsIn)...)
	m := policyModel{
		Origins:        rapid.SliceOfNDistinct(rapid.SampledFrom(patterns), 1, 4, rapid.ID).Draw(t, "origins"),
		Methods:        rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"*", "PUT", "DELETE", "PATCH", "GET", "QUERY"}), 0, 3, rapid.ID).Draw(t, "methods"),
		Headers:        rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"*", "content-type", "x-a", "authorization"}), 0, 3, rapid.ID).Draw(t, "headers"),
		Expose:         rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x-total", "etag"}), 0, 2, rapid.ID).Draw(t, "expose"),
		Credentials:    rapid.Bool().Draw(t, "credentials"),
		PrivateNetwork: rapid.Bool().Draw(t, "private network"),
		Rejects:        rapid.SampledFrom([]string{"", "forward", "reject"}).Draw(t, "disallowed"),
		Unmatched:      rapid.SampledFrom([]string{"", "deny", "forward"}).Draw(t, "unmatched"),
		Tolerate:       []string{"null-origin", "any-origin-with-credentials"},
	}
	return m
}

func drawRequest(t *rapid.T) browser.Request {
	r := browser.Request{
		Origin:         rapid.SampledFrom(originPool).Draw(t, "origin"),
		Method:         rapid.SampledFrom([]string{"GET", "post", "PUT", "put", "DELETE", "PATCH", "patch", "QUERY"}).Draw(t, "method"),
		Credentials:    rapid.Bool().Draw(t, "sends credentials"),
		PrivateNetwork: rapid.IntRange(0, 4).Draw(t, "private") == 0,
	}
	for _, h := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"X-A: 1", "x-b: 1", "authorization: Bearer t", "content-type: application/json", "content-type: text/plain", "accept: */*"}), 0, 3, rapid.ID).Draw(t, "sets") {
		name, value, _ := strings.Cut(h, ": ")
		r.Headers = append(r.Headers, browser.Header{Name: name, Value: value})
	}
	return r
}

func sortedKeys(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// checkOracle holds the filter's answers, as a textbook browser takes them, to
// what the policy means.
func checkOracle(t *rapid.T) {
	m, r := drawPolicy(t), drawRequest(t)
	configuration, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Explain(configuration, Request{Request: r, Host: "api.example.net", Path: "/"})
	if err != nil {
		t.Fatalf("%s: %v", configuration, err)
	}
	if report.Allowed != m.allows(r) {
		t.Fatalf("policy %s\nrequest %+v\nbrowser allows: %v, policy allows: %v\n%s", configuration, r, report.Allowed, m.allows(r), report.Verdict)
	}
	if report.Allowed == (report.Remedy != "") {
		t.Fatalf("policy %s\nrequest %+v\nallowed: %v, remedy: %q", configuration, r, report.Allowed, report.Remedy)
	}
	if stage := report.Request; stage != nil && report.Allowed {
		checkResponse(t, m, stage.Exchange)
	}
}

// checkResponse holds the headers of an allowed response to the rules that no
// browser checks and every cache depends on.
func checkResponse(t *rapid.T, m policyModel, x Exchange) {
	count := map[string]int{}
	for _, h := range x.Response {
		count[h.Name]++
	}
	if count["access-control-allow-origin"] != 1 {
		t.Fatalf("%d Access-Control-Allow-Origin in %v", count["access-control-allow-origin"], x.Response)
	}
	anyone := slices.Contains(m.Origins, "*") && !m.Credentials
	if varies := strings.Contains(value(x.Response, "vary"), "origin"); varies == anyone {
		t.Fatalf("any origin without credentials: %v, Vary names Origin: %v", anyone, varies)
	}
	if got, want := value(x.Response, "access-control-expose-headers"), strings.Join(m.Expose, ", "); got != want {
		t.Fatalf("Access-Control-Expose-Headers: %q, want %q", got, want)
	}
}

func TestABrowserAllowsExactlyWhatThePolicySays(t *testing.T) { rapid.Check(t, checkOracle) }

func FuzzABrowserAllowsExactlyWhatThePolicySays(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkOracle)) }
