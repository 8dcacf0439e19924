package browser

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// call is what a server saw.
type call struct {
	method  string
	headers []Header
}

func TestFetch(t *testing.T) {
	open := headers(
		"access-control-allow-origin: *", "access-control-allow-methods: *", "access-control-allow-headers: *", "etag: 1",
		"content-type: text/plain",
	)
	put := Request{Origin: page, Method: "put", Headers: headers("X-A:1")}
	preflight := call{
		"OPTIONS",
		[]Header{{"accept", "*/*"}, {"origin", page}, {"access-control-request-method", "PUT"}, {"access-control-request-headers", "x-a"}},
	}
	actual := call{"PUT", []Header{{"origin", page}, {"X-A", "1"}}}
	for _, c := range []struct {
		name      string
		request   Request
		answers   []Response
		calls     []call
		preflight *outcome
		response  *outcome
		readable  []string
	}{
		{"a simple request is sent at once", Request{Origin: page, Method: "get"}, []Response{{404, open}},
			[]call{{"GET", []Header{{"origin", page}}}}, nil, &allowed, []string{"content-type"}},
		{"its answer may be unreadable", Request{Origin: page, Method: "get"}, []Response{{200, nil}},
			[]call{{"GET", []Header{{"origin", page}}}}, nil, &outcome{OriginMissing, ""}, nil},
		{"another request asks first", put, []Response{{204, open}, {500, open}},
			[]call{preflight, actual}, &allowed, &allowed, []string{"content-type"}},
		{"nothing is sent after a preflight that failed", put, []Response{{403, open}},
			[]call{preflight}, &outcome{PreflightStatus, "403"}, nil, nil},
		{
			"the answer after a preflight that passed may be unreadable", put,
			[]Response{{200, open}, {200, headers("access-control-allow-origin: https://b.example")}},
			[]call{preflight, actual}, &allowed,
			&outcome{OriginMismatch, "https://b.example"}, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls []call
			o := Fetch(c.request, func(method string, headers []Header) Response {
				calls = append(calls, call{method, headers})
				if len(calls) > len(c.answers) {
					t.Fatalf("the server saw %q", calls)
				}
				return c.answers[len(calls)-1]
			})
			if !reflect.DeepEqual(calls, c.calls) {
				t.Errorf("the server saw %q, want %q", calls, c.calls)
			}
			for _, stage := range []struct {
				name string
				got  *Verdict
				want *outcome
			}{{"preflight", o.Preflight, c.preflight}, {"response", o.Response, c.response}} {
				switch {
				case (stage.got == nil) != (stage.want == nil):
					t.Errorf("%s: %+v, want %+v", stage.name, stage.got, stage.want)
				case stage.got != nil && outcomeOf(t, *stage.got) != *stage.want:
					t.Errorf("%s: %+v, want %+v", stage.name, *stage.got, *stage.want)
				}
			}
			if want := c.response != nil && *c.response == allowed; o.Allowed() != want || !slices.Equal(o.Readable, c.readable) {
				t.Errorf("allowed %v, readable %q; want %v, %q", o.Allowed(), o.Readable, want, c.readable)
			}
		})
	}
}

func drawRequest(t *rapid.T) Request {
	r := Request{
		Origin: rapid.SampledFrom([]string{page, "null", "http://localhost:3000", "https://[::1]:8443"}).Draw(t, "origin"),
		Method: rapid.SampledFrom(
			[]string{"GET", "head", "post", "put", "DELETE", "OPTIONS", "PATCH", "patch", "*", "QUERY"},
		).Draw(t, "method"),
		Credentials:    rapid.Bool().Draw(t, "credentials"),
		PrivateNetwork: rapid.Bool().Draw(t, "private network"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "headers") {
		r.Headers = append(r.Headers, Header{
			rapid.SampledFrom([]string{"accept", "Accept-Language", "Content-Type", "range", "X-A", "x-b", "Authorization", "*"}).Draw(t, "name"),
			rapid.SampledFrom([]string{"", "1", "text/plain", "application/json", "bytes=0-", strings.Repeat("a", 129)}).Draw(t, "value"),
		})
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	return r
}

// consent is the server that grants what it is asked, and nothing more.
func consent(headers []Header) map[string]string {
	asked := Response{Headers: headers}
	granted := map[string]string{
		"access-control-allow-origin":      asked.value("origin"),
		"access-control-allow-credentials": "true",
	}
	for request, response := range map[string]string{
		"access-control-request-method":          "access-control-allow-methods",
		"access-control-request-headers":         "access-control-allow-headers",
		"access-control-request-private-network": "access-control-allow-private-network",
	} {
		if value, ok := asked.get(request); ok {
			granted[response] = value
		}
	}
	return granted
}

func respond(granted map[string]string) Response {
	resp := Response{Status: 204}
	for _, name := range slices.Sorted(maps.Keys(granted)) {
		resp.Headers = append(resp.Headers, Header{name, granted[name]})
	}
	return resp
}

func TestAServerThatGrantsWhatItIsAskedIsUnderstood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		o := Fetch(r, func(_ string, headers []Header) Response { return respond(consent(headers)) })
		if needed, _ := r.NeedsPreflight(); !o.Allowed() || needed != (o.Preflight != nil) {
			t.Fatalf("%+v: needs a preflight: %v, outcome %+v", r, needed, o)
		}
	})
}

// Each header of a preflight's answer is needed exactly where the standard needs
// it: with one left out, the browser refuses for that reason or does not care.
func TestEachGrantIsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		granted := consent(r.PreflightHeaders())
		missing := rapid.SampledFrom(slices.Sorted(maps.Keys(granted))).Draw(t, "missing")
		delete(granted, missing)
		want := allowed
		switch missing {
		case "access-control-allow-origin":
			want = outcome{OriginMissing, ""}
		case "access-control-allow-credentials":
			if r.Credentials {
				want = outcome{CredentialsMissing, ""}
			}
		case "access-control-allow-methods":
			if m := r.NormalizedMethod(); m != "GET" && m != "HEAD" && m != "POST" {
				want = outcome{MethodNotAllowed, m}
			}
		case "access-control-allow-headers":
			names := r.UnsafeHeaderNames()
			want = outcome{HeaderNotAllowed, names[0]}
			if slices.Contains(names, "authorization") {
				want = outcome{AuthorizationMissing, "authorization"}
			}
		case "access-control-allow-private-network":
			want = outcome{PrivateNetworkDenied, ""}
		}
		if got := outcomeOf(t, CheckPreflight(r, respond(granted))); got != want {
			t.Fatalf("%+v without %s: %+v, want %+v", r, missing, got, want)
		}
	})
}

// "*" everywhere lets in what needs no credentials, save authorization.
func TestWildcards(t *testing.T) {
	open := Response{
		200,
		headers(
			"access-control-allow-origin:*", "access-control-allow-methods:*", "access-control-allow-headers:*",
			"access-control-allow-credentials:true", "access-control-allow-private-network:true",
		),
	}
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		want := !r.Credentials && !slices.ContainsFunc(r.Headers, func(h Header) bool { return h.Name == "Authorization" })
		if o := Fetch(r, func(string, []Header) Response { return open }); o.Allowed() != want {
			t.Fatalf("%+v: allowed %v, want %v", r, o.Allowed(), want)
		}
	})
}

// The same lists in another dress: header names in another case, elements in
// another order, spread over several headers, with whitespace and empty elements.
func TestListsReadTheSameInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		pool := map[string][]string{
			"access-control-allow-methods": {"PUT", "DELETE", "PATCH", "*"},
			"access-control-allow-headers": {"x-a", "content-type", "authorization", "*"},
		}
		plain := Response{
			204,
			headers("access-control-allow-origin:"+r.Origin, "access-control-allow-credentials:true", "access-control-allow-private-network:true"),
		}
		dressed := Response{204, slices.Clone(plain.Headers)}
		for _, name := range slices.Sorted(maps.Keys(pool)) {
			elements := rapid.SliceOfNDistinct(rapid.SampledFrom(pool[name]), 0, -1, rapid.ID).Draw(t, name)
			plain.Headers = append(plain.Headers, Header{name, strings.Join(elements, ",")})
			for _, element := range rapid.Permutation(elements).Draw(t, "order") {
				if name == "access-control-allow-headers" && rapid.Bool().Draw(t, "upper case") {
					element = strings.ToUpper(element)
				}
				around := rapid.SampledFrom([]string{"", " ", "\t", ",", " , ,"})
				dressed.Headers = append(dressed.Headers, Header{strings.ToUpper(name), around.Draw(t, "before") + element + around.Draw(t, "after")})
			}
		}
		if got, want := outcomeOf(t, CheckPreflight(r, dressed)), outcomeOf(t, CheckPreflight(r, plain)); got != want {
			t.Fatalf("%+v\n%q: %+v\n%q: %+v", r, plain.Headers, want, dressed.Headers, got)
		}
	})
}
