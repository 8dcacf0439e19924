package explain

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/browser"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const policy = `{
  "rules": [
    {"name": "public", "paths": ["/status"], "policy": {"allow_origins": ["*"]}},
    {"name": "off", "hosts": ["legacy.example.com"], "policy": {"mode": "off"}},
    {"name": "trial", "hosts": ["trial.example.com"], "policy": {"allow_origins": ["https://shop.example.com"], "mode": "shadow"}},
    {"name": "strict", "hosts": ["strict.example.com"], "policy": {"allow_origins": ["https://shop.example.com"],
      "disallowed_requests": "reject"}},
    {"name": "upstream answers", "hosts": ["mixed.example.com"], "policy": {"allow_origins": ["https://shop.example.com"],
      "unmatched_preflights": "forward"}},
    {"name": "inside", "hosts": ["router.example.com"], "policy": {"allow_origins": ["https://shop.example.com"]}}
  ],
  "allow_origins": ["https://shop.example.com", "https://*.example.org"],
  "allow_methods": ["PUT"],
  "allow_headers": ["content-type"],
  "expose_headers": ["x-total"],
  "allow_credentials": true,
  "max_age": "10m"
}`

func header(name, value string) browser.Header { return browser.Header{Name: name, Value: value} }

var cases = []struct {
	name    string
	request Request
	allowed bool
	decides bool // upstream does
	rule    string
	reason  browser.Reason // of the stage that failed
	remedy  string
	golden  bool
}{
	{
		name: "everything is allowed",
		request: Request{
			Request: browser.Request{
				Origin:      "https://a.example.org",
				Method:      "put",
				Credentials: true,
				Headers:     []browser.Header{header("Content-Type", "application/json")},
			},
		},
		allowed: true,
		golden:  true,
	},
	{
		name: "a header is missing",
		request: Request{
			Request: browser.Request{Origin: "https://shop.example.com", Method: "PUT", Headers: []browser.Header{header("X-Foo", "1")}},
		},
		reason: browser.HeaderNotAllowed,
		remedy: `add "x-foo" to allow_headers`,
		golden: true,
	},
	{
		name:    "a method is missing",
		request: Request{Request: browser.Request{Origin: "https://shop.example.com", Method: "DELETE"}},
		reason:  browser.MethodNotAllowed,
		remedy:  `add "DELETE" to allow_methods`,
	},
	{
		name:    "a lower-case patch is another method",
		request: Request{Request: browser.Request{Origin: "https://shop.example.com", Method: "patch"}},
		reason:  browser.MethodNotAllowed,
		remedy:  `write "PATCH" in the script: methods are case-sensitive, and browsers upper-case only the common ones`,
	},
	{
		name:    "an unlisted origin asks first",
		request: Request{Request: browser.Request{Origin: "https://evil.example", Method: "PUT"}},
		reason:  browser.OriginMissing,
		remedy:  `add "https://evil.example" to allow_origins, if that page may read responses`,
		golden:  true,
	},
	{
		name:    "an unlisted origin sends a simple request",
		request: Request{Request: browser.Request{Origin: "https://evil.example", Method: "GET"}},
		reason:  browser.OriginMissing,
		remedy:  `add "https://evil.example" to allow_origins, if that page may read responses`,
	},
	{
		name:    "an unlisted origin is rejected",
		request: Request{Request: browser.Request{Origin: "https://evil.example", Method: "GET"}, Host: "strict.example.com"},
		rule:    "strict",
		reason:  browser.OriginMissing,
		remedy:  `add "https://evil.example" to allow_origins, if that page may read responses`,
		golden:  true,
	},
	{
		name:    "an unlisted origin's preflight goes upstream",
		request: Request{Request: browser.Request{Origin: "https://evil.example", Method: "PUT"}, Host: "mixed.example.com"},
		rule:    "upstream answers",
		decides: true,
		golden:  true,
	},
	{
		name:    "a public path takes no credentials",
		request: Request{Request: browser.Request{Origin: "https://evil.example", Method: "GET", Credentials: true}, Path: "/status"},
		rule:    "public",
		reason:  browser.WildcardCredentials,
		remedy:  `list the origins in place of "*", and set "allow_credentials": true`,
	},
	{
		name:    "a public path lets anyone in without them",
		request: Request{Request: browser.Request{Origin: "null", Method: "GET"}, Path: "/status?x=1"},
		rule:    "public",
		allowed: true,
	},
	{
		name: "credentials are not allowed",
		request: Request{
			Request: browser.Request{Origin: "https://shop.example.com", Method: "GET", Credentials: true},
			Host:    "strict.example.com",
		},
		rule:   "strict",
		reason: browser.CredentialsMissing,
		remedy: `set "allow_credentials": true, or send the request without credentials`,
	},
	{
		name: "the target is in a more private network",
		request: Request{
			Request: browser.Request{Origin: "https://shop.example.com", Method: "GET", PrivateNetwork: true},
			Host:    "router.example.com",
		},
		rule:   "inside",
		reason: browser.PrivateNetworkDenied,
		remedy: `set "allow_private_network_access": true, for browsers that still send this preflight`,
	},
	{
		name:    "a page calls its own origin, where unlisted origins are rejected",
		request: Request{Request: browser.Request{Origin: "https://strict.example.com", Method: "POST"}, Host: "strict.example.com:443"},
		rule:    "strict",
		allowed: true,
		golden:  true,
	},
	{
		name: "a PUT to its own origin needs no preflight",
		request: Request{
			Request: browser.Request{Origin: "http://localhost:3000", Method: "PUT", Credentials: true},
			Scheme:  "http",
			Host:    "localhost:3000",
		},
		allowed: true,
	},
	{
		name:    "another scheme is another origin",
		request: Request{Request: browser.Request{Origin: "http://strict.example.com", Method: "POST"}, Host: "strict.example.com"},
		rule:    "strict",
		reason:  browser.OriginMissing,
		remedy:  `add "http://strict.example.com" to allow_origins, if that page may read responses`,
	},
	{
		// The filter cannot tell it from a request behind a load balancer that ends TLS,
		// and forwards it; the browser can.
		name: "an https page calls its own host over http",
		request: Request{
			Request: browser.Request{Origin: "https://strict.example.com", Method: "POST"},
			Scheme:  "http",
			Host:    "strict.example.com",
		},
		rule:   "strict",
		reason: browser.OriginMissing,
		remedy: `add "https://strict.example.com" to allow_origins, if that page may read responses`,
		golden: true,
	},
	{
		name: "several things are missing",
		request: Request{Request: browser.Request{Origin: "https://evil.example", Method: "DELETE", Credentials: true,
			Headers: []browser.Header{header("X-Foo", "1"), header("Authorization", "Bearer t")}}, Host: "strict.example.com"},
		rule:   "strict",
		reason: browser.OriginMissing,
		remedy: `add "https://evil.example" to allow_origins, if that page may read responses; then set ` +
			`"allow_credentials": true, or send the request without credentials; ` +
			`then add "DELETE" to allow_methods; then add "authorization" to allow_headers; then add "x-foo" to allow_headers`,
		golden: true,
	},
	{
		name:    "an origin that takes a waiver",
		request: Request{Request: browser.Request{Origin: "null", Method: "GET"}},
		reason:  browser.OriginMissing,
		remedy: "give the page an origin: a server's, such as http://localhost:3000, in place of a file or a data: URL, and " +
			"allow-same-origin in a sandboxed frame; otherwise " +
			`add "null" to allow_origins, if that page may read responses; then give "null" the waiver "null-origin": ` +
			`any page can make its origin null, in a sandboxed frame`,
		golden: true,
	},
	{
		name: "upstream opens what the filter leaves alone",
		request: Request{
			Request:  browser.Request{Origin: "https://shop.example.com", Method: "GET"},
			Host:     "legacy.example.com",
			Upstream: []browser.Header{header("Access-Control-Allow-Origin", "*")},
		},
		rule:    "off",
		allowed: true,
	},
	{
		name: "upstream does not open what the filter leaves alone",
		request: Request{
			Request:  browser.Request{Origin: "https://shop.example.com", Method: "GET"},
			Host:     "trial.example.com",
			Upstream: []browser.Header{header("Access-Control-Allow-Origin", "https://other.example")},
		},
		rule:   "trial",
		reason: browser.OriginMismatch,
	},
	{
		name: "upstream lets the preflight pass, and the filter closes the response",
		request: Request{Request: browser.Request{Origin: "https://evil.example", Method: "PUT"}, Host: "mixed.example.com",
			Upstream: []browser.Header{header("Access-Control-Allow-Origin", "*"), header("Access-Control-Allow-Methods", "PUT")}},
		rule:   "upstream answers",
		reason: browser.OriginMissing,
		remedy: `add "https://evil.example" to allow_origins, if that page may read responses; then add "PUT" to allow_methods`,
	},
	{
		name:    "a page in a file",
		request: Request{Request: browser.Request{Origin: "file://", Method: "GET"}},
		reason:  browser.OriginMissing,
		remedy: `let the app register a scheme of its own for its pages; otherwise add "file://" to allow_origins, if that page may ` +
			`read responses; then give "file://" the waiver "null-origin": every file has this origin, whoever made it, in browsers ` +
			`and apps that give files one`,
		golden: true,
	},
	{
		name:    "an extension of Firefox",
		request: Request{Request: browser.Request{Origin: "moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab", Method: "PUT"}},
		reason:  browser.OriginMissing,
		remedy:  `add "moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab" to allow_origins, if that page may read responses`,
		golden:  true,
	},
	{
		name:    "an app's shell",
		request: Request{Request: browser.Request{Origin: "app://My_App", Method: "GET", Credentials: true}},
		reason:  browser.OriginMissing,
		remedy:  `add "app://My_App" to allow_origins, if that page may read responses`,
	},
	{
		name:    "the filter is off",
		request: Request{Request: browser.Request{Origin: "https://shop.example.com", Method: "GET"}, Host: "legacy.example.com:8443"},
		rule:    "off",
		decides: true,
	},
	{
		name: "a preflight of an escaped slash that Envoy redirects",
		request: Request{
			Request:        browser.Request{Origin: "https://shop.example.com", Method: "PUT"},
			Path:           "/v1/a%2Fb?x=%2F",
			EscapedSlashes: "UNESCAPE_AND_REDIRECT",
		},
		reason: browser.OriginMissing,
		remedy: remedyForSlashes,
		golden: true,
	},
	{
		name: "a request for an escaped slash that Envoy rejects",
		request: Request{
			Request:        browser.Request{Origin: "https://shop.example.com", Method: "GET"},
			Path:           `/status%5c`,
			EscapedSlashes: "REJECT_REQUEST",
		},
		reason: browser.OriginMissing,
		remedy: remedyForSlashes,
		golden: true,
	},
	{
		name: "an escaped slash in the query",
		request: Request{
			Request:        browser.Request{Origin: "https://shop.example.com", Method: "PUT"},
			Path:           "/a?x=%2F",
			EscapedSlashes: "UNESCAPE_AND_REDIRECT",
		},
		allowed: true,
	},
	{
		name: "an escaped slash that is left alone",
		request: Request{
			Request:        browser.Request{Origin: "https://shop.example.com", Method: "PUT"},
			Path:           "/a%2fb",
			EscapedSlashes: "KEEP_UNCHANGED",
		},
		allowed: true,
	},
	{
		name: "an escaped slash that is one for the rules",
		request: Request{
			Request:        browser.Request{Origin: "https://anyone.example", Method: "GET"},
			Path:           "/v1/..%2fstatus?x=1",
			EscapedSlashes: "UNESCAPE_AND_FORWARD",
		},
		allowed: true,
		rule:    "public",
		golden:  true,
	},
	{
		name:    "the filter only watches",
		request: Request{Request: browser.Request{Origin: "https://shop.example.com", Method: "PUT"}, Host: "trial.example.com"},
		rule:    "trial",
		decides: true,
		golden:  true,
	},
}

func TestExplain(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.request.Path == "" {
				c.request.Path = "/v1"
			}
			if c.request.Host == "" {
				c.request.Host = "api.example.com"
			}
			report, err := Explain([]byte(policy), c.request)
			if err != nil {
				t.Fatal(err)
			}
			if report.UpstreamDecides != c.decides {
				t.Errorf("upstream decides: %v, want %v", report.UpstreamDecides, c.decides)
			}
			if report.Allowed != c.allowed || report.Rule != c.rule || report.Remedy != c.remedy {
				t.Errorf("allowed %v, rule %q, remedy %q; want %v, %q, %q", report.Allowed, report.Rule, report.Remedy, c.allowed, c.rule, c.remedy)
			}
			failed := browser.Passed
			for _, stage := range []*Stage{report.Preflight, report.Request} {
				if stage != nil && !stage.Unknown && !stage.Browser.Allowed {
					failed = stage.Browser.Reason
				}
			}
			if failed != c.reason {
				t.Errorf("fails for %q, want %q", failed, c.reason)
			}
			if c.golden {
				compareGolden(t, report)
			}
		})
	}
}

// compareGolden pins the text that people read.
func compareGolden(t *testing.T, report *Report) {
	t.Helper()
	var got bytes.Buffer
	if err := report.Text(&got); err != nil {
		t.Fatal(err)
	}
	_, name, _ := strings.Cut(t.Name(), "/")
	compareWith(t, filepath.Join("testdata", name+".txt"), got.String())
}

func compareWith(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run go test ./internal/explain -update\n%s", path, got)
	}
}

func TestARefusedConfigurationIsNotExplained(t *testing.T) {
	_, err := Explain(
		[]byte(`{"allow_origins": ["https://a.example/"]}`), Request{Request: browser.Request{Origin: "https://a.example", Method: "GET"}},
	)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Path != "allow_origins[0]" {
		t.Errorf("error %v, want the one mistake of the configuration", err)
	}
}

func TestWhatNoBrowserSendsIsNotExplained(t *testing.T) {
	for _, r := range []browser.Request{
		{Origin: "https://shop.example.com", Method: "TRACE"},
		{Origin: "https://shop.example.com", Method: "GE T"},
		{Origin: "https://shop.example.com", Method: "GET", Headers: []browser.Header{header("Cookie", "a=b")}},
	} {
		if report, err := Explain([]byte(policy), Request{Request: r}); err == nil {
			t.Errorf("%+v is explained: %s", r, report.Verdict)
		}
	}
}

// TestARemedyHelpsWhateverUpstreamSends has a policy that preserves upstream's
// headers: after the origin alone, upstream would decide.
func TestARemedyHelpsWhateverUpstreamSends(t *testing.T) {
	const policy = `{"allow_origins": ["https://a.example"], "disallowed_requests": "reject", "upstream_headers": "preserve"}`
	report, err := Explain(
		[]byte(policy), Request{Request: browser.Request{Origin: "https://b.example", Method: "GET", Credentials: true}, Path: "/"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if want := `add "https://b.example" to allow_origins, if that page may read responses; then set ` +
		`"allow_credentials": true, or send the request without credentials`; report.Remedy != want ||
		len(report.Changes) != 2 {
		t.Errorf("remedy %q, %d changes", report.Remedy, len(report.Changes))
	}
}

// TestRequestsWithoutAPolicy: upstream answers, and a policy at the top level would
// help; methods are compared with no policy.
func TestRequestsWithoutAPolicy(t *testing.T) {
	const policy = `{"rules": [{"hosts": ["a.example"], "policy": {"mode": "off"}}]}`
	for _, c := range []struct{ method, opens, line string }{
		{"GET", "https://x.example", `"allow_origins": ["https://b.example"]`},
		{"query", "*", ""}, // the method alone is no policy
		{"patch", "*", ""},
	} {
		report, err := Explain([]byte(policy), Request{
			Request: browser.Request{Origin: "https://b.example", Method: c.method}, Host: "other.example", Path: "/",
			Upstream: []browser.Header{header("access-control-allow-origin", c.opens)},
		})
		if err != nil {
			t.Fatal(err)
		}
		line := ""
		for _, change := range report.Changes {
			line += change.Line
		}
		if report.Allowed || line != c.line {
			t.Errorf("%s: allowed %v, %q, remedy %q", c.method, report.Allowed, line, report.Remedy)
		}
	}
}

// TestChangesAreInThePolicysWords: a line replaces the one of the policy, however that
// spells its key; and a list to rewrite is empty.
func TestChangesAreInThePolicysWords(t *testing.T) {
	const origin = "https://b.example"
	for _, c := range []struct {
		policy      string
		credentials bool
		lines       []string
	}{
		{"\ufeff" + `{"allow_origin_string_match": [{"safe_regex": {"regex": "https://[a]\\.example"}}], "max_age": "5"}`, false, []string{
			`"allow_origin_string_match": [{"regex": "https://[a]\\.example"}, "https://b.example"]`}},
		{
			`{"rules": [{"policy": {"allowOrigins": ["https://a.example"]}}]}`, false,
			[]string{`"allowOrigins": ["https://a.example", "https://b.example"]`},
		},
		{ // a waiver is given to the entry that needs it, and to no other
			`{"allow_origins": ["http://a.example"], "allow_credentials": true, "dangerously_tolerate": ["insecure-origin"]}`, true,
			[]string{`"allow_origins": ["http://a.example", "https://b.example"]`},
		},
		{
			`{"allowOrigins": ["http://a.example"]}`, true, []string{
				`"allowOrigins": [{"origin": "http://a.example", "dangerously_tolerate": ["insecure-origin"]}, "https://b.example"]`,
				`"allow_credentials": true`,
			},
		},
		{
			`{"allow_origins": ["*"], "expose_headers": "*"}`, true,
			[]string{`"allow_origins": ["https://b.example"]`, `"allow_credentials": true`},
		},
	} {
		report, err := Explain(
			[]byte(c.policy), Request{Request: browser.Request{Origin: origin, Method: "GET", Credentials: c.credentials}, Path: "/"},
		)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, change := range report.Changes {
			lines = append(lines, change.Line)
		}
		if !slices.Equal(lines, c.lines) {
			t.Errorf("%s: %q, want %q", c.policy, lines, c.lines)
		}
	}
}

// TestNearestOriginFirst: what a page can do comes before what a policy can, and a waiver
// comes last.
func TestNearestOriginFirst(t *testing.T) {
	for _, c := range []struct{ origins, page, instead, then string }{
		{`"https://shop.example.com"`, "http://shop.example.com", "the policy has https://shop.example.com; this differs in its " +
			"scheme: open the page over https", "insecure-origin"},
		{`"http://shop.test:8080"`, "https://shop.test:8080", "the policy has http://shop.test:8080; this differs in its scheme: " +
			"write https in the policy, because the page uses it", ""},
		{`"https://shop.example.com"`, "https://shop.example.com:8443", "the policy has https://shop.example.com; this differs in " +
			"its port: open the page without a port", ""},
		{`"http://localhost:3000"`, "http://localhost:3001", "the policy has http://localhost:3000; this differs in its port: open " +
			"the page at port 3000", ""},
		{`"http://localhost:3000"`, "http://127.0.0.1:3000", "the policy has http://localhost:3000; this differs in its host: open " +
			"the page at localhost", ""},
		{`"https://shop.example.com"`, "http://shop.example.com:8080",
			"the policy has https://shop.example.com; this differs in its scheme and its port: open the page at https://shop.example.com", ""},
		{`"https://www.example.com"`, "https://example.com",
			"the policy has https://www.example.com; this differs in its www: open the page at www.example.com, and redirect the other " +
				"name to it", ""},
		{`"https://example.com"`, "https://www.example.com",
			"the policy has https://example.com; this differs in its www: open the page at example.com, and redirect the other name to it", ""},
		{`"https://*.example.com"`, "http://shop.example.com", "the policy has https://*.example.com; this differs in its scheme: " +
			"open the page over https", ""},
		{`"https://*.example.com"`, "https://example.com", `the policy has https://*.example.com; this is the domain itself, which ` +
			`"*." does not cover`, `: add "https://example.com"`},
		{`"https://example.com"`, "https://shop.example.com", "the policy has https://example.com; this is a subdomain of it, and " +
			"has an origin of its own", `: add "https://shop`},
		{`"https://shop.example.com"`, "https://shpo.example.com",
			"the policy has https://shop.example.com; this differs in its spelling: correct the wrong one; a lookalike name " +
				"may belong to somebody else", ""},
		{`"https://shop.example.com"`, "https://shops.example.com",
			"the policy has https://shop.example.com; this differs in its spelling: correct the wrong one; a lookalike name " +
				"may belong to somebody else", ""},
		{`"https://a.example.com", "https://shop.example.com"`, "http://shop.example.com",
			"the policy has https://shop.example.com; this differs in its scheme: open the page over https", ""},
		{`"https://elsewhere.example"`, "http://shop.example.com",
			`serve the page over https, and add "https://shop.example.com" to allow_origins`, "insecure-origin"},
		{`"https://app1.example.com"`, "https://app2.example.com", "", ""},
		{`"https://shop.example.com"`, "https://blog.example.com", "", ""},
		{`"https://shop.example.com"`, "https://shop.example.com.evil.example", "", ""},
		{`"https://*", "http://*:8080"`, "http://shop.example.com", `serve the page over https, and add "https://shop.example.com" ` +
			`to allow_origins`, ""},
		{`"chrome-extension://abcdefgh"`, "chrome-extension://abcdefgi", "", ""},
	} {
		configuration := `{"allow_origins": [` + c.origins + `], "allow_credentials": true, "dangerously_tolerate": ` +
			`["any-origin-with-credentials"]}`
		if strings.Contains(c.origins, "http://shop.test") {
			configuration = `{"allow_origins": [` + c.origins + `]}`
		}
		report, err := Explain([]byte(configuration), Request{Request: browser.Request{Origin: c.page, Method: "GET"},
			Host: "api.example.net", Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		separator := "; otherwise "
		if strings.HasPrefix(c.then, ": ") {
			separator = ""
			if report.Instead != "" {
				t.Errorf("%s: instead %q", c.page, report.Instead)
			}
		} else if report.Instead != c.instead {
			t.Errorf("%s: instead %q, want %q", c.page, report.Instead, c.instead)
		}
		if c.instead != "" && !strings.HasPrefix(report.Remedy, c.instead+separator) || c.instead == "" &&
			!strings.HasPrefix(report.Remedy, "add ") {
			t.Errorf("%s: remedy %q, want %q first", c.page, report.Remedy, c.instead)
		}
		if !strings.Contains(report.Remedy, c.then) || len(report.Changes) == 0 {
			t.Errorf("%s: remedy %q, %d changes", c.page, report.Remedy, len(report.Changes))
		}
	}
}

// TestLocalNetworkAccess: no remedy of the policy's helps a page on the public web that
// calls a private or loopback address.
func TestLocalNetworkAccess(t *testing.T) {
	const configuration = `{"allow_origins": ["https://shop.example.com", "http://localhost:3000"], "allow_private_network_access": true}`
	for _, c := range []struct {
		origin, host  string
		asks, allowed bool
	}{
		{"https://shop.example.com", "192.168.1.10:8443", true, true},
		{"https://shop.example.com", "localhost:8080", true, true},
		{"https://shop.example.com", "[::1]", true, true},
		{"https://shop.example.com", "printer.local", true, true},
		{"https://evil.example", "127.0.0.1", true, false},
		{"http://evil.example", "10.0.0.1", true, false},
		{"https://203.0.113.9", "100.64.0.1", true, false},
		{"https://shop.example.com", "api.example.com", false, true},
		{"https://shop.example.com", "203.0.113.10", false, true},
		{"http://localhost:3000", "127.0.0.1:8080", false, true},
		{"https://192.168.1.9", "192.168.1.10", false, false},
		{"https://intranet", "10.0.0.1", false, false},
		{"chrome-extension://abcdefgh", "127.0.0.1", false, false},
	} {
		report, err := Explain([]byte(configuration), Request{Request: browser.Request{Origin: c.origin, Method: "GET"}, Host: c.host, Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		noted := slices.ContainsFunc(report.Notes, func(n string) bool {
			return strings.Contains(n, "(Local Network Access)") && strings.Contains(n,
				"Private Network Access, which current browsers no longer send")
		})
		if noted != c.asks || report.Allowed != c.allowed || strings.Contains(report.Verdict, "once the user") != (c.asks && c.allowed) {
			t.Errorf("%s at %s: noted %v, %s", c.origin, c.host, noted, report.Verdict)
		}
		if c.asks && !c.allowed && (report.Remedy != localRemedy || report.Changes != nil) {
			t.Errorf("%s at %s: remedy %q, %v", c.origin, c.host, report.Remedy, report.Changes)
		}
	}
}

// TestEnginesAreSaidToDiffer: the standard gives the verdict, and what the engines do
// instead stands beside it.
func TestEnginesAreSaidToDiffer(t *testing.T) {
	const configuration = `{"allow_origins": ["*"], "allow_headers": "*"}`
	for _, c := range []struct {
		set     browser.Header
		allowed bool
		says    string
	}{
		{header("authorization", "Bearer t"), false, `"*" in Access-Control-Allow-Headers does not cover authorization, by the standard; ` +
			"in Chromium, Firefox and WebKit it does if no credentials are included: there the script gets the response"},
		{header("dpr", "2"), true, "client hints that a script sets (device-memory, downlink, dpr, ect, rtt, save-data, " +
			"viewport-width, width) need the server's " +
			"consent, by the standard; in Chromium they need none if their values are well-formed"},
		{header("x-a", "1"), true, ""},
	} {
		r := Request{Request: browser.Request{Origin: "https://shop.example.com", Method: "GET", Headers: []browser.Header{c.set}},
			Host: "api.example.com", Path: "/"}
		report, err := Explain([]byte(configuration), r)
		if err != nil {
			t.Fatal(err)
		}
		says := ""
		for _, d := range report.Engines {
			says += d.Says
		}
		if report.Allowed != c.allowed || says != c.says {
			t.Errorf("%s: allowed %v, %q; want %v, %q", c.set.Name, report.Allowed, says, c.allowed, c.says)
		}
	}
}

// TestWebSockets: browsers look at no CORS header of a WebSocket, and the server alone can
// refuse it.
func TestWebSockets(t *testing.T) {
	for _, c := range []struct {
		policy, origin, verdict, remedy string
		note                            bool
	}{
		{`{"allow_origins": ["https://a.example"]}`, "https://a.example", "allowed: the WebSocket is opened; that is not a CORS " +
			"request, and the browser checks no CORS header", "", false},
		{`{"allow_origins": ["https://a.example"]}`, "https://evil.example",
			"allowed: the WebSocket is opened; that is not a CORS request, and the browser checks no CORS header", "", true},
		{`{"allow_origins": ["https://a.example"], "disallowed_requests": "reject"}`, "https://evil.example",
			"blocked: the WebSocket handshake is rejected", `add "https://evil.example" to allow_origins, if that page may read ` +
				`responses`, false},
		{`{"allow_origins": ["https://a.example"], "disallowed_requests": "reject"}`, "https://api.example.com",
			"allowed: the page calls its own origin, so CORS does not apply", "", false},
	} {
		r := Request{Request: browser.Request{Origin: c.origin, Method: "GET", Headers: []browser.Header{header("x-a", "1")}}}
		if err := r.Target("wss://api.example.com/live"); err != nil {
			t.Fatal(err)
		}
		report, err := Explain([]byte(c.policy), r)
		if err != nil {
			t.Fatal(err)
		}
		if report.Verdict != c.verdict || report.Remedy != c.remedy || (len(report.Notes) > 0) != c.note || report.Preflight != nil {
			t.Errorf("%s from %s: %s; remedy %q; notes %q", c.policy, c.origin, report.Verdict, report.Remedy, report.Notes)
		}
	}
}

func TestRulesByHostAskForOne(t *testing.T) {
	_, err := Explain([]byte(policy), Request{Request: browser.Request{Origin: "https://shop.example.com", Method: "GET"}, Path: "/"})
	if !errors.Is(err, ErrNoHost) {
		t.Error(err)
	}
}

// TestMethodsThatEnvoyDoesNotKnow: over HTTP/1, which is what browsers speak without TLS,
// Envoy answers them itself.
func TestMethodsThatEnvoyDoesNotKnow(t *testing.T) {
	const configuration = `{"allow_origins": ["*"], "allow_methods": "*"}`
	for _, c := range []struct {
		scheme, method, details, remedy, note string
	}{
		{"http", "FOO", "http1.codec_error", "use a method in the script that Envoy knows, or set allow_custom_methods in the " +
			"connection manager's http_protocol_options", ""},
		{"http", "patch", "http1.codec_error", `write "PATCH" in the script: methods are case-sensitive, and browsers upper-case ` +
			`only the common ones`, ""},
		{"https", "FOO", "", "", "over HTTP/1 Envoy answers the method FOO with 400 (http1.codec_error), before the filter and " +
			"without CORS headers; over HTTP/2 it passes"},
		{"http", "put", "", "", ""},
		{"http", "PROPFIND", "", "", ""},
		{"https", "QUERY", "", "", "Envoy answers QUERY without a content-type with 400 (query_missing_content_type), " +
			"and before 1.40 every QUERY over HTTP/1 (http1.codec_error), before the filter and without CORS headers"},
	} {
		r := Request{Request: browser.Request{Origin: "http://localhost:3000", Method: c.method}, Scheme: c.scheme,
			Host: "localhost:10000", Path: "/"}
		report, err := Explain([]byte(configuration), r)
		if err != nil {
			t.Fatal(err)
		}
		if !report.Preflight.Browser.Allowed || report.Allowed != (c.details == "") || report.Request.Exchange.Details != c.details ||
			report.Remedy != c.remedy {
			t.Errorf("%s: %s; %s; remedy %q", c.method, report.Verdict, report.Request.Exchange.Details, report.Remedy)
		}
		if got := strings.Join(report.Notes, ""); got != c.note {
			t.Errorf("%s over %s: note %q, want %q", c.method, c.scheme, got, c.note)
		}
	}
}

// TestARemedyForTheScriptComesWithThePolicys: the policy lacks the origin, and Envoy the
// method.
func TestARemedyForTheScriptComesWithThePolicys(t *testing.T) {
	r := Request{Request: browser.Request{Origin: "https://a.example", Method: "FOO"}, Scheme: "http", Host: "api.example", Path: "/"}
	report, err := Explain([]byte(`{"allow_origins": ["https://shop.example.com"], "allow_methods": "*"}`), r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `add "https://a.example" to allow_origins, if that page may read responses; then use a method in the script that Envoy knows`
	if !strings.HasPrefix(report.Remedy, want) || report.Changes != nil {
		t.Errorf("remedy %q, %v", report.Remedy, report.Changes)
	}
}

// TestAWaiverIsNoFirstRemedy: not for credentials either, which a page over http may
// have with a waiver alone.
func TestAWaiverIsNoFirstRemedy(t *testing.T) {
	r := Request{
		Request: browser.Request{Origin: "http://shop.example.com", Method: "GET", Credentials: true},
		Host:    "api.example.com",
		Path:    "/",
	}
	report, err := Explain([]byte(`{"allow_origins": ["http://shop.example.com"]}`), r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `serve the page over https, and add "https://shop.example.com" to allow_origins; otherwise set "allow_credentials": true`
	if !strings.HasPrefix(report.Remedy, want) || !strings.Contains(report.Remedy, "insecure-origin") {
		t.Errorf("remedy %q", report.Remedy)
	}
}
