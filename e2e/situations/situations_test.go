// Package situations runs the built module in a real Envoy in other situations: every
// protocol, replies from Envoy or other filters, several instances, pushes under load,
// traps. The scenario table (e2e/scenario) tests what the filter decides. Here each row
// sends the same four requests, and only Envoy differs.
package situations

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

const (
	shop     = "https://shop.example.com"
	unlisted = "https://evil.example"

	policy = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "allow_headers": ["x-a"], ` +
		`"expose_headers": ["x-b"], "allow_credentials": true, "max_age": 600}`
)

// situation is one row: a listener and what is asked of it.
type situation struct {
	// Name is a sentence.
	name string
	// The listener has the policy above where it names none.
	listener envoytest.Listener
	// over sends everything; nil: over HTTP/1.1. ask sends the request itself, where
	// that is not all.
	over, ask asker
	// The request itself; GET / where it says nothing.
	method, path, body string
	header             map[string]string
	// before is how often the shop asks, and gets 200, between the preflights and
	// what is compared.
	before int

	// What comes back to the shop, to the unintended origin, to their preflights.
	shop, unlisted, preflight, refused want
	// asked is how often upstream is asked for the shop's request; 0: nobody looks.
	asked int
}

// want is an answer. What is zero is as it always is.
type want struct {
	status  int    // 200; of preflights 204 and 403
	details string // how the response code details begin: via_upstream
	body    string // what it contains
	// cors are all headers that concern CORS.
	cors map[string]string
	// more are others, exactly.
	more map[string]string
}

// whatever are the details of a tunnel: they say who closed it first.
const whatever = "whatever"

// or fills in what is not said.
func (w want) or(usual want) want {
	if w.status == 0 {
		w.status = usual.status
	}
	if w.details == "" {
		w.details = usual.details
	}
	if w.cors == nil {
		w.cors = usual.cors
	}
	if w.body == "" {
		w.body = usual.body
	}
	if w.more == nil {
		w.more = usual.more
	}
	return w
}

var (
	usual      = want{status: 200, details: "via_upstream", cors: open}
	usualOwn   = want{status: 204, details: "cors_preflight", cors: answered}
	usualOwnNo = want{status: 403, details: "cors_origin_denied", cors: map[string]string{"vary": preflightVary}}
	closed     = map[string]string{"vary": "origin"}
	open       = map[string]string{
		"access-control-allow-origin": shop, "access-control-allow-credentials": "true", "access-control-expose-headers": "x-b", "vary": "origin",
	}
	answered = map[string]string{
		"access-control-allow-origin": shop, "access-control-allow-credentials": "true", "access-control-allow-methods": "PUT",
		"access-control-allow-headers": "x-a", "access-control-max-age": "600", "vary": preflightVary,
	}
)

const preflightVary = "origin, access-control-request-method, access-control-request-headers"

// asker sends a request to a listener.
type asker func(t *testing.T, b *bench, r request) answer

// request is one question to a listener.
type request struct {
	address, attempt string
	method, path     string
	body             string
	header           http.Header // with the origin
}

// url is the request's, under a scheme.
func (r request) url(scheme string) string { return scheme + "://" + r.address + r.path }

// build makes a request of it.
func (r request) build(t *testing.T, scheme string) *http.Request {
	t.Helper()
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	built, err := http.NewRequestWithContext(t.Context(), r.method, r.url(scheme), body)
	if err != nil {
		t.Fatal(err)
	}
	built.Header = r.header.Clone()
	return built
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func answerOf(t *testing.T, response *http.Response) answer {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// bench is the Envoy with every listener, and what it needs.
type bench struct {
	*envoytest.Server
	upstream *upstream
}

// TestSituationsOfEnvoy asks four things of each listener: a preflight from the shop, one
// from an unlisted origin, and the request itself from both.
func TestSituationsOfEnvoy(t *testing.T) {
	b := &bench{upstream: newUpstream(t)}
	table := table(t)
	listeners := []envoytest.Listener{workersListener}
	for i := range table {
		s := &table[i]
		s.listener.Name = fmt.Sprint(i)
		if s.listener.Policy == "" {
			s.listener.Policy = policy
		}
		listeners = append(listeners, s.listener)
	}
	b.Server = envoytest.Start(
		t, envoytest.Bootstrap{Listeners: listeners, Upstream: b.upstream.address(), Clusters: b.upstream.clusters(t)},
		envoy.Options{Concurrency: 2},
	)
	for i, s := range table {
		t.Run(s.name, func(t *testing.T) { b.run(t, s, fmt.Sprint(i)) })
	}
	t.Run("two workers count every request once", func(t *testing.T) { b.workers(t) })
}

func (b *bench) run(t *testing.T, s situation, listener string) {
	over, ask := s.over, s.ask
	if over == nil {
		over = overHTTP1
	}
	if ask == nil {
		ask = over
	}
	send := func(t *testing.T, kind, origin string) answer {
		r := request{
			address: b.Address(listener), attempt: listener + " " + kind, method: s.method, path: "/" + strings.TrimPrefix(s.path, "/"),
			body:   s.body,
			header: http.Header{"Origin": {origin}, envoytest.Attempt: {listener + " " + kind}},
		}
		if r.method == "" {
			r.method = http.MethodGet
		}
		if strings.HasPrefix(kind, "preflight") {
			r.method, r.body = http.MethodOptions, ""
			r.header.Set("Access-Control-Request-Method", "PUT")
			return over(t, b, r)
		}
		for name, value := range s.header {
			r.header.Set(name, value)
		}
		return ask(t, b, r)
	}
	details := map[string]string{} // wanted, by kind; the log comes late, and all of them at once
	check := func(kind, origin string, w want) {
		t.Helper()
		got := send(t, kind, origin)
		if got.status != w.status {
			t.Errorf("%s: status %d, want %d", kind, got.status, w.status)
		}
		if !strings.Contains(got.body, w.body) {
			t.Errorf("%s: body %q, want %q", kind, got.body, w.body)
		}
		headers := maps.Clone(w.more)
		if headers == nil {
			headers = map[string]string{}
		}
		maps.Copy(headers, w.cors)
		have := cors(got.header)
		if strings.HasPrefix(kind, "preflight") {
			// Whether an answer to a preflight exposes headers is the scenario table's.
			delete(have, "access-control-expose-headers")
			delete(headers, "access-control-expose-headers")
		}
		for name := range w.more {
			have[name] = strings.Join(got.header.Values(name), " | ")
		}
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			if have[name] != headers[name] {
				t.Errorf("%s: %s is %q, want %q", kind, name, have[name], headers[name])
			}
			delete(have, name)
		}
		if len(have) > 0 {
			t.Errorf("%s: there are %v as well", kind, have)
		}
		details[kind] = w.details
	}
	check("preflight", shop, s.preflight.or(usualOwn))
	check("preflight of an unlisted origin", unlisted, s.refused.or(usualOwnNo))
	for i := range s.before {
		if got := send(t, fmt.Sprint("before ", i), shop); got.status != http.StatusOK {
			t.Fatalf("before that: %+v", got)
		}
	}
	toShop := s.shop.or(usual)
	check("shop", shop, toShop)
	toUnlisted := toShop
	if s.unlisted.status != 0 { // another answer altogether
		toUnlisted = want{}
	}
	toUnlisted.cors = closed
	check("unlisted", unlisted, s.unlisted.or(toUnlisted))
	for kind, want := range details {
		logged := b.Logged(t, listener+" "+kind)
		// An internal redirect is a request of its own, whose line may come first.
		for begun := time.Now(); logged.Details == "internal_redirect" &&
			time.Since(begun) < 10*time.Second; logged = b.Logged(t, listener+" "+kind) {
			time.Sleep(5 * time.Millisecond)
		}
		if want != whatever && !strings.HasPrefix(logged.Details, want) {
			t.Errorf("%s: details %q, want %q", kind, logged.Details, want)
		}
	}
	if got := b.upstream.asked(listener + " shop"); s.asked > 0 && got != s.asked {
		t.Errorf("upstream was asked %d times, want %d", got, s.asked)
	}
}

// cors are the headers of an answer that concern CORS.
func cors(h http.Header) map[string]string {
	return scenario.Collect(func(yield func(string, string) bool) {
		for name, values := range h {
			for _, value := range values {
				if !yield(name, value) {
					return
				}
			}
		}
	})
}

// workersListener counts under a name of its own. Each worker has a VM.
var workersListener = envoytest.Listener{
	Name:   "workers",
	Policy: `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "stat_prefix": "workers"}`,
	Routes: `[{match: {prefix: /}, direct_response: {status: 200}}]`,
}

// workers asks over many connections, so that both workers have some of them.
func (b *bench) workers(t *testing.T) {
	const connections, requests = 40, 25
	before := b.connections(t)
	var wait sync.WaitGroup
	for range connections {
		wait.Go(func() {
			client := &http.Transport{MaxConnsPerHost: 1}
			defer client.CloseIdleConnections()
			for i := range requests {
				r := request{address: b.Address("workers"), method: http.MethodGet, path: "/", header: http.Header{"Origin": {shop}}}
				switch i % 5 {
				case 0:
					r.method = http.MethodOptions
					r.header.Set("Access-Control-Request-Method", "PUT")
				case 1:
					r.header.Set("Origin", unlisted)
				}
				response, err := client.RoundTrip(r.build(t, "http"))
				if err != nil {
					t.Error(err)
					return
				}
				answerOf(t, response)
			}
		})
	}
	wait.Wait()
	const all = connections * requests
	want := map[string]uint64{
		"origin_valid": all / 5 * 4, "origin_invalid": all / 5, "preflight_allowed": all / 5, "request_allowed": all / 5 * 3,
		"request_denied": all / 5,
	}
	got := map[string]uint64{}
	envoytest.Eventually(t, fmt.Sprint("counted ", want), func() bool {
		clear(got)
		for name, n := range b.Count(t) {
			if name, ok := strings.CutPrefix(name, "workers."); ok && n > 0 {
				got[name] = n
			}
		}
		return maps.Equal(got, want)
	})
	for worker, before := range before {
		if n := b.connections(t)[worker] - before; n == 0 {
			t.Errorf("worker %d had none of %d connections", worker, connections)
		}
	}
}

// connections are those that each worker has had. All listeners share these counters,
// since Envoy names them by the port that is asked for, 0.
func (b *bench) connections(t *testing.T) (n [2]uint64) {
	t.Helper()
	stats, err := b.Stats(`^listener\.127\.0\.0\.1_0\.worker_`)
	if err != nil {
		t.Fatal(err)
	}
	for worker := range n {
		n[worker] = stats[fmt.Sprintf("listener.127.0.0.1_0.worker_%d.downstream_cx_total", worker)]
	}
	return n
}
