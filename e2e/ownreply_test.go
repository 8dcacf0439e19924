package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// replying is the policy behind which everything adds headers of its own.
const replying = `{
  "allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "allow_headers": ["x-a"], "expose_headers": ["x-total"],
  "max_age": 600, "disallowed_requests": "reject", "debug": true
}`

// meddled are headers that somebody has added, as a migration leaves them: each is
// one that the policy says otherwise or not at all.
var meddled = [][2]string{
	{"access-control-allow-origin", "*"}, {"access-control-allow-credentials", "true"}, {"access-control-allow-methods", "PATCH"},
	{"access-control-allow-headers", "x-b"}, {"access-control-expose-headers", "x-secret"}, {"access-control-max-age", "5"},
	{"access-control-allow-private-network", "true"}, {"vary", "accept-encoding"}, {"x-cors-decision", "made up"},
}

// added is the list of header options, or of mutations, that adds them.
func added(form, action string) string {
	var list []string
	for _, h := range meddled {
		list = append(list, fmt.Sprintf(form, h[0], h[1], action))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// TestOurRepliesAreOursInEnvoy has headers added to the filter's own replies in every place
// of Envoy's that can, in each way: what leaves is what the policy says, once.
func TestOurRepliesAreOursInEnvoy(t *testing.T) {
	const (
		option   = `{header: {key: %s, value: "%s"}, append_action: %s}`
		mutation = `{append: {header: {key: %s, value: "%s"}, append_action: %s}}`
		lua      = `[{name: envoy.filters.http.lua, typed_config: {"@type": ` +
			`type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, default_source_code: ` +
			`{inline_string: "function envoy_on_response(h)\n%send"}}}]`
	)
	listeners := []envoytest.Listener{{Name: "nobody"}}
	add := func(name string, l envoytest.Listener) {
		l.Name = name
		listeners = append(listeners, l)
	}
	for _, action := range []string{"APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD"} {
		toAdd := "response_headers_to_add: " + added(option, action)
		add("route "+action, envoytest.Listener{Routes: `[{match: {prefix: /}, route: {cluster: upstream}, ` + toAdd + `}]`})
		add("virtual host "+action, envoytest.Listener{VirtualHost: toAdd})
		add("route configuration "+action, envoytest.Listener{RouteConfig: toAdd})
		add("local reply "+action, envoytest.Listener{Manager: `local_reply_config: {mappers: [{
		  filter: {status_code_filter: {comparison: {op: GE, value: {default_value: 100, runtime_key: none}}}}, headers_to_add: ` +
			added(option, action) + `}]}`})
		add("header_mutation "+action, envoytest.Listener{Behind: `[{name: mutation, typed_config: {
		  "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation, mutations: {response_mutations: ` +
			added(mutation, action) + `}}}]`})
	}
	for _, method := range []string{"add", "replace"} {
		var script string
		for _, h := range meddled {
			script += fmt.Sprintf(`h:headers():%s('%s', '%s')\n`, method, h[0], h[1])
		}
		add("lua "+method, envoytest.Listener{Behind: fmt.Sprintf(lua, script)})
	}
	var script string
	for _, h := range meddled {
		script += fmt.Sprintf(`h:headers():remove('%s')\n`, h[0])
	}
	add("lua remove", envoytest.Listener{Behind: fmt.Sprintf(lua, script)})
	for i := range listeners {
		listeners[i].Policy = replying
	}
	// A route to upstream, though nothing gets there: Envoy adds no route's headers to
	// a filter's reply where the route is a direct response.
	server := envoytest.Start(t, envoytest.Bootstrap{Listeners: listeners, Upstream: "127.0.0.1:1"}, envoy.Options{})

	const preflightVary = "access-control-request-headers access-control-request-method origin"
	for _, l := range listeners {
		for _, c := range []struct {
			name    string
			request [][2]string
			status  int
			want    map[string]string
			vary    string // what it names of the request, sorted
		}{
			{
				"an allowed preflight", [][2]string{{":method", "OPTIONS"}, {"origin", shop}, {"access-control-request-method", "PUT"}}, 204,
				map[string]string{
					"access-control-allow-origin": shop, "access-control-allow-methods": "PUT", "access-control-allow-headers": "x-a",
					"access-control-expose-headers": "x-total", "access-control-max-age": "600", "x-cors-decision": "allowed",
				}, preflightVary,
			},
			{
				"a preflight of an unlisted origin",
				[][2]string{{":method", "OPTIONS"}, {"origin", "https://evil.example"}, {"access-control-request-method", "PUT"}}, 403,
				map[string]string{"x-cors-decision": "denied; reason=origin"}, preflightVary,
			},
			{
				"a rejected request", [][2]string{{":method", "GET"}, {"origin", "https://evil.example"}}, 403,
				map[string]string{"x-cors-decision": "denied; reason=origin"}, "origin",
			},
		} {
			t.Run(l.Name+"/"+c.name, func(t *testing.T) {
				request, err := http.NewRequestWithContext(t.Context(), c.request[0][1], "http://"+server.Address(l.Name), nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range c.request[1:] {
					request.Header.Add(h[0], h[1])
				}
				response, err := http.DefaultTransport.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				got := scenario.Collect(entries(response.Header))
				vary := strings.FieldsFunc(strings.ToLower(got["vary"]), func(r rune) bool { return strings.ContainsRune(", |", r) })
				vary = slices.DeleteFunc(vary, func(name string) bool { return name == "accept-encoding" })
				slices.Sort(vary)
				delete(got, "vary")
				if response.StatusCode != c.status || !maps.Equal(got, c.want) || strings.Join(vary, " ") != c.vary {
					t.Errorf("status %d, vary names %v\n%v\nwant %d, %s\n%v", response.StatusCode, vary, got, c.status, c.vary, c.want)
				}
			})
		}
	}
}

const shop = "https://shop.example.com"

// entries are a header's values one by one.
func entries(h http.Header) func(yield func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		for name, values := range h {
			for _, value := range values {
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// TestRepliesThatAreHeldUpInEnvoy has a filter behind wait for something before a reply goes
// on, while other preflights are answered: each gets back what it asked for itself.
func TestRepliesThatAreHeldUpInEnvoy(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(50 * time.Millisecond) }))
	t.Cleanup(slow.Close)
	server := envoytest.Start(t, envoytest.Bootstrap{Upstream: slow.Listener.Addr().String(), Listeners: []envoytest.Listener{{
		Policy: `{"allow_origins": ["https://*.example.com"], "allow_methods": "*", "allow_headers": "*",` +
			` "allow_credentials": true, "debug": true}`,
		Behind: `[{name: envoy.filters.http.lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua,
		  default_source_code: {
		  inline_string: "function envoy_on_response(h)
		    h:httpCall('upstream', {[':method'] = 'GET', [':path'] = '/', [':authority'] = 'slow'}, '', 5000)
		    h:headers():replace('access-control-allow-origin', '*')
		    h:headers():replace('access-control-allow-methods', 'GET')
		    h:headers():replace('access-control-allow-headers', '*')
		  end"}}}]`,
	}}}, envoy.Options{})
	var wait sync.WaitGroup
	for i := range 60 {
		wait.Go(func() {
			origin, method, name := fmt.Sprintf("https://a%d.example.com", i), fmt.Sprintf("M%d", i), fmt.Sprintf("x-%d", i)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+server.Address(""), nil)
			if err != nil {
				t.Error(err)
				return
			}
			for header, value := range map[string]string{
				"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": name,
			} {
				request.Header.Set(header, value)
			}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			want := map[string]string{
				"access-control-allow-origin": origin, "access-control-allow-credentials": "true", "access-control-allow-methods": method,
				"access-control-allow-headers": name,
				"vary":                         "origin, access-control-request-method, access-control-request-headers", "x-cors-decision": "allowed",
			}
			if got := scenario.Collect(entries(response.Header)); !maps.Equal(got, want) {
				t.Errorf("%v\nwant %v", got, want)
			}
		})
	}
	wait.Wait()
}
