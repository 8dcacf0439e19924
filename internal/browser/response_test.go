package browser

import (
	"slices"
	"strings"
	"testing"
)

const page = "https://a.example"

// headers reads "name: value" lines.
func headers(lines ...string) (hs []Header) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		hs = append(hs, Header{name, value})
	}
	return hs
}

// outcome is a verdict without its prose.
type outcome struct {
	reason Reason
	detail string
}

var allowed = outcome{}

// tester is what *testing.T and *rapid.T share.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// outcomeOf checks what holds of every verdict: the parts agree, and only the last
// step of a refusal failed.
func outcomeOf(t tester, v Verdict) outcome {
	t.Helper()
	if v.Allowed != (v.Reason == Passed) || v.Allowed != (v.Message == "") || len(v.Steps) == 0 {
		t.Fatalf("the parts of the verdict disagree: %+v", v)
	}
	for i, step := range v.Steps {
		if last := i == len(v.Steps)-1; step.Passed == (last && !v.Allowed) || step.Check == "" || step.Why == "" {
			t.Fatalf("step %d: %+v of %+v", i, step, v)
		}
	}
	if !v.Allowed && v.Steps[len(v.Steps)-1].Why != v.Message {
		t.Fatalf("the message is not the last step's: %+v", v)
	}
	return outcome{v.Reason, v.Detail}
}

func TestCORSCheck(t *testing.T) {
	const acao, acac = "Access-Control-Allow-Origin: ", "Access-Control-Allow-Credentials: "
	for _, c := range []struct {
		name                 string
		origin               string
		response             []Header
		without, credentials outcome // credentials left out, and included
	}{
		{"no header at all", page, nil, outcome{OriginMissing, ""}, outcome{OriginMissing, ""}},
		{"the origin", page, headers(acao + page), allowed, outcome{CredentialsMissing, ""}},
		{"the origin and credentials", page, headers(acao+page, acac+"true"), allowed, allowed},
		{
			"names in any case, values with whitespace around", page,
			headers("aCCESS-control-ALLOW-origin:\t "+page+" \t", "access-control-allow-credentials:true "), allowed, allowed,
		},
		{"*", page, headers(acao + "*"), allowed, outcome{WildcardCredentials, "*"}},
		{"* and credentials", page, headers(acao+"*", acac+"true"), allowed, outcome{WildcardCredentials, "*"}},
		{"True", page, headers(acao+page, acac+"True"), allowed, outcome{CredentialsMissing, "True"}},
		{"TRUE", page, headers(acao+page, acac+"TRUE"), allowed, outcome{CredentialsMissing, "TRUE"}},
		{"1", page, headers(acao+page, acac+"1"), allowed, outcome{CredentialsMissing, "1"}},
		{"quoted true", page, headers(acao+page, acac+`"true"`), allowed, outcome{CredentialsMissing, `"true"`}},
		{"true twice", page, headers(acao+page, acac+"true", acac+"true"), allowed, outcome{CredentialsMissing, "true, true"}},
		{"an empty value", page, headers(acao), outcome{OriginMismatch, ""}, outcome{OriginMismatch, ""}},
		{"a trailing slash", page, headers(acao + page + "/"), outcome{OriginMismatch, page + "/"}, outcome{OriginMismatch, page + "/"}},
		{
			"the origin in upper case", page, headers(acao + "HTTPS://A.EXAMPLE"), outcome{OriginMismatch, "HTTPS://A.EXAMPLE"},
			outcome{OriginMismatch, "HTTPS://A.EXAMPLE"},
		},
		{"the default port", page, headers(acao + page + ":443"), outcome{OriginMismatch, page + ":443"}, outcome{OriginMismatch, page + ":443"}},
		{
			"another scheme", page, headers(acao + "http://a.example"), outcome{OriginMismatch, "http://a.example"},
			outcome{OriginMismatch, "http://a.example"},
		},
		{
			"a pattern is no wildcard", page, headers(acao + "https://*.example"), outcome{OriginMismatch, "https://*.example"},
			outcome{OriginMismatch, "https://*.example"},
		},
		{"null is not for everyone", page, headers(acao + "null"), outcome{OriginMismatch, "null"}, outcome{OriginMismatch, "null"}},
		{
			"the origin twice", page, headers(acao+page, acao+page), outcome{OriginMultiple, page + ", " + page},
			outcome{OriginMultiple, page + ", " + page},
		},
		{"the origin and *", page, headers(acao+page, acao+"*"), outcome{OriginMultiple, page + ", *"}, outcome{OriginMultiple, page + ", *"}},
		{"* twice", page, headers(acao+"*", acao+"*"), outcome{OriginMultiple, "*, *"}, outcome{OriginMultiple, "*, *"}},
		{
			"the origin and an empty one", page, headers(acao+page, acao), outcome{OriginMultiple, page + ", "},
			outcome{OriginMultiple, page + ", "},
		},
		{
			"a list in one header", page, headers(acao + page + ",https://b.example"), outcome{OriginMultiple, page + ",https://b.example"},
			outcome{OriginMultiple, page + ",https://b.example"},
		},
		{"the opaque origin", "null", headers(acao+"null", acac+"true"), allowed, allowed},
		{"the opaque origin and *", "null", headers(acao + "*"), allowed, outcome{WildcardCredentials, "*"}},
		{"the opaque origin in upper case", "null", headers(acao + "NULL"), outcome{OriginMismatch, "NULL"}, outcome{OriginMismatch, "NULL"}},
		{"no header is not the opaque origin", "null", nil, outcome{OriginMissing, ""}, outcome{OriginMissing, ""}},
		{
			"a name that only folds to it", page, []Header{{"acce\u017f\u017f-control-allow-origin", "*"}}, outcome{OriginMissing, ""},
			outcome{OriginMissing, ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, credentials := range []bool{false, true} {
				want := c.without
				if credentials {
					want = c.credentials
				}
				r := Request{Origin: c.origin, Method: "GET", Credentials: credentials}
				// The status of a response does not matter, that of a preflight does.
				for _, status := range []int{200, 301, 401, 500} {
					if got := outcomeOf(t, CheckResponse(r, Response{status, c.response})); got != want {
						t.Errorf("credentials %v, status %d: %+v, want %+v", credentials, status, got, want)
					}
				}
				if got := outcomeOf(t, CheckPreflight(r, Response{204, c.response})); got != want {
					t.Errorf("credentials %v, preflight: %+v, want %+v", credentials, got, want)
				}
			}
		})
	}
}

func TestCheckPreflight(t *testing.T) {
	const acam, acah, acapn = "access-control-allow-methods: ", "access-control-allow-headers: ", "access-control-allow-private-network: "
	with := func(names ...string) (hs []Header) {
		for _, name := range names {
			hs = append(hs, Header{name, "v"})
		}
		return hs
	}
	for _, c := range []struct {
		name        string
		method      string
		headers     []Header
		credentials bool
		private     bool
		status      int // 204 where none is given
		response    []string
		want        outcome
	}{
		{name: "status 200", method: "GET", status: 200},
		{name: "status 299", method: "GET", status: 299},
		{name: "status 199", method: "GET", status: 199, want: outcome{PreflightStatus, "199"}},
		{name: "status 300", method: "GET", status: 300, want: outcome{PreflightStatus, "300"}},
		{name: "status 301", method: "GET", status: 301, want: outcome{PreflightStatus, "301"}},
		{name: "status 304", method: "GET", status: 304, want: outcome{PreflightStatus, "304"}},
		{name: "status 403", method: "GET", status: 403, want: outcome{PreflightStatus, "403"}},
		{
			name:     "a bad status goes before a bad list",
			method:   "PUT",
			status:   500,
			response: []string{acam + "P UT"},
			want:     outcome{PreflightStatus, "500"},
		},

		{name: "safelisted methods need no list", method: "post"},
		{name: "a list without them does not take them away", method: "HEAD", response: []string{acam + "PUT"}},
		{name: "a method that is listed", method: "PUT", response: []string{acam + "DELETE, PUT"}},
		{name: "a method that is not", method: "PUT", response: []string{acam + "DELETE"}, want: outcome{MethodNotAllowed, "PUT"}},
		{name: "no list", method: "PUT", want: outcome{MethodNotAllowed, "PUT"}},
		{name: "OPTIONS is not safelisted", method: "OPTIONS", want: outcome{MethodNotAllowed, "OPTIONS"}},
		{name: "an empty list", method: "PUT", response: []string{acam}, want: outcome{MethodNotAllowed, "PUT"}},
		{name: "put is sent as PUT", method: "put", response: []string{acam + "PUT"}},
		{name: "put as listed is another method", method: "put", response: []string{acam + "put"}, want: outcome{MethodNotAllowed, "PUT"}},
		{name: "patch is not PATCH", method: "patch", response: []string{acam + "PATCH"}, want: outcome{MethodNotAllowed, "patch"}},
		{name: "patch is patch", method: "patch", response: []string{acam + "patch"}},
		{name: "part of a method", method: "PUT", response: []string{acam + "PUTS, OUTPUT"}, want: outcome{MethodNotAllowed, "PUT"}},
		{name: "whitespace and empty elements", method: "PUT", response: []string{acam + " ,, DELETE\t,\tPUT ,"}},
		{name: "several headers", method: "PUT", response: []string{acam + "DELETE", acam, acam + "PUT"}},
		{
			name:     "methods parted by a space",
			method:   "PUT",
			response: []string{acam + "DELETE PUT"},
			want:     outcome{MethodsMalformed, "DELETE PUT"},
		},
		{
			name:     "methods parted by a semicolon",
			method:   "PUT",
			response: []string{acam + "DELETE; PUT"},
			want:     outcome{MethodsMalformed, "DELETE; PUT"},
		},
		{
			name:     "a malformed list fails a safelisted method too",
			method:   "GET",
			response: []string{acam + `"GET"`},
			want:     outcome{MethodsMalformed, `"GET"`},
		},
		{
			name:     "one malformed header of two",
			method:   "PUT",
			response: []string{acam + "PUT", acam + "a/b"},
			want:     outcome{MethodsMalformed, "PUT, a/b"},
		},
		{name: "* covers methods", method: "PUT", response: []string{acam + "*"}},
		{name: "* among others covers methods", method: "PUT", response: []string{acam + "DELETE, *"}},
		{
			name:        "* covers no method with credentials",
			method:      "PUT",
			credentials: true,
			response:    []string{acam + "*"},
			want:        outcome{MethodNotAllowed, "PUT"},
		},
		{name: "* beside the method with credentials", method: "PUT", credentials: true, response: []string{acam + "*, PUT"}},
		{name: "* as a method, with credentials", method: "*", credentials: true, response: []string{acam + "*"}},

		{name: "a header that is listed", method: "GET", headers: with("X-Foo"), response: []string{acah + "x-foo"}},
		{name: "header names compare without case", method: "GET", headers: with("x-foo"), response: []string{acah + "X-BAR,X-FOO"}},
		{
			name:     "a header that is not",
			method:   "GET",
			headers:  with("X-Foo", "x-bar"),
			response: []string{acah + "x-bar"},
			want:     outcome{HeaderNotAllowed, "x-foo"},
		},
		{name: "no list, the first by name", method: "GET", headers: with("x-foo", "x-bar"), want: outcome{HeaderNotAllowed, "x-bar"}},
		{name: "a safelisted header needs no list", method: "GET", headers: with("accept")},
		{
			name:    "a safelisted header with an unsafe value does",
			method:  "POST",
			headers: headers("Content-Type:application/json"),
			want:    outcome{HeaderNotAllowed, "content-type"},
		},
		{
			name:     "several headers with empty elements",
			method:   "GET",
			headers:  with("x-a", "x-b"),
			response: []string{acah + ",x-a ,", acah + "\t", acah + ",x-b"},
		},
		{
			name:     "names parted by a space",
			method:   "GET",
			headers:  with("x-a"),
			response: []string{acah + "x-a x-b"},
			want:     outcome{HeadersMalformed, "x-a x-b"},
		},
		{
			name:     "a malformed list fails although nothing is asked",
			method:   "GET",
			response: []string{acah + "x-a:"},
			want:     outcome{HeadersMalformed, "x-a:"},
		},
		{
			name:     "malformed methods go before malformed headers",
			method:   "GET",
			response: []string{acah + "(", acam + ")"},
			want:     outcome{MethodsMalformed, ")"},
		},
		{
			name:     "a malformed list of headers goes before the method",
			method:   "PUT",
			response: []string{acah + "("},
			want:     outcome{HeadersMalformed, "("},
		},
		{name: "the method goes before the headers", method: "PUT", headers: with("x-a"), want: outcome{MethodNotAllowed, "PUT"}},
		{name: "* covers headers", method: "GET", headers: with("x-a", "x-b"), response: []string{acah + "*"}},
		{
			name:        "* covers no header with credentials",
			method:      "GET",
			headers:     with("x-a"),
			credentials: true,
			response:    []string{acah + "*"},
			want:        outcome{HeaderNotAllowed, "x-a"},
		},
		{
			name:     "* covers safelisted names with unsafe values",
			method:   "POST",
			headers:  headers("content-type:application/json"),
			response: []string{acah + "*"},
		},
		{
			name:        "* beside the header with credentials",
			method:      "GET",
			headers:     with("x-a"),
			credentials: true,
			response:    []string{acah + "*,x-a"},
		},
		{name: "* as a header, with credentials", method: "GET", headers: with("*"), credentials: true, response: []string{acah + "*"}},
		{
			name:     "* does not cover authorization",
			method:   "GET",
			headers:  with("Authorization"),
			response: []string{acah + "*"},
			want:     outcome{AuthorizationMissing, "authorization"},
		},
		{
			name:        "nor with credentials",
			method:      "GET",
			headers:     with("Authorization"),
			credentials: true,
			response:    []string{acah + "*"},
			want:        outcome{AuthorizationMissing, "authorization"},
		},
		{name: "authorization beside *", method: "GET", headers: with("Authorization", "x-a"), response: []string{acah + "*, AUTHORIZATION"}},
		{
			name:     "authorization goes before headers that sort before it",
			method:   "GET",
			headers:  with("a-a", "Authorization"),
			response: []string{acah + "x"},
			want:     outcome{AuthorizationMissing, "authorization"},
		},
		{name: "proxies' kin of authorization is covered", method: "GET", headers: with("x-authorization"), response: []string{acah + "*"}},

		{name: "a private network that agrees", method: "GET", private: true, response: []string{acapn + "true"}},
		{name: "a private network that does not", method: "GET", private: true, want: outcome{PrivateNetworkDenied, ""}},
		{
			name:     "a private network that says True",
			method:   "GET",
			private:  true,
			response: []string{acapn + "True"},
			want:     outcome{PrivateNetworkDenied, "True"},
		},
		{
			name:     "a private network that says it twice",
			method:   "GET",
			private:  true,
			response: []string{acapn + "true", acapn + "true"},
			want:     outcome{PrivateNetworkDenied, "true, true"},
		},
		{name: "a private network that is not asked for", method: "GET", response: []string{acapn + "false"}},
		{
			name:    "the headers go before the private network",
			method:  "GET",
			headers: with("x-a"),
			private: true,
			want:    outcome{HeaderNotAllowed, "x-a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Request{Origin: page, Method: c.method, Headers: c.headers, Credentials: c.credentials, PrivateNetwork: c.private}
			if err := r.Validate(); err != nil {
				t.Fatal(err)
			}
			resp := Response{204, headers(append(c.response, "access-control-allow-origin: "+page, "access-control-allow-credentials: true")...)}
			if c.status != 0 {
				resp.Status = c.status
			}
			if got := outcomeOf(t, CheckPreflight(r, resp)); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTheOriginGoesBeforeTheStatus(t *testing.T) {
	want := outcome{OriginMissing, ""}
	if got := outcomeOf(t, CheckPreflight(Request{Origin: page, Method: "PUT"}, Response{Status: 403})); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What people read is pinned here once for each reason.
func TestMessages(t *testing.T) {
	const acao = "access-control-allow-origin: "
	ok := []string{acao + page, "access-control-allow-credentials: true"}
	and := func(lines ...string) []Header { return headers(append(slices.Clone(ok), lines...)...) }
	for _, c := range []struct {
		request  Request
		status   int
		response []Header
		want     string
	}{
		{Request{}, 204, nil, "the response has no Access-Control-Allow-Origin header"},
		{Request{Credentials: true}, 204, headers(acao + "*"), `Access-Control-Allow-Origin must not be "*" when credentials are included`},
		{
			Request{}, 204, headers(acao + "https://b.example"),
			`Access-Control-Allow-Origin is "https://b.example", not the page's origin "https://a.example"`,
		},
		{
			Request{}, 204, headers(acao+page, acao+page),
			`Access-Control-Allow-Origin has several values, "https://a.example, https://a.example"; only one is allowed`,
		},
		{
			Request{Credentials: true}, 204, headers(acao + page),
			`credentials are included and Access-Control-Allow-Credentials is "", not "true"`,
		},
		{Request{}, 403, and(), "the preflight was answered with 403; only 200 to 299 is accepted"},
		{Request{}, 307, and(), "the preflight was answered with 307; only 200 to 299 is accepted; browsers do not follow redirects of preflights"},
		{Request{}, 204, and("access-control-allow-methods: a b"), "Access-Control-Allow-Methods is not a list of methods"},
		{Request{}, 204, and("access-control-allow-headers: a b"), "Access-Control-Allow-Headers is not a list of header names"},
		{Request{Method: "PUT"}, 204, and(), "the method PUT is not in Access-Control-Allow-Methods"},
		{
			Request{Method: "patch"}, 204, and("access-control-allow-methods: PATCH"),
			"the method patch is not in Access-Control-Allow-Methods; PATCH is, but methods are case-sensitive",
		},
		{
			Request{Method: "PUT", Credentials: true}, 204, and("access-control-allow-methods: *"),
			`the method PUT is not in Access-Control-Allow-Methods, and "*" covers nothing there when credentials are included`,
		},
		{Request{Headers: headers("X-A:1")}, 204, and(), "the header x-a is not in Access-Control-Allow-Headers"},
		{
			Request{Headers: headers("x-a:1"), Credentials: true}, 204, and("access-control-allow-headers: *"),
			`the header x-a is not in Access-Control-Allow-Headers, and "*" covers nothing there when credentials are included`,
		},
		{
			Request{Headers: headers("Authorization:t")}, 204, and("access-control-allow-headers: *"),
			`the header authorization is not in Access-Control-Allow-Headers, and "*" does not cover it`,
		},
		{
			Request{PrivateNetwork: true}, 204, and(),
			`the target is in a more private network and Access-Control-Allow-Private-Network is not "true"`,
		},
	} {
		c.request.Origin = page
		if c.request.Method == "" {
			c.request.Method = "GET"
		}
		if v := CheckPreflight(c.request, Response{c.status, c.response}); v.Message != c.want {
			t.Errorf("%s\nwant %s", v.Message, c.want)
		}
	}
}

func TestStepsOfAWholePreflight(t *testing.T) {
	r := Request{Origin: page, Method: "PUT", Headers: headers("X-A:1", "x-b:1"), Credentials: true, PrivateNetwork: true}
	v := CheckPreflight(r, Response{200, headers("access-control-allow-origin: "+page, "access-control-allow-credentials: true",
		"access-control-allow-methods: PUT", "access-control-allow-headers: x-a, x-b", "access-control-allow-private-network: true")})
	want := []Step{
		{"CORS check: Access-Control-Allow-Origin", true, "it is the page's origin"},
		{"CORS check: Access-Control-Allow-Credentials", true, `it is "true"`},
		{"preflight: status", true, "200 is an ok status"},
		{"preflight: method", true, "PUT is listed"},
		{"preflight: headers", true, "x-a, x-b may be sent"},
		{"preflight: Access-Control-Allow-Private-Network", true, `it is "true"`},
	}
	if !v.Allowed || !slices.Equal(v.Steps, want) {
		t.Errorf("allowed %v, steps %+v\nwant %+v", v.Allowed, v.Steps, want)
	}
}

func TestHowLongAPreflightIsKept(t *testing.T) {
	const maximum = int(^uint(0) >> 1)
	for value, want := range map[string]int{
		"600": 600, " 600\t": 600, "0": 0, "0600": 600, "86401": 86401, "99999999999999999999": maximum,
		"": 5, "-1": 5, "+1": 5, "1.5": 5, "10m": 5, "600,": 5, "6 0": 5, "\u0663": 5,
	} {
		if got := PreflightMaxAge(Response{204, []Header{{"Access-Control-Max-Age", value}}}); got != want {
			t.Errorf("%q: %d s, want %d s", value, got, want)
		}
	}
	if got := PreflightMaxAge(Response{Status: 204}); got != 5 {
		t.Errorf("no header: %d s, want 5 s", got)
	}
	if got := PreflightMaxAge(Response{204, headers("access-control-max-age:600", "access-control-max-age:600")}); got != 5 {
		t.Errorf("two headers: %d s, want 5 s", got)
	}
}

func TestWhatAScriptMayRead(t *testing.T) {
	const aceh = "Access-Control-Expose-Headers:"
	safe := []string{"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
	sent := []string{"Cache-Control:a", "content-language:a", "CONTENT-LENGTH:1", "content-type:a", "expires:a", "last-modified:a", "pragma:a",
		"ETag:1", "X-Total:2", "x-total:3", "Set-Cookie:a=b", "set-cookie2:a=b", "access-control-allow-origin:*"}
	for _, c := range []struct {
		name        string
		credentials bool
		expose      []string
		want        []string // beside the safelisted ones
	}{
		{"without a list, the safelisted ones", false, nil, nil},
		{"with an empty list, the safelisted ones", false, []string{aceh}, nil},
		{"a listed one, once, whatever the case", false, []string{aceh + "X-TOTAL"}, []string{"x-total"}},
		{"one that is listed and not sent", false, []string{aceh + "x-nothing"}, nil},
		{"lists in several headers, with empty elements", true, []string{aceh + ",etag,", aceh + " x-total"}, []string{"etag", "x-total"}},
		{
			"* exposes all but cookies", false, []string{aceh + "*"},
			[]string{"access-control-allow-origin", "access-control-expose-headers", "etag", "x-total"},
		},
		{
			"* among others", false, []string{aceh + "etag, *"},
			[]string{"access-control-allow-origin", "access-control-expose-headers", "etag", "x-total"},
		},
		{"* with credentials is a header's name", true, []string{aceh + "*"}, nil},
		{"* with credentials beside another", true, []string{aceh + "*,etag"}, []string{"etag"}},
		{"a malformed list exposes nothing", false, []string{aceh + "etag, x total"}, nil},
		{"set-cookie cannot be listed", false, []string{aceh + "set-cookie, Set-Cookie2"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := slices.Sorted(slices.Values(append(slices.Clone(safe), c.want...)))
			got := ExposedHeaderNames(
				Request{Origin: page, Method: "GET", Credentials: c.credentials}, Response{200, headers(append(c.expose, sent...)...)},
			)
			if !slices.Equal(got, want) {
				t.Errorf("%q\nwant %q", got, want)
			}
		})
	}
}
