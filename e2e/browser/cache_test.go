package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/browser"
)

// visits are the requests of a page, in the form "OPTIONS /path".
type visits struct {
	gateway string
	log     chan *http.Request
}

func (v *visits) serve(w http.ResponseWriter, r *http.Request) {
	if r.Host != "api.example" {
		http.NotFound(w, r) // the browser's own business, which leads here as well
		return
	}
	v.log <- r
	pass(w, r, v.gateway)
}

func (v *visits) take() (methods []string) {
	for range len(v.log) {
		methods = append(methods, (<-v.log).Method)
	}
	return methods
}

// TestEachEngineKeepsThePreflightsAnswer sends pairs of requests: whether the
// second is preceded by a preflight depends on Access-Control-Max-Age, and on
// whether the answer to the first, which lists all of the policy, covers it.
func TestEachEngineKeepsThePreflightsAnswer(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	const rest = `"allow_origins": ["https://page.example"], "allow_methods": ["PUT", "PATCH"], ` +
		`"allow_headers": ["x-a", "x-b"], "allow_credentials": true}`
	put := call{Method: "PUT", Headers: map[string]string{"x-a": "1"}}
	var (
		twice = []string{"OPTIONS", "PUT", "OPTIONS", "PUT"}
		once  = []string{"OPTIONS", "PUT", "PUT"}
	)
	with := put
	with.Credentials = "include"
	table := []struct {
		name, age     string
		first, second call
		path          string // of the second; empty: the same
		want          []string
	}{
		{"an age that has not passed", `"max_age": 600, `, put, put, "", once},
		{"no age is five seconds", ``, put, put, "", once},
		{"age 0", `"max_age": 0, `, put, put, "", twice},
		{"age -1", `"max_age": -1, `, put, put, "", twice},
		{"another method that the answer lists", `"max_age": 600, `, put, call{Method: "PATCH"}, "", []string{"OPTIONS", "PUT", "PATCH"}},
		{"another header that the answer lists", `"max_age": 600, `, put, call{Method: "PUT", Headers: map[string]string{"x-b": "1"}}, "", once},
		{"a method that the answer does not list", `"max_age": 600, `, put, call{Method: "DELETE"}, "", []string{"OPTIONS", "PUT", "OPTIONS"}},
		{"another URL", `"max_age": 600, `, put, put, "/other", twice},
		{"with credentials after without", `"max_age": 600, `, put, with, "", twice},
		{"without credentials after with", `"max_age": 600, `, with, put, "", once},
	}
	var policies []string
	for _, c := range table {
		policies = append(policies, "{"+c.age+rest)
	}
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), policies...)
	inEach(t, func(t *testing.T, b *tab) {
		for i, c := range table {
			t.Run(c.name, func(t *testing.T) {
				v := &visits{addresses[i], make(chan *http.Request, 8)}
				b.answer(v.serve)
				path := "/" + strings.ReplaceAll(c.name, " ", "-")
				for _, step := range []struct {
					call
					path string
				}{{c.first, path}, {c.second, path + c.path}} {
					run[bool](t, b, "https://page.example", step.script("https://api.example"+step.path))
				}
				got, want := v.take(), c.want
				if c.first.Credentials != "" && deviates(b.engine, "preflight-per-credentials") {
					want = twice
				}
				if !slices.Equal(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
				// The textbook browser must come to the same for the pair that is alike.
				if c.path == "" && c.first.Credentials == c.second.Credentials && c.second.Method == "PUT" && c.second.Headers["x-a"] != "" {
					age := browser.PreflightMaxAge(
						ask(t, "http://"+addresses[i]+path, "OPTIONS", browser.Request{Origin: "https://page.example", Method: "PUT"}.PreflightHeaders()),
					)
					if kept := len(got) == 3; kept != (age > 0) {
						t.Errorf("kept: %v, and the textbook browser keeps it for %d s", kept, age)
					}
				}
			})
		}
	})
}

// deviates reports whether an engine is among those of a deviation.
func deviates(e browser.Engine, name string) bool {
	return slices.ContainsFunc(browser.Deviations, func(d browser.Deviation) bool { return d.Name == name && slices.Contains(d.Engines, e) })
}

// TestEachEngineAsksInTheTextbooksWords compares when an engine sends a preflight,
// in which words, and whether the request follows.
func TestEachEngineAsksInTheTextbooksWords(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "served") }))
	defer upstream.Close()
	_, addresses := serveAll(
		t, upstream.Listener.Addr().String(),
		`{"allow_origins": ["https://page.example", "null"], "allow_methods": ["PUT"], "allow_headers": ["x-a", `+
			`"authorization"], "allow_credentials": true, "dangerously_tolerate": ["null-origin"]}`,
	)
	inEach(t, func(t *testing.T, b *tab) {
		v := &visits{addresses[0], make(chan *http.Request, 8)}
		b.answer(v.serve)
		for o, origin := range []string{"https://page.example", "https://unlisted.example", "null"} {
			for i, c := range calls {
				t.Run(fmt.Sprintf("%s of %s with %.60v", c.Method, origin, c.Headers), func(t *testing.T) {
					allowed := run[bool](t, b, origin, c.script(fmt.Sprintf("https://api.example/%d?%d", i, o)))
					var want []string // of every request: method, origin, and what it asks for
					outcome := b.engine.Fetch(c.request(origin), func(method string, headers []browser.Header) browser.Response {
						asks := words(headers)
						want = append(
							want,
							strings.Join([]string{method, asks["origin"], asks["access-control-request-method"], asks["access-control-request-headers"]}, "|"),
						)
						return ask(t, "http://"+addresses[0], method, headers)
					})
					var got []string
					for range len(v.log) {
						r := <-v.log
						got = append(
							got,
							strings.Join(
								[]string{
									r.Method, r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method"), r.Header.Get("Access-Control-Request-Headers"),
								},
								"|",
							),
						)
					}
					if !slices.Equal(got, want) || allowed != outcome.Allowed() {
						t.Errorf("it sends %q and allows: %v\nthe textbook sends %q and allows: %v", got, allowed, want, outcome.Allowed())
					}
				})
			}
		}
	})
}

func words(headers []browser.Header) map[string]string {
	all := map[string]string{}
	for _, h := range headers {
		all[h.Name] = h.Value
	}
	return all
}
