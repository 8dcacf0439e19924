package browser

import (
	"encoding/json"
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

// TestChromiumKeepsThePreflightsAnswer sends pairs of requests: whether the
// second is preceded by a preflight depends on Access-Control-Max-Age, and on
// whether the answer to the first, which lists all of the policy, covers it.
func TestChromiumKeepsThePreflightsAnswer(t *testing.T) {
	f := newFront(t)
	ctx := chromium(t, f.options()...)
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	const rest = `"allow_origins": ["https://page.example"], "allow_methods": ["PUT", "PATCH"], "allow_headers": ["x-a", "x-b"], "allow_credentials": true}`
	put := call{Method: "PUT", Headers: map[string]string{"x-a": "1"}}
	var (
		twice = []string{"OPTIONS", "PUT", "OPTIONS", "PUT"}
		once  = []string{"OPTIONS", "PUT", "PUT"}
	)
	table := []struct {
		name, age string
		second    call
		path      string // of the second; empty: the same
		want      []string
	}{
		{"an age that has not passed", `"max_age": 600, `, put, "", once},
		{"no age is five seconds", ``, put, "", once},
		{"age 0", `"max_age": 0, `, put, "", twice},
		{"age -1", `"max_age": -1, `, put, "", twice},
		{"another method that the answer lists", `"max_age": 600, `, call{Method: "PATCH"}, "", []string{"OPTIONS", "PUT", "PATCH"}},
		{"another header that the answer lists", `"max_age": 600, `, call{Method: "PUT", Headers: map[string]string{"x-b": "1"}}, "", once},
		{"a method that the answer does not list", `"max_age": 600, `, call{Method: "DELETE"}, "", []string{"OPTIONS", "PUT", "OPTIONS"}},
		{"another URL", `"max_age": 600, `, put, "/other", twice},
		{"with credentials after without", `"max_age": 600, `, call{Method: "PUT", Headers: put.Headers, Credentials: "include"}, "", twice},
	}
	var policies []string
	for _, c := range table {
		policies = append(policies, "{"+c.age+rest)
	}
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), policies...)
	for i, c := range table {
		t.Run(c.name, func(t *testing.T) {
			v := &visits{addresses[i], make(chan *http.Request, 8)}
			f.answer(v.serve)
			path := "/" + strings.ReplaceAll(c.name, " ", "-")
			first, second := put, c.second
			first.Credentials = "omit"
			if second.Credentials == "" {
				second.Credentials = "omit"
			}
			for _, step := range []struct {
				call
				path string
			}{{first, path}, {second, path + c.path}} {
				options, err := json.Marshal(step.call)
				if err != nil {
					t.Fatal(err)
				}
				run[bool](t, ctx, f, "https://page.example", fmt.Sprintf(`fetch(%q, %s).then(() => true, () => false)`, "https://api.example"+step.path, options))
			}
			got := v.take()
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			// The textbook browser must come to the same for the pair that is alike.
			if c.path == "" && second.Method == "PUT" && second.Headers["x-a"] != "" && second.Credentials == "omit" {
				age := browser.PreflightMaxAge(ask(t, "http://"+addresses[i]+path, "OPTIONS", browser.Request{Origin: "https://page.example", Method: "PUT"}.PreflightHeaders()))
				if kept := len(got) == 3; kept != (age > 0) {
					t.Errorf("kept: %v, and the textbook browser keeps it for %d s", kept, age)
				}
			}
		})
	}
}

// TestChromiumAsksInTheTextbooksWords compares when Chromium sends a preflight,
// in which words, and whether the request follows.
func TestChromiumAsksInTheTextbooksWords(t *testing.T) {
	f := newFront(t)
	ctx := chromium(t, f.options()...)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "served") }))
	defer upstream.Close()
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), `{"allow_origins": ["https://page.example", "null"], "allow_methods": ["PUT"], "allow_headers": ["x-a", "authorization"], "allow_credentials": true, "dangerously_tolerate": ["null-origin"]}`)
	v := &visits{addresses[0], make(chan *http.Request, 8)}
	f.answer(v.serve)
	for _, origin := range []string{"https://page.example", "https://unlisted.example", "null"} {
		for i, c := range calls {
			t.Run(fmt.Sprintf("%s of %s with %.60v", c.Method, origin, c.Headers), func(t *testing.T) {
				options, err := json.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				allowed := run[bool](t, ctx, f, origin, fmt.Sprintf(`fetch(%q, %s).then(() => true, () => false)`, fmt.Sprintf("https://api.example/%d", i), options))
				r := browser.Request{Origin: origin, Method: c.Method, Credentials: c.Credentials == "include"}
				for name, value := range c.Headers {
					r.Headers = append(r.Headers, browser.Header{Name: name, Value: value})
				}
				var want []string // of every request: method, origin, and what it asks for
				outcome := browser.Fetch(r, func(method string, headers []browser.Header) browser.Response {
					words := map[string]string{}
					for _, h := range headers {
						words[h.Name] = h.Value
					}
					want = append(want, strings.Join([]string{method, words["origin"], words["access-control-request-method"], words["access-control-request-headers"]}, "|"))
					return ask(t, "http://"+addresses[0], method, headers)
				})
				var got []string
				for range len(v.log) {
					r := <-v.log
					got = append(got, strings.Join([]string{r.Method, r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method"), r.Header.Get("Access-Control-Request-Headers")}, "|"))
				}
				if !slices.Equal(got, want) || allowed != outcome.Allowed() {
					t.Errorf("Chromium sends %q and allows: %v\nthe textbook sends %q and allows: %v", got, allowed, want, outcome.Allowed())
				}
			})
		}
	}
}
