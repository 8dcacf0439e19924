package filter

import (
	"slices"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/origin"
)

func parse(t testing.TB, json string) *config.Config {
	t.Helper()
	c, _, err := config.Parse([]byte(json))
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	return c
}

// TestWords holds what people read of a decision: the debug header, the log
// line, the steps of corsctl explain and the demo's sentence.
func TestWords(t *testing.T) {
	const a, evil = "https://a.example", "https://evil.example"
	preflight := Request{Method: "OPTIONS", Origin: a, RequestMethod: "PUT", RequestHeaders: "X-A"}
	change := func(r Request, change func(*Request)) Request { change(&r); return r }
	const shadow = `{"allow_origins":["https://a.example"],"mode":"shadow","disallowed_requests":"reject"}`
	for _, c := range []struct {
		name    string
		policy  string
		request Request
		status  int
		summary string
		line    string
		steps   []string // without the first, which says the kind
		outcome string
	}{
		{"nothing to decide", strict, Request{Method: "GET"}, 200, "", "", nil, "The filter had nothing to decide."},
		{"switched off", `{"mode":"off"}`, Request{Method: "GET", Origin: a}, 200, "", "", nil, "The filter had nothing to decide."},
		{"an allowed preflight", strict, preflight, 204, "allowed", "preflight for PUT from https://a.example: allowed",
			[]string{
				"the origin https://a.example is in allow_origins", "the method PUT is allowed", "the headers X-A are allowed",
				"answered here with 204 and the complete lists, so that the browser can say what is missing",
			},
			"The preflight was answered: the browser may send the request."},
		{
			"an allowed preflight that names no headers", strict, change(preflight, func(r *Request) { r.RequestHeaders = "" }), 204, "allowed",
			"preflight for PUT from https://a.example: allowed",
			[]string{
				"the origin https://a.example is in allow_origins", "the method PUT is allowed",
				"answered here with 204 and the complete lists, so that the browser can say what is missing",
			},
			"The preflight was answered: the browser may send the request.",
		},
		{
			"a method", strict, change(preflight, func(r *Request) { r.RequestMethod = "DELETE" }), 204, "denied; reason=method=DELETE",
			"preflight for DELETE from https://a.example: denied; reason=method=DELETE",
			[]string{
				"the origin https://a.example is in allow_origins", "the method DELETE is not in allow_methods",
				"answered here with 204 and the complete lists, so that the browser can say what is missing",
			},
			"The preflight was answered, but the answer does not list DELETE.",
		},
		{
			"a header", strict, change(preflight, func(r *Request) { r.RequestHeaders = "x-a, X-B" }), 204, "denied; reason=header=x-b",
			"preflight for PUT from https://a.example: denied; reason=header=x-b",
			[]string{
				"the origin https://a.example is in allow_origins", "the method PUT is allowed", "the header x-b is not in allow_headers",
				"answered here with 204 and the complete lists, so that the browser can say what is missing",
			},
			"The preflight was answered, but the answer does not list all of: x-a, X-B.",
		},
		{
			"a list that is none", strict, change(preflight, func(r *Request) { r.RequestHeaders = "x a" }), 204, "denied; reason=header",
			"preflight for PUT from https://a.example: denied; reason=header",
			[]string{
				"the origin https://a.example is in allow_origins", "the method PUT is allowed", "the list of headers is malformed or too long",
				"answered here with 204 and the complete lists, so that the browser can say what is missing",
			},
			"The preflight was answered, but the answer does not list all of: x a.",
		},
		{
			"an unlisted origin's preflight", strict, change(preflight, func(r *Request) { r.Origin = evil }), 403, "denied; reason=origin",
			"preflight for PUT from https://evil.example: denied; reason=origin; answered 403",
			[]string{"the origin https://evil.example is not in allow_origins", "answered here with 403"},
			"The preflight was denied: this page's origin is not in the policy.",
		},
		{
			"no origin at all", strict, change(preflight, func(r *Request) { r.Origin, r.RequestMethod = "a\nb", "P\nUT" }), 403,
			"denied; reason=malformed-origin",
			"preflight: denied; reason=malformed-origin; answered 403",
			[]string{"the Origin is not one well-formed origin, so it matches nothing", "answered here with 403"},
			"The preflight was denied: this page's origin is not in the policy.",
		},
		{
			"left to upstream", lenient, change(preflight, func(r *Request) { r.Origin = evil }), 200, "denied; reason=origin",
			"preflight for PUT from https://evil.example: denied; reason=origin; forwarded",
			[]string{"the origin https://evil.example is not in allow_origins", "forwarded to upstream"}, "The preflight was left to upstream.",
		},
		{"an allowed request", strict, Request{Method: "GET", Origin: a}, 200, "allowed", "request from https://a.example: allowed; forwarded",
			[]string{"the origin https://a.example is in allow_origins", "forwarded to upstream"},
			"Upstream answered, and this page may read the response."},
		{"a redirect", public, Request{Method: "GET", Origin: evil}, 302, "allowed", "request from https://evil.example: allowed; forwarded",
			[]string{"every origin is allowed, without credentials", "forwarded to upstream"},
			"Upstream answered with a redirect, and this page may follow it."},
		{
			"the first status of a redirect", public,
			Request{Method: "GET", Origin: evil}, 300, "allowed", "request from https://evil.example: allowed; forwarded",
			[]string{"every origin is allowed, without credentials", "forwarded to upstream"},
			"Upstream answered with a redirect, and this page may follow it.",
		},
		{
			"the first that is none any more", public,
			Request{Method: "GET", Origin: evil}, 400, "allowed", "request from https://evil.example: allowed; forwarded",
			[]string{"every origin is allowed, without credentials", "forwarded to upstream"},
			"Upstream answered, and this page may read the response.",
		},
		{
			"an unlisted origin's HEAD", strict,
			Request{Method: "HEAD", Origin: evil}, 200, "denied; reason=origin",
			"request from https://evil.example: denied; reason=origin; forwarded",
			[]string{"the origin https://evil.example is not in allow_origins", "forwarded to upstream"},
			"Upstream answered, and its response got no CORS headers: this page's origin is not in the policy.",
		},
		{
			"an unlisted origin's GET", strict,
			Request{Method: "GET", Origin: evil}, 200, "denied; reason=origin",
			"request from https://evil.example: denied; reason=origin; forwarded",
			[]string{"the origin https://evil.example is not in allow_origins", "forwarded to upstream"},
			"Upstream answered, and its response got no CORS headers: this page's origin is not in the policy.",
		},
		{
			"an unlisted origin's POST", strict,
			Request{Method: "POST", Origin: evil}, 200, "denied; reason=origin",
			"request from https://evil.example: denied; reason=origin; forwarded",
			[]string{"the origin https://evil.example is not in allow_origins", "forwarded to upstream"},
			`Upstream answered, and its response got no CORS headers: this page's origin is not in the policy. The ` +
				`request has still had its effects; "disallowed_requests": "reject" would prevent them.`,
		},
		{
			"rejected", closed,
			Request{Method: "POST", Origin: evil}, 403, "denied; reason=origin",
			"request from https://evil.example: denied; reason=origin; answered 403",
			[]string{"the origin https://evil.example is not in allow_origins", "answered here with 403"},
			"The request was rejected before upstream: this page's origin is not in the policy.",
		},
		{
			"its own origin", closed,
			Request{Method: "POST", Origin: evil, FetchSite: "same-origin"}, 200, "denied; reason=origin",
			"request from https://evil.example: denied; reason=origin; forwarded",
			[]string{
				"the origin https://evil.example is not in allow_origins",
				"a same-origin request is never rejected: forwarded to upstream",
			},
			`Upstream answered, and its response got no CORS headers: this page's origin is not in the policy. The ` +
				`request has still had its effects; "disallowed_requests": "reject" would prevent them.`,
		},
		{
			"a preflight in shadow", shadow, preflight, 200, "denied; reason=method=PUT",
			"shadow: preflight for PUT from https://a.example: denied; reason=method=PUT",
			[]string{"the origin https://a.example is in allow_origins", "the method PUT is not in allow_methods",
				"in mode enforce, answered here with 204 and the complete lists, so that the browser can say what is missing",
				"mode shadow: counted, logged and forwarded to upstream unchanged"},
			"In shadow mode the filter only decides and counts: upstream answered.",
		},
		{
			"shadow", shadow,
			Request{Method: "GET", Origin: evil}, 200, "denied; reason=origin",
			"shadow: request from https://evil.example: denied; reason=origin; answered 403",
			[]string{
				"the origin https://evil.example is not in allow_origins", "in mode enforce, answered here with 403",
				"mode shadow: counted, logged and forwarded to upstream unchanged",
			},
			"In shadow mode the filter only decides and counts: upstream answered.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Decision
			Decide(policy(t, c.policy), &c.request, &d)
			if got := string(d.AppendSummary(nil)); got != c.summary {
				t.Errorf("summary %q, want %q", got, c.summary)
			}
			if d.counts() {
				if got := string(d.appendLine(nil, &c.request, new(origin.Buffer))); got != c.line {
					t.Errorf("line %q, want %q", got, c.line)
				}
			}
			if steps := d.Steps(&c.request); !slices.Equal(steps[1:], c.steps) {
				t.Errorf("steps %q\nwant %q", steps[1:], c.steps)
			}
			if got := d.Outcome(&c.request, c.status); got != c.outcome {
				t.Errorf("outcome %q, want %q", got, c.outcome)
			}
		})
	}
	failed := Decision{Policy: policy(t, strict), Kind: CrossOrigin, Action: Forward, Reason: Failed}
	if got := string(failed.AppendSummary(nil)); got != "denied; reason=error" {
		t.Errorf("after a bug in the filter: %q", got)
	}
}

func TestTheFirstStepSaysTheKind(t *testing.T) {
	p := policy(t, closed)
	for want, r := range map[string]Request{
		"there is no Origin, so this is not a CORS request": {Method: "GET"},
		"OPTIONS with Origin and Access-Control-Request-Method: a preflight": {
			Method:        "OPTIONS",
			Origin:        "https://a.example",
			RequestMethod: "PUT",
		},
		"its Origin is its own host over https: a page of the same origin, with TLS terminated in front of this proxy": {
			Method:    "PUT",
			Origin:    "https://b.example",
			Scheme:    "http",
			Authority: "b.example",
		},
		"it has an Origin, and comes from a page of the same origin":      {Method: "PUT", Origin: "https://a.example", FetchSite: "same-origin"},
		"it has an Origin and is not a preflight: a cross-origin request": {Method: "PUT", Origin: "https://a.example"},
	} {
		var d Decision
		if Decide(p, &r, &d); d.Steps(&r)[0] != want {
			t.Errorf("%+v: %q, want %q", r, d.Steps(&r)[0], want)
		}
	}
	d := Decision{Action: Ignore}
	if got := d.Steps(&Request{}); !slices.Equal(got, []string{"the filter leaves it alone"}) {
		t.Errorf("%q", got)
	}
}

// TestCountedIn names the counters that a proxy is told of by number.
func TestCountedIn(t *testing.T) {
	const a, evil = "https://a.example", "https://evil.example"
	preflight := func(origin, method, headers string) Request {
		return Request{Method: "OPTIONS", Origin: origin, RequestMethod: method, RequestHeaders: headers}
	}
	for _, c := range []struct {
		policy  string
		request Request
		want    string
	}{
		{strict, Request{}, ""},
		{`{"mode":"off"}`, Request{Origin: a}, ""},
		{strict, preflight(a, "PUT", "x-a"), "cors.origin_valid cors.preflight_allowed"},
		{strict, preflight(a, "DELETE", "x-a"), "cors.origin_valid cors.preflight_denied_method"},
		{strict, preflight(a, "PUT", "x-b"), "cors.origin_valid cors.preflight_denied_headers"},
		{strict, preflight(evil, "PUT", "x-a"), "cors.origin_invalid cors.preflight_denied_origin"},
		{lenient, preflight(evil, "PUT", "x-a"), "cors.origin_invalid cors.preflight_forwarded"},
		{strict, Request{Origin: a}, "cors.origin_valid cors.request_allowed"},
		{strict, Request{Origin: evil}, "cors.origin_invalid cors.request_denied"},
		{closed, Request{Origin: evil}, "cors.origin_invalid cors.request_rejected"},
		{
			`{"allow_origins":["https://a.example"],"mode":"shadow","stat_prefix":"x"}`,
			Request{Origin: a}, "x.shadow.origin_valid x.shadow.request_allowed",
		},
	} {
		configuration := parse(t, c.policy)
		var d Decision
		Decide(configuration.Default, &c.request, &d)
		got := d.CountedIn(configuration)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %+v: counted in %q, want %q", c.policy, c.request, got, c.want)
		}
		all := Counters(configuration)
		for _, name := range got {
			if !slices.Contains(all, name) {
				t.Errorf("%s is not one of %q", name, all)
			}
		}
	}
}

func TestWhatIsLeftAloneIsNotEdited(t *testing.T) {
	for _, d := range []Decision{{}, {Action: Ignore}} {
		var u Upstream
		u.VisitHeader("access-control-allow-origin", "*")
		if edits := d.Edits(&u, &Buffer{}); edits != nil {
			t.Errorf("%+v: %+v", d, edits)
		}
	}
}
