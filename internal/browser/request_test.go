package browser

import (
	"slices"
	"strings"
	"testing"
)

func TestScriptsCannotSendEverything(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  string
		headers []Header
		want    string // the error, or none
	}{
		{"a plain request passes", "GET", []Header{{"X-Foo", "1"}}, ""},
		{"an invented method passes", "CHICKEN", nil, ""},
		{"a method of every token character passes", "!#$%&'*+-.^_`|~09azAZ", nil, ""},
		{"an empty method", "", nil, `"" is not a method`},
		{"a method with a space", "GE T", nil, `"GE T" is not a method`},
		{"a method with a comma", "GET,PUT", nil, `"GET,PUT" is not a method`},
		{"a method that only folds to one", "PO\u017fT", nil, `"POſT" is not a method`},
		{"CONNECT", "CONNECT", nil, "scripts cannot send CONNECT"},
		{"TRACE in lower case", "trace", nil, "scripts cannot send TRACE"},
		{"TRACK in mixed case", "tRaCk", nil, "scripts cannot send TRACK"},
		{"an empty header name", "GET", []Header{{"", "1"}}, `"" is not a header name`},
		{"a header name with a colon", "GET", []Header{{"x:y", "1"}}, `"x:y" is not a header name`},
		{"a header value with a line break inside", "GET", []Header{{"X-Foo", "a\r\nb"}}, `header x-foo: "a\r\nb" is not a header value`},
		{"a header value with NUL", "GET", []Header{{"x-foo", "\x00"}}, `header x-foo: "\x00" is not a header value`},
		{"a line break around a header value is trimmed", "GET", []Header{{"x-foo", "\r\n a \n"}}, ""},
		{"Cookie", "GET", []Header{{"Cookie", "a=b"}}, "scripts cannot set the header cookie"},
		{"ORIGIN", "GET", []Header{{"ORIGIN", "https://b.example"}}, "scripts cannot set the header origin"},
		{"anything with Sec- in front", "GET", []Header{{"Sec-Fetch-Site", "none"}}, "scripts cannot set the header sec-fetch-site"},
		{"anything with proxy- in front", "GET", []Header{{"proxy-x", "1"}}, "scripts cannot set the header proxy-x"},
		{"sec without the dash passes", "GET", []Header{{"second", "1"}}, ""},
		{
			"the private network's request header", "GET", []Header{{"Access-Control-Request-Private-Network", "true"}},
			"scripts cannot set the header access-control-request-private-network",
		},
		{"the second header is the forbidden one", "GET", []Header{{"x-a", "1"}, {"host", "b"}}, "scripts cannot set the header host"},
		{"a method override to PUT passes", "POST", []Header{{"X-HTTP-Method-Override", "PUT"}}, ""},
		{
			"a method override to TRACE", "POST", []Header{{"X-HTTP-Method-Override", "trace"}},
			"scripts cannot set the header x-http-method-override",
		},
		{
			"TRACK among method overrides", "POST", []Header{{"X-Method-Override", "PUT,\tTrack ,"}},
			"scripts cannot set the header x-method-override",
		},
		{"CONNECT inside a quoted string passes", "POST", []Header{{"X-HTTP-Method", `"a,CONNECT,b"`}}, ""},
		{
			"CONNECT after an escaped quote and the closing one", "POST", []Header{{"X-HTTP-Method", `"\"",CONNECT`}},
			"scripts cannot set the header x-http-method",
		},
		{"CONNECT after a quote that never closes passes", "POST", []Header{{"X-HTTP-Method", `",CONNECT\`}}, ""},
		{"user-agent is not forbidden", "GET", []Header{{"User-Agent", "x"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := (Request{Origin: "https://a.example", Method: c.method, Headers: c.headers}).Validate(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("error %q, want %q", got, c.want)
			}
		})
	}
}

func TestMethodsAreNormalizedAsBrowsersDo(t *testing.T) {
	for method, want := range map[string]string{
		"get": "GET", "hEaD": "HEAD", "post": "POST", "put": "PUT", "Delete": "DELETE", "options": "OPTIONS",
		"GET": "GET", "PATCH": "PATCH", "patch": "patch", "Patch": "Patch", "query": "query", "gets": "gets", "po\u017ft": "po\u017ft",
	} {
		if got := (Request{Method: method}).NormalizedMethod(); got != want {
			t.Errorf("%s becomes %s, want %s", method, got, want)
		}
	}
}

func TestSafelistedHeaders(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, c := range []struct {
		header           string
		accepts, rejects []string
	}{
		{"accept", []string{"", "*/*", "text/html;q=0.9, */*", "a\tb", "é", long(128)},
			[]string{long(129), "a:b", `"`, "(", ")", "<", ">", "?", "@", "[", `\`, "]", "{", "}", "\x7f", "a\x01b", "a\x1fb"}},
		{"Accept-Language", []string{"de, en;q=0.5", "*", "", "az AZ09*,-.;=", long(128)},
			[]string{"en_US", "de/en", "a\tb", "é", `"de"`, long(129)}},
		{"CONTENT-LANGUAGE", []string{"de-DE"}, []string{"de:DE", "de+en"}},
		{"content-type",
			[]string{"text/plain", "text/plain;charset=UTF-8", "TEXT/Plain ; charset=utf-8", "text/plain;", "text/plain;;x",
				" text/plain\r\n", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain;" + long(117)},
			[]string{
				"", "application/json", "text/plain, application/json", "text/plain,text/plain", "text/plainx", "text /plain", "text/ plain",
				"text/html",
				`text/plain;charset="utf-8"`, "text/plain; a=(b)", ";text/plain", "text/plain;" + long(118),
			}},
		{"Range",
			[]string{
				"bytes=0-", "bytes=0-0", "bytes=1-2", "bytes=007-7", "bytes=9-10", "bytes=99999999999999999998-99999999999999999999", " bytes=0- ",
			},
			[]string{
				"", "bytes", "bytes=", "bytes=-", "bytes=-500", "bytes=0", "bytes= 0-", "bytes =0-", "bytes=0 -1", "bytes=0-1,3-4", "bytes=2-1",
				"bytes=1-0",
				"bytes=10-9", "bytes=0-1-2", "bytes=a-", "bytes=0-a", "bytes=+0-", "Bytes=0-", "items=0-",
				"bytes=99999999999999999999-99999999999999999998",
			}},
		// No value makes these safe.
		{"authorization", nil, []string{"", "Bearer t"}},
		{"x-foo", nil, []string{""}},
		{"dpr", nil, []string{"1"}},
		{"range ", nil, []string{"bytes=0-"}},
	} {
		t.Run(c.header, func(t *testing.T) {
			for _, v := range c.accepts {
				if names := (Request{Headers: []Header{{c.header, v}}}).UnsafeHeaderNames(); len(names) != 0 {
					t.Errorf("%q is unsafe", v)
				}
			}
			for _, v := range c.rejects {
				if names := (Request{Headers: []Header{{c.header, v}}}).UnsafeHeaderNames(); !slices.Equal(names, []string{strings.ToLower(c.header)}) {
					t.Errorf("%q: unsafe names %q", v, names)
				}
			}
		})
	}
}

func TestUnsafeHeaderNames(t *testing.T) {
	// Eight of these are exactly 1,024 bytes.
	full := slices.Repeat([]Header{{"Accept", strings.Repeat("a", 128)}}, 8)
	for _, c := range []struct {
		name    string
		headers []Header
		want    []string
	}{
		{"none", nil, nil},
		{
			"sorted, in lower case, once", []Header{{"X-B", "1"}, {"x-a", "1"}, {"x-b", "2"}, {"Authorization", "t"}},
			[]string{"authorization", "x-a", "x-b"},
		},
		{"sorted by byte", []Header{{"x_a", "1"}, {"x-a", "1"}, {"xa", "1"}}, []string{"x-a", "x_a", "xa"}},
		{
			"one unsafe value of two makes the name unsafe", []Header{{"content-type", "text/plain"}, {"content-type", "application/json"}},
			[]string{"content-type"},
		},
		{"safelisted values of 1,024 bytes together", full, nil},
		{
			"safelisted values of 1,025 bytes together", append(slices.Clone(full), Header{"Content-Language", "a"}),
			[]string{"accept", "content-language"},
		},
		{"unsafe values do not count", append(slices.Clone(full), Header{"x-a", "1"}), []string{"x-a"}},
		{"whitespace around a value does not count", append(slices.Clone(full), Header{"Content-Language", " \t\r\n"}), nil},
		{"whitespace around a value of 128 bytes does not count", []Header{{"accept", " " + strings.Repeat("a", 128) + " "}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (Request{Headers: c.headers}).UnsafeHeaderNames(); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhenABrowserAsksFirst(t *testing.T) {
	for _, c := range []struct {
		name      string
		request   Request
		why       []string
		preflight []Header // beside accept and origin
	}{
		{"a GET does not", Request{Method: "get"}, nil, []Header{{"access-control-request-method", "GET"}}},
		{"a POST of a form with credentials does not",
			Request{Method: "POST", Credentials: true, Headers: []Header{{"Content-Type", "multipart/form-data"}}}, nil,
			[]Header{{"access-control-request-method", "POST"}}},
		{
			"a PUT does",
			Request{Method: "put"}, []string{"the method PUT is not GET, HEAD or POST"}, []Header{{"access-control-request-method", "PUT"}},
		},
		{
			"an OPTIONS does",
			Request{Method: "OPTIONS"}, []string{"the method OPTIONS is not GET, HEAD or POST"},
			[]Header{{"access-control-request-method", "OPTIONS"}},
		},
		{
			"patch in lower case stays so",
			Request{Method: "patch"}, []string{"the method patch is not GET, HEAD or POST"}, []Header{{"access-control-request-method", "patch"}},
		},
		{"headers are listed without a space", Request{Method: "POST", Headers: []Header{{"X-Foo", "1"}, {"Content-Type", "application/json"}}},
			[]string{"the header content-type is not safelisted", "the header x-foo is not safelisted"},
			[]Header{{"access-control-request-method", "POST"}, {"access-control-request-headers", "content-type,x-foo"}}},
		{"what forces it does", Request{Method: "GET", Forced: "the body is streamed"}, []string{"the body is streamed"},
			[]Header{{"access-control-request-method", "GET"}}},
		{"a private network does", Request{Method: "GET", PrivateNetwork: true}, []string{"the target is in a more private network"},
			[]Header{{"access-control-request-method", "GET"}, {"access-control-request-private-network", "true"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.request.Origin = "null"
			needed, why := c.request.NeedsPreflight()
			if needed != (len(c.why) > 0) || !slices.Equal(why, c.why) {
				t.Errorf("%v, since %q; want %q", needed, why, c.why)
			}
			want := append([]Header{{"accept", "*/*"}, {"origin", "null"}}, c.preflight...)
			if got := c.request.PreflightHeaders(); !slices.Equal(got, want) {
				t.Errorf("preflight %q, want %q", got, want)
			}
		})
	}
}

func TestTheRequestCarriesWhatTheScriptSet(t *testing.T) {
	r := Request{Origin: "https://a.example", Method: "GET", Headers: []Header{{"X-Foo", " 1\r\n"}, {"x-foo", "2"}}}
	if got, want := r.ActualHeaders(), []Header{{"origin", "https://a.example"}, {"X-Foo", "1"}, {"x-foo", "2"}}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
