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
	Upstream       string   `json:"upstream_headers,omitempty"`
	Mode           string   `json:"mode,omitempty"`
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
	"file://":                           {"file://"},
	"app://.":                           {"app://."},
	"app://*":                           {"app://.", "app://My_App"},
	"moz-extension://*":                 {"moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab"},
	"http://*:*":                        {"http://localhost:3000", "http://example.com", "http://localhost:3001"},
}

var originPool = []string{
	"https://example.com", "https://a.example.com", "https://a.b.example.com", "https://example.com:8443",
	"http://localhost:3000", "chrome-extension://abcdefghijklmn", "null",
	"file://", "app://.", "app://My_App", "moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab",
	// Unlisted origins, some of which look like friends.
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
	return m.allowsMethod(r.NormalizedMethod()) &&
		!slices.ContainsFunc(r.UnsafeHeaderNames(), func(n string) bool { return !m.allowsHeader(n) }) &&
		(!r.PrivateNetwork || m.PrivateNetwork)
}

func drawPolicy(t *rapid.T) policyModel {
	patterns := append([]string{"*"}, sortedKeys(letsIn)...)
	m := policyModel{
		Origins: rapid.SliceOfNDistinct(rapid.SampledFrom(patterns), 1, 4, rapid.ID).Draw(t, "origins"),
		Methods: rapid.SliceOfNDistinct(
			rapid.SampledFrom([]string{"*", "PUT", "DELETE", "PATCH", "GET", "QUERY"}), 0, 3, rapid.ID,
		).Draw(t, "methods"),
		Headers: rapid.SliceOfNDistinct(
			rapid.SampledFrom([]string{"*", "content-type", "x-a", "authorization"}), 0, 3, rapid.ID,
		).Draw(t, "headers"),
		Expose:         rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x-total", "etag"}), 0, 2, rapid.ID).Draw(t, "expose"),
		Credentials:    rapid.Bool().Draw(t, "credentials"),
		PrivateNetwork: rapid.Bool().Draw(t, "private network"),
		Rejects:        rapid.SampledFrom([]string{"", "forward", "reject"}).Draw(t, "disallowed"),
		Unmatched:      rapid.SampledFrom([]string{"", "deny", "forward"}).Draw(t, "unmatched"),
		Upstream:       rapid.SampledFrom([]string{"", "", "override", "preserve"}).Draw(t, "upstream headers"),
		Mode:           rapid.SampledFrom([]string{"", "", "", "enforce", "shadow", "off"}).Draw(t, "mode"),
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
	for _, h := range rapid.SliceOfNDistinct(
		rapid.SampledFrom(
			[]string{"X-A: 1", "x-b: 1", "authorization: Bearer t", "content-type: application/json", "content-type: text/plain", "accept: */*"},
		),
		0, 3, rapid.ID,
	).Draw(t, "sets") {
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

// outcome says what becomes of a request: whether the script gets the response,
// or that upstream decides, whose headers are nil where they are not known.
func (m policyModel) outcome(r browser.Request, upstream []browser.Header) (allowed, decides bool) {
	if r.SameOrigin {
		return true, false
	}
	response := browser.Response{Status: 200, Headers: upstream}
	if m.Mode == "shadow" || m.Mode == "off" {
		outcome := browser.Fetch(r, func(string, []browser.Header) browser.Response { return response })
		return outcome.Allowed(), upstream == nil
	}
	preserves := m.Upstream == "preserve"
	if needed, _ := r.NeedsPreflight(); needed && !m.allowsOrigin(r.Origin) {
		if m.Unmatched != "forward" {
			return false, false
		}
		if upstream == nil {
			return false, true
		}
		// The preflight is upstream's, and the response is closed unless it is
		// upstream's as well.
		if !browser.CheckPreflight(r, response).Allowed || !preserves || m.Rejects == "reject" {
			return false, false
		}
		return browser.CheckResponse(r, response).Allowed, false
	} else if needed && !m.allows(r) {
		return false, false
	}
	if !m.allowsOrigin(r.Origin) && m.Rejects == "reject" {
		return false, false
	}
	if preserves && slices.ContainsFunc(upstream, func(h browser.Header) bool { return h.Name == "access-control-allow-origin" }) {
		return browser.CheckResponse(r, response).Allowed, false
	}
	return m.allows(r), preserves && upstream == nil && !m.allows(r)
}

// placed is the policy somewhere in a configuration, and a request that reaches
// it there.
func placed(t *rapid.T, m policyModel, r Request) (configuration []byte, at func(root map[string]any) map[string]any, where Request) {
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if !rapid.Bool().Draw(t, "in a rule") {
		return text, func(root map[string]any) map[string]any { return root }, r
	}
	r.Path = "/v1/orders?x=1"
	configuration = []byte(
		`{"rules": [{"paths": ["/v2/*"], "policy": {"mode": "off"}}, {"name": "ours", "paths": ["/v1/*"], "policy": ` + string(text) +
			`}, {"policy": {"allow_origins": ["*"]}}], "allow_origins": ["https://elsewhere.example"]}`,
	)
	return configuration, func(root map[string]any) map[string]any {
		return root["rules"].([]any)[1].(map[string]any)["policy"].(map[string]any)
	}, r
}

// checkOracle holds the filter's answers, as a textbook browser takes them, to
// what the policy means.
func checkOracle(t *rapid.T) {
	m := drawPolicy(t)
	r := Request{Request: drawRequest(t), Scheme: "https", Host: "api.example.net", Path: "/"}
	if rapid.IntRange(0, 4).Draw(t, "same origin") == 0 && strings.HasPrefix(r.Origin, "http") {
		r.Scheme, r.Host, _ = strings.Cut(r.Origin, "://")
	}
	switch rapid.IntRange(0, 4).Draw(t, "upstream") {
	case 0:
		r.Upstream = []browser.Header{}
	case 1:
		r.Upstream = []browser.Header{
			{Name: "access-control-allow-origin", Value: "*"},
			{Name: "access-control-allow-methods", Value: "*"},
			{Name: "access-control-allow-headers", Value: "*"},
		}
	case 2:
		r.Upstream = []browser.Header{
			{Name: "access-control-allow-origin", Value: r.Origin},
			{Name: "access-control-allow-credentials", Value: "true"},
			{Name: "access-control-allow-methods", Value: "PUT, DELETE"},
		}
	}
	configuration, at, r := placed(t, m, r)
	report, err := Explain(configuration, r)
	if err != nil {
		t.Fatalf("%s: %v", configuration, err)
	}
	model := r.Request
	model.SameOrigin = strings.HasPrefix(r.Origin, "http") && r.Scheme+"://"+r.Host == r.Origin
	allowed, decides := m.outcome(model, r.Upstream)
	if report.Allowed != allowed || report.UpstreamDecides != decides {
		t.Fatalf("configuration %s\nrequest %+v\nbrowser allows: %v, policy allows: %v; upstream decides: %v, and %v by the model\n%s",
			configuration, r, report.Allowed, allowed, report.UpstreamDecides, decides, report.Verdict)
	}
	if (report.Allowed || report.UpstreamDecides) && report.Remedy != "" {
		t.Fatalf("configuration %s\nrequest %+v\nnothing stands in the way, and the remedy is %q", configuration, r, report.Remedy)
	}
	enforced := m.Mode == "" || m.Mode == "enforce"
	if !report.Allowed && !report.UpstreamDecides && enforced && r.Upstream == nil && report.Remedy == "" {
		t.Fatalf("configuration %s\nrequest %+v\nblocked without a remedy: %s", configuration, r, report.Verdict)
	}
	checkChanges(t, configuration, at, r, report)
	if stage := report.Request; stage != nil && report.Allowed && enforced && !model.SameOrigin && (m.Upstream != "preserve" ||
		len(r.Upstream) == 0) {
		checkResponse(t, m, stage.Exchange)
	}
}

// checkChanges makes the changes that a remedy names, as a person would: the
// filter must take the configuration, and the script get the response.
func checkChanges(t *rapid.T, configuration []byte, at func(map[string]any) map[string]any, r Request, report *Report) {
	if len(report.Changes) == 0 {
		return
	}
	var root map[string]any
	if err := json.Unmarshal(configuration, &root); err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Changes {
		var member map[string]any
		if err := json.Unmarshal([]byte("{"+c.Line+"}"), &member); err != nil {
			t.Fatalf("the line %s is no member of an object: %v", c.Line, err)
		}
		for key, value := range member {
			at(root)[key] = value
		}
		if c.Advice == "" {
			t.Fatalf("the line %s has no advice", c.Line)
		}
	}
	changed, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Explain(changed, r)
	if err != nil {
		t.Fatalf("the remedy of\n%s\nis refused: %v\n%s", configuration, err, changed)
	}
	if !again.Allowed {
		t.Fatalf("the remedy of\n%s\ndoes not help: %s\n%s", configuration, again.Verdict, changed)
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
