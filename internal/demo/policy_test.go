package demo

import (
	"slices"
	"strings"
	"testing"
)

const page, other = "http://localhost:8000", "http://localhost:8001"

func find(t *testing.T, configurations ...string) *Policy {
	t.Helper()
	var all [][]byte
	for _, text := range configurations {
		all = append(all, []byte(text))
	}
	return FindPolicy(all, "http://localhost:10000", page, other)
}

func TestFind(t *testing.T) {
	if p := find(t, `{"greeting": "hello"}`); p != nil {
		t.Errorf("found %s", p.text)
	}
	if p := FindPolicy(nil, "://", page); p != nil {
		t.Error("a gateway without a URL has a policy")
	}
	if got := find(t).Standing(page); got != "no policy of the filter is in effect" {
		t.Error(got)
	}
	p := find(t, `{"greeting": "hello"}`, `{"allow_origins": ["http://localhost:8000"]}`)
	if p == nil || p.Standing(page) != "allowed" || p.Standing(other) != "not allowed" || p.Standing("http://localhost") != "not allowed" {
		t.Errorf("%+v", p)
	}
}

func TestAdvise(t *testing.T) {
	questions := []question{
		{Method: "GET", Path: "/api/a"},
		{Method: "DELETE", Path: "/api/b"},
		{Method: "PUT", Path: "/open/c", Headers: [][2]string{{"x-a", "1"}}},
	}
	p := find(
		t,
		`{"allow_origins":["http://localhost:8000"],"allow_methods":"*","allow_headers":"*",`+
			`"rules":[{"name":"open","paths":["/open/*"],"policy":{"mode":"off"}},{"paths":["/api/b"],"policy":{"allow_origins":["*"]}}]}`,
	)
	got, err := p.advise(page, questions)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Allowed || got.Says != "The policy allows this page's origin. "+
		"It may use every method, send every header, and use no credentials." || !strings.Contains(got.Text, "\n  \"allow_origins\": [\n") {
		t.Errorf("%+v", got)
	}
	if len(got.Pages) != 2 || got.Pages[0] != (standing{URL: page, Standing: "allowed"}) ||
		got.Pages[1] != (standing{URL: other, Standing: "not allowed"}) {
		t.Errorf("pages %+v", got.Pages)
	}
	a := got.Answers
	if len(a) != 3 || !a[0].Allowed || a[0].Says != "The policy lets this page read the response." ||
		a[1].Allowed || strings.Join(a[1].Lines, " ") != `"allow_methods": ["DELETE"]` || a[2].Allowed ||
		a[2].Says != "The policy leaves the decision to upstream." {
		t.Errorf("answers %+v", a)
	}
	if got, err := p.advise(page, questions[2:]); err != nil || got.Allowed ||
		got.Says != `For /open/c the rule "open" applies, which is in mode off: the filter leaves this page's requests to upstream.` {
		t.Errorf("%+v, %v", got, err)
	}
	p = find(
		t,
		`{"rules":[{"paths":["/open/*"],"policy":{"allow_origins":["https://shop.example.com"],`+
			`"allow_headers":"x-a","allow_credentials":true,"disallowed_requests":"reject"}}]}`,
	)
	for path, want := range map[string]string{
		"/":       "No policy applies to /: the filter leaves this page's requests to upstream.",
		"/open/x": `For /open/x the rule "rules[0]" applies, which does not allow this page's origin: the filter rejects its requests.`,
	} {
		if got, err := p.advise(page, []question{{Method: "GET", Path: path}}); err != nil || got.Says != want {
			t.Errorf("%s: %q, %v", path, got.Says, err)
		}
	}
	for origin, q := range map[string]question{"localhost": {Method: "GET"}, page: {Method: "G T"}} {
		if _, err := p.advise(origin, []question{q}); err == nil {
			t.Errorf("%s %s is answered", origin, q.Method)
		}
	}
}

// TestAdviceBeginsWithThePage: the nearest origin of the policy and what the engines do
// are said, and lines to copy hold no waiver.
func TestAdviceBeginsWithThePage(t *testing.T) {
	p := find(t, `{"allow_origins":["http://localhost:8000"],"allow_headers":"*"}`)
	got, err := p.advise("http://127.0.0.1:8000", []question{{Method: "GET", Path: "/"}})
	const near = " The policy has http://localhost:8000; this differs in its host: open the page at localhost."
	if err != nil || !strings.HasSuffix(got.Says, near) || len(got.Answers[0].Lines) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = p.advise("null", []question{{Method: "GET", Path: "/"}})
	if err != nil || !strings.Contains(got.Says, " Give the page an origin: ") || len(got.Answers[0].Lines) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = p.advise(page, []question{{Method: "GET", Path: "/", Headers: [][2]string{{"authorization", "t"}}}})
	if err != nil || got.Answers[0].Allowed || !strings.Contains(got.Answers[0].Says, "Browsers differ: ") ||
		!strings.HasSuffix(got.Answers[0].Says, "there the script gets the response.") {
		t.Errorf("%+v, %v", got.Answers, err)
	}
}

func TestDescribe(t *testing.T) {
	e := Event{
		Method:    "OPTIONS",
		Authority: "localhost:10000",
		Path:      "/",
		Status:    204,
		Request:   [][2]string{{"origin", page}, {"access-control-request-method", "PUT"}},
	}
	var none *Policy
	if got := none.describe(e); !got.Passed || got.Says != "No configuration of the CORS filter is in effect here." || len(got.Counters) != 0 {
		t.Errorf("%+v", got)
	}
	for configuration, want := range map[string]described{
		`{"allow_origins":["http://localhost:8000"]}`: {
			Says:     "The preflight was answered, but the answer does not list PUT.",
			Counters: []string{"cors.origin_valid", "cors.preflight_denied_method"},
		},
		`{"allow_origins":["http://localhost:8000"],"allow_methods":"PUT"}`: {
			Says:     "The preflight was answered: the browser may send the request.",
			Counters: []string{"cors.origin_valid", "cors.preflight_allowed"},
			Passed:   true,
		},
		`{"allow_origins":["https://a.example"]}`: {
			Says:     "The preflight was denied: this page's origin is not in the policy.",
			Counters: []string{"cors.origin_invalid", "cors.preflight_denied_origin"},
		},
		`{"allow_origins":["https://a.example"],"unmatched_preflights":"forward"}`: {
			Says:     "The preflight was left to upstream.",
			Counters: []string{"cors.origin_invalid", "cors.preflight_forwarded"},
			Passed:   true,
		},
		`{"allow_origins":["https://a.example"],"mode":"shadow"}`: {
			Says:     "In shadow mode the filter only decides and counts: upstream answered.",
			Counters: []string{"cors.shadow.origin_invalid", "cors.shadow.preflight_denied_origin"},
			Passed:   true,
		},
		`{"rules":[{"hosts":["a.example"],"policy":{"allow_origins":["https://a.example"]}}]}`: {
			Says:   "The filter had nothing to decide.",
			Passed: true,
		},
	} {
		if got := find(t, configuration).describe(e); got.Says != want.Says || got.Passed != want.Passed ||
			!slices.Equal(got.Counters, want.Counters) || got.Status != 204 {
			t.Errorf("%s: %+v", configuration, got)
		}
	}
}
