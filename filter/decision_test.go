package filter

import (
	"slices"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/header"
)

func policy(t testing.TB, json string) *config.Policy {
	t.Helper()
	plugin, _, err := config.Parse([]byte(json))
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	return plugin.Default
}

const (
	strict = `{"allow_origins":["https://a.example"],"allow_methods":["PUT"],"allow_headers":["x-a","authorization"],` +
		`"expose_headers":"x-e","max_age":60,"allow_private_network_access":true,"debug":true}`
	personal = `{"allow_origins":["https://a.example"],"allow_methods":["*"],"allow_headers":["*"],"allow_credentials":true}`
	public   = `{"allow_origins":["*"],"allow_methods":["*"],"allow_headers":["*","authorization"],"expose_headers":"*"}`
	echoing  = `{"allow_origins":["*"],"allow_credentials":true,"dangerously_tolerate":["any-origin-with-credentials"]}`
	closed   = `{"allow_origins":["https://a.example"],"disallowed_requests":"reject"}`
	lenient  = `{"allow_origins":["https://a.example"],"unmatched_preflights":"forward"}`
	timing   = `{"allow_origins":["https://a.example"],"timing_allow_origins":["https://t.example"]}`
	timings  = `{"allow_origins":["https://a.example"],"timing_allow_origins":["*"]}`
)

type decideRow struct {
	name    string
	request Request
	want    Decision
}

// TestDecide goes through the protocol in the order of the Fetch standard
// (section 3.3); a decision is compared whole.
func TestDecide(t *testing.T) {
	const a, evil = "https://a.example", "https://evil.example"
	preflight := func(origin, method, headers string) Request {
		return Request{Method: "OPTIONS", Origin: origin, RequestMethod: method, RequestHeaders: headers}
	}
	answer := func(d Decision) Decision {
		d.Kind, d.Action = Preflight, Answer
		return d
	}
	long := strings.Repeat("x", 65)
	tooLong := strings.Repeat("x-a,", 1024) + "x"
	for _, group := range []struct {
		name   string
		policy string
		rows   []decideRow
	}{
		{"what kind of request it is", strict, []decideRow{
			{"no Origin, no CORS", Request{Method: "GET"}, Decision{}},
			{"no Origin, whatever else is there", Request{Method: "OPTIONS", RequestMethod: "PUT", RequestHeaders: "x-b"}, Decision{}},
			{"an Origin makes it cross-origin", Request{Method: "GET", Origin: a}, Decision{Kind: CrossOrigin, AllowOrigin: a}},
			{
				"OPTIONS without a requested method is no preflight",
				Request{Method: "OPTIONS", Origin: a},
				Decision{Kind: CrossOrigin, AllowOrigin: a},
			},
			{
				"a requested method without OPTIONS is no preflight",
				Request{Method: "GET", Origin: a, RequestMethod: "PUT"},
				Decision{Kind: CrossOrigin, AllowOrigin: a},
			},
			{
				"options in lower case is another method",
				Request{Method: "options", Origin: a, RequestMethod: "PUT"},
				Decision{Kind: CrossOrigin, AllowOrigin: a},
			},
			{"OPTIONS with a requested method is a preflight", preflight(a, "PUT", ""), answer(Decision{AllowOrigin: a, AllowMethods: "PUT"})},
		}},
		{"the origin comes first", strict, []decideRow{
			{"another origin", preflight(evil, "PUT", ""), Decision{Kind: Preflight, Action: Deny, Reason: OriginNotAllowed}},
			{
				"another origin, and nothing else is looked at", preflight(evil, "DELETE", "x-b"),
				Decision{Kind: Preflight, Action: Deny, Reason: OriginNotAllowed},
			},
			{"null", preflight("null", "PUT", ""), Decision{Kind: Preflight, Action: Deny, Reason: OriginNotAllowed}},
			{"two values", preflight(a+", "+a, "PUT", ""), Decision{Kind: Preflight, Action: Deny, Reason: OriginMalformed}},
			{"control characters", preflight(a+"\r\nx: y", "PUT", ""), Decision{Kind: Preflight, Action: Deny, Reason: OriginMalformed}},
			{"another origin's request is forwarded", Request{Method: "PUT", Origin: evil}, Decision{Kind: CrossOrigin, Reason: OriginNotAllowed}},
			{
				"a malformed origin's request is forwarded",
				Request{Method: "PUT", Origin: a + "/"},
				Decision{Kind: CrossOrigin, Reason: OriginMalformed},
			},
		}},
		{"then the method, then the names of headers", strict, []decideRow{
			{"safelisted methods need no listing", preflight(a, "POST", "X-A"), answer(Decision{AllowOrigin: a, AllowMethods: "PUT"})},
			{
				"the whole lists go out beside a method at fault", preflight(a, "DELETE", "x-b"),
				answer(Decision{Reason: MethodNotAllowed, Culprit: "DELETE", AllowOrigin: a, AllowMethods: "PUT"}),
			},
			{
				"methods are case-sensitive", preflight(a, "put", ""),
				answer(Decision{Reason: MethodNotAllowed, Culprit: "put", AllowOrigin: a, AllowMethods: "PUT"}),
			},
			{
				"a method that is no token is not named", preflight(a, "P\r\nUT", ""),
				answer(Decision{Reason: MethodNotAllowed, AllowOrigin: a, AllowMethods: "PUT"}),
			},
			{"nor one of 65 bytes", preflight(a, long, ""), answer(Decision{Reason: MethodNotAllowed, AllowOrigin: a, AllowMethods: "PUT"})},
			{
				"one of 64 bytes is", preflight(a, long[1:], ""),
				answer(Decision{Reason: MethodNotAllowed, Culprit: long[1:], AllowOrigin: a, AllowMethods: "PUT"}),
			},
			{
				"the first header at fault is named", preflight(a, "PUT", "x-a,,X-B , x-c"),
				answer(Decision{Reason: HeaderNotAllowed, Culprit: "X-B", AllowOrigin: a, AllowMethods: "PUT"}),
			},
			{
				"a header that is no token is not named", preflight(a, "PUT", "x-a,x b"),
				answer(Decision{Reason: HeaderNotAllowed, AllowOrigin: a, AllowMethods: "PUT"}),
			},
			{
				"a list of more than 4,096 bytes is not read", preflight(a, "PUT", tooLong),
				answer(Decision{Reason: HeaderNotAllowed, AllowOrigin: a, AllowMethods: "PUT"}),
			},
			{"the longest list is", preflight(a, "PUT", tooLong[:4095]), answer(Decision{AllowOrigin: a, AllowMethods: "PUT"})},
			{"empty elements are nobody's fault", preflight(a, "PUT", " ,\t, "), answer(Decision{AllowOrigin: a, AllowMethods: "PUT"})},
			{
				"a private network is answered when it is asked for",
				Request{Method: "OPTIONS", Origin: a, RequestMethod: "PUT", RequestPrivateNetwork: "true"},
				answer(Decision{AllowOrigin: a, AllowMethods: "PUT", PrivateNetwork: true}),
			},
		}},
		{"any method and header with credentials are echoed", personal, []decideRow{
			{"an unusual method", preflight(a, "FOO", "x-a"), answer(Decision{AllowOrigin: a, AllowMethods: "FOO"})},
			{"a safelisted method", preflight(a, "GET", ""), answer(Decision{AllowOrigin: a, AllowMethods: "GET"})},
			{"a method that is no token", preflight(a, "P UT", ""), answer(Decision{Reason: MethodNotAllowed, AllowOrigin: a})},
			{
				"a method that no browser sends", preflight(a, "TRACE", ""),
				answer(Decision{Reason: MethodNotAllowed, Culprit: "TRACE", AllowOrigin: a}),
			},
			{"authorization", preflight(a, "GET", "authorization"), answer(Decision{AllowOrigin: a, AllowMethods: "GET"})},
			{
				"a private network is not answered unless configured",
				Request{Method: "OPTIONS", Origin: a, RequestMethod: "GET", RequestPrivateNetwork: "true"},
				answer(Decision{AllowOrigin: a, AllowMethods: "GET"}),
			},
		}},
		{"any origin without credentials is a star for everyone", public, []decideRow{
			{"no Origin", Request{Method: "GET"}, Decision{AllowOrigin: "*"}},
			{"some origin", Request{Method: "GET", Origin: evil}, Decision{Kind: CrossOrigin, AllowOrigin: "*"}},
			{"null", Request{Method: "GET", Origin: "null"}, Decision{Kind: CrossOrigin, AllowOrigin: "*"}},
			{"a malformed origin", Request{Method: "GET", Origin: "a, b"}, Decision{Kind: CrossOrigin, AllowOrigin: "*"}},
			{"a preflight", preflight("null", "FOO", "x-a, authorization"), answer(Decision{AllowOrigin: "*", AllowMethods: "*"})},
		}},
		{"any origin with credentials is echoed", echoing, []decideRow{
			{"no Origin", Request{Method: "GET"}, Decision{}},
			{"some origin", Request{Method: "GET", Origin: evil}, Decision{Kind: CrossOrigin, AllowOrigin: evil}},
			{"null", Request{Method: "GET", Origin: "null"}, Decision{Kind: CrossOrigin, AllowOrigin: "null"}},
			{
				"a malformed origin is not echoed",
				Request{Method: "GET", Origin: evil + " " + a},
				Decision{Kind: CrossOrigin, Reason: OriginMalformed},
			},
			{"a preflight without lists", preflight(evil, "POST", ""), answer(Decision{AllowOrigin: evil})},
		}},
		{"requests of other origins are rejected on demand", closed, []decideRow{
			{"another origin", Request{Method: "POST", Origin: evil}, Decision{Kind: CrossOrigin, Action: Reject, Reason: OriginNotAllowed}},
			{"a malformed origin", Request{Method: "GET", Origin: ",,"}, Decision{Kind: CrossOrigin, Action: Reject, Reason: OriginMalformed}},
			{
				"its own origin never",
				Request{Method: "POST", Origin: evil, Scheme: "https", Authority: "evil.example"},
				Decision{Kind: CrossOrigin, Reason: OriginNotAllowed, SameOrigin: true},
			},
			{"an allowed one never", Request{Method: "POST", Origin: a}, Decision{Kind: CrossOrigin, AllowOrigin: a}},
			{"no Origin never", Request{Method: "POST"}, Decision{}},
			{"a preflight is denied, not rejected", preflight(evil, "GET", ""), Decision{Kind: Preflight, Action: Deny, Reason: OriginNotAllowed}},
		}},
		{"preflights of other origins are forwarded on demand", lenient, []decideRow{
			{"another origin", preflight(evil, "PUT", ""), Decision{Kind: Preflight, Reason: OriginNotAllowed}},
			{"a malformed origin", preflight("x", "PUT", ""), Decision{Kind: Preflight, Reason: OriginMalformed}},
			{"an allowed one is answered here", preflight(a, "GET", ""), answer(Decision{AllowOrigin: a})},
		}},
		{"timing is a list of its own", timing, []decideRow{
			{
				"an origin that may read timing alone",
				Request{Method: "GET", Origin: "https://t.example"},
				Decision{Kind: CrossOrigin, Reason: OriginNotAllowed, TimingAllowOrigin: "https://t.example"},
			},
			{"an origin that may read responses alone", Request{Method: "GET", Origin: a}, Decision{Kind: CrossOrigin, AllowOrigin: a}},
			{"no Origin", Request{Method: "GET"}, Decision{}},
			{
				"a preflight has no timing", preflight("https://t.example", "GET", ""),
				Decision{Kind: Preflight, Action: Deny, Reason: OriginNotAllowed},
			},
		}},
		{"timing for everyone", timings, []decideRow{
			{"no Origin", Request{Method: "GET"}, Decision{TimingAllowOrigin: "*"}},
			{
				"a malformed origin",
				Request{Method: "GET", Origin: "x"},
				Decision{Kind: CrossOrigin, Reason: OriginMalformed, TimingAllowOrigin: "*"},
			},
			{"an allowed preflight", preflight(a, "GET", ""), answer(Decision{AllowOrigin: a})},
		}},
		{"switched off, nothing is decided", `{"mode":"off"}`, []decideRow{
			{"a request", Request{Method: "GET", Origin: a}, Decision{Action: Ignore}},
			{"a preflight", preflight(a, "PUT", "x-a"), Decision{Action: Ignore}},
		}},
	} {
		p := policy(t, group.policy)
		for _, row := range group.rows {
			t.Run(group.name+"/"+row.name, func(t *testing.T) {
				want := row.want
				want.Policy = p
				if want.Action == Undecided {
					want.Action = Forward
				}
				if want.Action == Answer && p.EchoHeaders {
					want.echo = row.request.RequestHeaders
				}
				got := Decision{
					Culprit:           "left over",
					AllowOrigin:       "too",
					TimingAllowOrigin: "too",
					AllowMethods:      "too",
					echo:              "too",
					PrivateNetwork:    true,
					SameOrigin:        true,
				}
				if Decide(p, &row.request, &got); got != want {
					t.Errorf("Decide = %+v\n    want %+v", got, want)
				}
				if n := testing.AllocsPerRun(10, func() { Decide(p, &row.request, &got) }); n != 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
}

// What a look at lengths and last bytes lets through is none of the fields, either.
func TestOtherFieldsOfUpstreamAreLeftAlone(t *testing.T) {
	var u Upstream
	for _, name := range []string{"x-other", "vory", "access-control-allow-0rigin", ""} {
		if u.VisitHeader(name, "*"); u != (Upstream{}) {
			t.Errorf("%q: %+v", name, u)
		}
	}
}

// TestEditsAreThoseThatAreNeeded holds the edits one by one: a removal of what is not
// there changes no response, and costs a call all the same.
func TestEditsAreThoseThatAreNeeded(t *testing.T) {
	const a, evil = "https://a.example", "https://evil.example"
	for _, c := range []struct {
		name, policy, origin string
		upstream             []Header
		want                 []Edit
	}{
		{
			"one field that is closed", closed, evil, []Header{{header.AllowOrigin, "*"}, {header.Vary, "origin"}},
			[]Edit{{Remove, header.AllowOrigin, ""}},
		},
		{"another one", closed, evil, []Header{{header.ExposeHeaders, "*"}, {header.Vary, "origin"}}, []Edit{{Remove, header.ExposeHeaders, ""}}},
		{
			"a field too many beside one that is right", closed, a,
			[]Header{{header.AllowOrigin, a}, {header.AllowCredentials, "true"}, {header.Vary, "*"}},
			[]Edit{{Remove, header.AllowCredentials, ""}},
		},
		{
			"timing", timing, evil, []Header{{header.TimingAllowOrigin, "*"}, {header.Vary, "origin"}},
			[]Edit{{Remove, header.TimingAllowOrigin, ""}},
		},
		{"nothing is there, and nothing goes out", closed, evil, []Header{{header.Vary, "origin"}}, nil},
		{"nothing is shown of a request without an Origin", strict, "", []Header{{header.Vary, "origin"}}, nil},
		{
			"nor is what upstream shows", strict, "", []Header{{header.Vary, "origin"}, {debugHeader, "allowed"}},
			[]Edit{{Remove, debugHeader, ""}},
		},
		{"what is shown already", strict, evil, []Header{{header.Vary, "origin"}, {debugHeader, "denied; reason=origin"}}, nil},
		{
			"once is enough", strict, evil,
			[]Header{{header.Vary, "origin"}, {debugHeader, "denied; reason=origin"}, {debugHeader, "denied; reason=origin"}},
			[]Edit{{Replace, debugHeader, "denied; reason=origin"}},
		},
		{
			"something else is shown", strict, evil, []Header{{header.Vary, "origin"}, {debugHeader, "allowed"}},
			[]Edit{{Replace, debugHeader, "denied; reason=origin"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var (
				d Decision
				u Upstream
				b Buffer
			)
			r := &Request{Method: "GET", Origin: c.origin}
			Decide(policy(t, c.policy), r, &d)
			d.Action = Forward // even where it would be rejected
			u.read(header.AppendPairs(nil, c.upstream))
			for range 2 { // the second time in a buffer that was used
				if got := d.Edits(&u, &b); !slices.Equal(got, c.want) {
					t.Errorf("Edits = %+v, want %+v", got, c.want)
				}
			}
		})
	}
}

// FuzzDecide holds a decision to what a browser's textbook would make of the
// policy: nothing of a request may come back unless it is well-formed and allowed.
func FuzzDecide(f *testing.F) {
	var policies []*config.Policy
	for _, json := range []string{strict, personal, public, echoing, closed, lenient, timing, timings} {
		policies = append(policies, policy(f, json))
	}
	f.Add("OPTIONS", "https://a.example", "PUT", "x-a, X-B")
	f.Add("GET", "https://a.example\r\n", "", "")
	f.Add("OPTIONS", "null", "P UT", ",,\x00")
	f.Fuzz(func(t *testing.T, method, origin, requestMethod, requestHeaders string) {
		for _, p := range policies {
			r := Request{Method: method, Origin: origin, RequestMethod: requestMethod, RequestHeaders: requestHeaders}
			var d Decision
			Decide(p, &r, &d)
			wantKind := NotCORS
			if origin != "" {
				wantKind = CrossOrigin
				if method == "OPTIONS" && requestMethod != "" {
					wantKind = Preflight
				}
			}
			if d.Kind != wantKind {
				t.Fatalf("kind %d, want %d", d.Kind, wantKind)
			}
			for _, value := range []string{d.AllowOrigin, d.TimingAllowOrigin} {
				if value != "" && value != "*" && (value != origin || p.Origins.Match(origin) != config.Matches &&
					p.Timing.Match(origin) != config.Matches) {
					t.Fatalf("%q is sent to %q", value, origin)
				}
			}
			for _, value := range []string{d.AllowOrigin, d.TimingAllowOrigin, d.Culprit, d.AllowMethods} {
				if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
					t.Fatalf("%q goes out", value)
				}
			}
			if d.Kind == CrossOrigin && (d.AllowOrigin != "") != (d.Reason == Allowed) || (d.Action == Answer) != (d.Kind == Preflight &&
				d.AllowOrigin != "") {
				t.Fatalf("%+v", d)
			}
			if d.Action != Answer {
				continue
			}
			// Fetch, section 4.8, "CORS-preflight fetch": method, then names.
			want := Allowed
			if !p.AllowsMethod(requestMethod) {
				want = MethodNotAllowed
			} else if len(requestHeaders) > 4096 {
				want = HeaderNotAllowed
			} else {
				for _, name := range strings.Split(requestHeaders, ",") {
					if name = strings.Trim(name, " \t"); name != "" && !p.AllowsHeader(name) {
						want = HeaderNotAllowed
					}
				}
			}
			if d.Reason != want {
				t.Fatalf("reason %d, want %d, for %q and %q", d.Reason, want, requestMethod, requestHeaders)
			}
			// A browser that was promised its headers must find them in the answer.
			_, echoed := header.AppendEcho(nil, requestHeaders)
			if empty := strings.Trim(requestHeaders, ", \t") == ""; d.Action == Answer && p.EchoHeaders && d.Reason == Allowed && !empty && !echoed {
				t.Fatalf("%q is allowed and not echoed", requestHeaders)
			}
		}
	})
}
