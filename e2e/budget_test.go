package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/host"
)

// everything is a policy that uses all that costs something per request.
const everything = `{
  "allow_origins": ["https://shop.example.com", "https://*.example.org"], "allow_methods": ["PUT"], "allow_headers": ["x-a"],
  "expose_headers": ["x-total"], "allow_credentials": true, "max_age": 600
}`

var (
	noOrigin    = [][2]string{{":method", "GET"}, {":authority", "api.example.com"}, {":path", "/"}}
	crossOrigin = append(noOrigin[:3:3], [2]string{"origin", "https://shop.example.com"})
	unlisted    = append(noOrigin[:3:3], [2]string{"origin", "https://evil.example"})
	asking      = [][2]string{{":method", "OPTIONS"}, {":authority", "api.example.com"}, {":path", "/"}, {"origin", "https://a.example.org"},
		{"access-control-request-method", "PUT"}, {"access-control-request-headers", "x-a"}}
	unlistedAsking = append(asking[:3:3], [2]string{"origin", "https://evil.example"}, asking[4])
)

// plain is an upstream without CORS headers of its own; open sends them all.
func plain(*host.HeaderMap) *host.HeaderMap {
	return host.NewHeaderMap([2]string{":status", "200"}, [2]string{"content-type", "application/json"}, [2]string{"vary", "accept-encoding"})
}

func open(*host.HeaderMap) *host.HeaderMap {
	return host.NewHeaderMap([2]string{":status", "200"}, [2]string{"access-control-allow-origin", "*"},
		[2]string{"access-control-allow-credentials", "true"}, [2]string{"access-control-expose-headers", "x"})
}

// options is the policy with every option that costs something; ruled is it
// behind rules.
const (
	options = `{
	  "allow_origins": ["https://shop.example.com", "https://*.example.org"], "allow_methods": ["PUT"], "allow_headers": ["x-a"],
	  "expose_headers": ["x-total"], "allow_credentials": true, "max_age": 600,
	  "timing_allow_origins": ["https://shop.example.com"], "allow_private_network_access": true, "disallowed_requests": "reject",
	    "debug": true
	}`
	ruled = `{"rules": [{"hosts": ["other.example"], "policy": {"mode": "off"}}, {"paths": ["/*"], "policy": ` + everything + `}]}`
)

// TestHostCallsPerRequest pins how often a request calls the proxy; counters are
// passed on in ticks and cost none. The budgets are 3 without an origin, 7 for a
// cross-origin request, 4 for a denied one, 6 for a preflight answered here, rules or
// not. Each header that upstream should not have sent costs a removal, and so
// does each that others add to a reply. The debug header and Timing-Allow-Origin
// cost one call each if they are on.
func TestHostCallsPerRequest(t *testing.T) {
	module := compile(t)
	for _, c := range []struct {
		name     string
		policy   string
		request  [][2]string
		upstream func(*host.HeaderMap) *host.HeaderMap
		want     uint64
		budget   uint64
	}{
		{"no origin", everything, noOrigin, plain, 3, 3},                             // origin; all headers, vary
		{"no origin, upstream careless", everything, noOrigin, open, 6, 3 + 3},       // and three removals
		{"cross-origin", everything, crossOrigin, plain, 7, 7},                       // origin, requested method; all headers, three sets, vary
		{"cross-origin, upstream careless", everything, crossOrigin, open, 6, 7},     // upstream's credentials are right already
		{"unlisted", everything, unlisted, plain, 4, 4},                              // origin, requested method; all headers, vary
		{"unlisted, upstream careless", everything, unlisted, open, 7, 4 + 3},        // and three removals
		{"preflight", everything, asking, plain, 5, 6},                               // origin, requested method, all headers, reply; all headers
		{"preflight of an unlisted origin", everything, unlistedAsking, plain, 5, 6}, // the same
		{"rules, no origin", ruled, noOrigin, open, 6, 3 + 3},                        // all headers; all headers, three removals, vary
		{"rules, cross-origin", ruled, crossOrigin, plain, 6, 7},                     // all headers; all headers, three sets, vary
		{"rules, preflight", ruled, asking, plain, 3, 6},                             // all headers, reply; all headers
		{"options, no origin", options, noOrigin, open, 6, 3 + 3},
		{"options, cross-origin", options, crossOrigin, plain, 9, 7 + 2},
		{"options, preflight", options, asking, plain, 4, 6},  // origin, all headers, reply; all headers
		{"options, rejected", options, unlisted, plain, 4, 4}, // the same
	} {
		t.Run(c.name, func(t *testing.T) {
			plugin := start(t, module, c.policy, nil)
			// One request first, so that nothing is done for the first time.
			plugin.Exchange(host.NewHeaderMap(c.request...), c.upstream)
			before := plugin.VM().HostCalls()
			plugin.Exchange(host.NewHeaderMap(c.request...), c.upstream)
			got := plugin.VM().HostCalls() - before
			if got != c.want || got > c.budget {
				t.Errorf("%d host calls, want %d, and %d at most", got, c.want, c.budget)
			}
		})
	}
}

// TestHostCallsWhereTheRouteAddsAStar is the same for what most migrations have: a
// preflight answered here costs one call more, a denied one as well.
func TestHostCallsWhereTheRouteAddsAStar(t *testing.T) {
	plugin := start(t, compile(t), everything, nil)
	for _, request := range [][][2]string{asking, unlistedAsking} {
		before := plugin.VM().HostCalls()
		plugin.ExchangeAdding(host.NewHeaderMap(request...), plain, [][2]string{{"access-control-allow-origin", "*"}})
		if got := plugin.VM().HostCalls() - before; got != 6 {
			t.Errorf("%d host calls, want 6", got)
		}
	}
}

// TestRepliesAreNoGRPCReplies looks at what a reply says beside its headers.
func TestRepliesAreNoGRPCReplies(t *testing.T) {
	plugin := start(t, compile(t), everything, nil)
	for _, request := range [][][2]string{asking, unlistedAsking} {
		s := plugin.NewStream()
		action, reply := s.OnRequestHeaders(host.NewHeaderMap(request...), true)
		if reply == nil || action != host.ActionPause || reply.GRPCStatus != -1 || len(reply.Body) != 0 {
			t.Errorf("action %v, reply %+v; want a paused stream, no body and no gRPC status", action, reply)
		}
		s.OnDone()
	}
}

// TestMemoryStaysAsItIs sends 200,000 mixed requests, many of them open at once
// and some hostile. Nothing is collected, so memory that stays the same means
// that no request leaves anything behind.
func TestMemoryStaysAsItIs(t *testing.T) {
	plugin := start(t, compile(t), `{
	  "rules": [
	    {"hosts": ["echo.example"], "policy": {"allow_origins": ["*"], "allow_methods": "*", "allow_headers": "*",
	      "allow_credentials": true, "debug": true, "dangerously_tolerate": ["any-origin-with-credentials"]}},
	    {"hosts": ["regex.example"], "policy": {"allow_origins": [{"regex": "https://pr-[0-9]+\\.preview\\.example"}], "debug": true}},
	    {"hosts": ["shadow.example"], "policy": {"allow_origins": ["https://*.example.org"], "mode": "shadow"}}
	  ],
	  "allow_origins": ["https://shop.example.com", "https://*.example.org"], "allow_methods": ["PUT"], "allow_headers": ["x-a"],
	  "expose_headers": ["x-total"], "allow_credentials": true, "disallowed_requests": "reject", "debug": true
	}`, nil)
	on := func(host string, headers [][2]string) [][2]string {
		return append([][2]string{{":authority", host}}, headers[1:]...)
	}
	var requests [][][2]string
	for _, headers := range [][][2]string{noOrigin, crossOrigin, unlisted, asking, unlistedAsking} {
		method := headers[0]
		for _, authority := range []string{"api.example.com", "echo.example", "regex.example", "SHADOW.example:80"} {
			requests = append(requests, append(on(authority, headers), method))
		}
	}
	for _, origin := range []string{
		"https://pr-1.preview.example", "HTTPS://SHOP.EXAMPLE.COM", "null", "https://a.example.org,https://b.example.org",
		"https://" + strings.Repeat("a.", 4000), strings.Repeat("x", 60_000),
	} {
		for _, authority := range []string{"api.example.com", "echo.example", "regex.example", strings.Repeat("h", 5000)} {
			requests = append(requests, [][2]string{{":method", "GET"}, {":authority", authority}, {":path", "/"}, {"origin", origin}},
				[][2]string{{":method", "OPTIONS"}, {":authority", authority}, {":path", "/" + strings.Repeat("p", 3000)}, {"origin", origin},
					{"access-control-request-method", strings.Repeat("M", 9000)}, {"access-control-request-headers", strings.Repeat("x-a,", 10_000)}},
				[][2]string{{":method", "OPTIONS"}, {":authority", authority}, {":path", "/"}, {"origin", origin},
					{"access-control-request-method", "PUT"}, {"access-control-request-headers", strings.Repeat("a,", 2000)}})
		}
	}
	upstreams := []func(*host.HeaderMap) *host.HeaderMap{plain, open}
	send := func(n int) {
		for i := range n {
			plugin.Exchange(host.NewHeaderMap(requests[i%len(requests)]...), upstreams[i/len(requests)%2])
		}
	}
	// Replies are held up as well, with all that they repeat of a request.
	crowded := [][][2]string{crossOrigin, append(on("echo.example", asking), asking[0])}
	crowd := func(n int) {
		streams := make([]*host.Stream, n)
		for i := range streams {
			streams[i] = plugin.NewStream()
			streams[i].OnRequestHeaders(host.NewHeaderMap(crowded[i%2]...), true)
		}
		for i, s := range streams {
			if i%3 > 0 { // a third is reset before there is a response
				s.OnResponseHeaders(plain(nil), true)
			}
			s.OnDone()
		}
	}
	crowd(1000)
	send(2 * len(requests))
	before := plugin.VM().MemorySize()
	for range 20 {
		send(10_000)
		crowd(500)
	}
	if after := plugin.VM().MemorySize(); after != before {
		t.Errorf("linear memory grew from %d to %d bytes", before, after)
	}
	if err := plugin.VM().Failed(); err != nil {
		t.Error(err)
	}
}

// perRequest is the least time that a request took over several rounds.
func perRequest(t *testing.T, plugin *host.Plugin, request [][2]string) time.Duration {
	t.Helper()
	const rounds, n = 12, 400
	best := time.Hour
	for range rounds {
		began := time.Now()
		for range n {
			if r := plugin.Exchange(host.NewHeaderMap(request...), plain); r.Paused {
				t.Fatal("paused")
			}
		}
		best = min(best, time.Since(began)/n)
	}
	return best
}

// TestTimeDoesNotGrowWithThePolicy compares a policy of one entry with one of
// many: a request may take twice as long at most.
func TestTimeDoesNotGrowWithThePolicy(t *testing.T) {
	module := compile(t)
	policy := func(origins int) string {
		var list []string
		for i := range origins - 1 {
			list = append(list, fmt.Sprintf("%q", fmt.Sprintf("https://app-%d.example.net", i)))
		}
		return `{"allow_origins": [` + strings.Join(append(list, `"https://shop.example.com"`), ", ") + `]}`
	}
	rules := func(n int) string {
		var list []string
		for i := range n - 1 {
			list = append(list, fmt.Sprintf(`{"hosts": ["api-%d.example.net"], "policy": {"allow_origins": ["https://app-%d.example.net"]}}`, i, i))
		}
		return `{"rules": [` + strings.Join(
			append(list, `{"hosts": ["api.example.com"], "policy": {"allow_origins": ["https://shop.example.com"]}}`), ", ",
		) + `]}`
	}
	for _, c := range []struct {
		name      string
		one, many string
	}{
		{"10,000 origins", policy(1), policy(10_000)},
		{"1,000 rules by host", rules(1), rules(1_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, many := start(t, module, c.one, nil), start(t, module, c.many, nil)
			for _, p := range []*host.Plugin{one, many} {
				r := p.Exchange(host.NewHeaderMap(crossOrigin...), plain)
				if value, _ := r.Headers.Get("access-control-allow-origin"); value != "https://shop.example.com" {
					t.Fatalf("Access-Control-Allow-Origin %q", value)
				}
			}
			// The machine may be busy with something else for a while.
			for try := 0; ; try++ {
				few, lots := perRequest(t, one, crossOrigin), perRequest(t, many, crossOrigin)
				if lots <= 2*few {
					return
				}
				if try == 4 {
					t.Fatalf("%v a request with one entry, %v with many", few, lots)
				}
			}
		})
	}
}

// TestTimeGrowsLinearlyWithAHostileHeader doubles what a client sends: up to the
// bound, twice the bytes may take three times as long, and beyond it no longer.
func TestTimeGrowsLinearlyWithAHostileHeader(t *testing.T) {
	plugin := start(t, compile(t), everything, nil)
	origin := func(n int) [][2]string {
		return append(noOrigin[:3:3], [2]string{"origin", "https://" + strings.Repeat("a.", n/2)})
	}
	list := func(n int) [][2]string {
		return append(asking[:5:5], [2]string{"access-control-request-headers", strings.Repeat("x-a,", n/4)})
	}
	for _, c := range []struct {
		name    string
		request func(n int) [][2]string
		bytes   int
	}{
		{"labels of an origin", origin, 248},
		{"elements of a list", list, 2048},
	} {
		t.Run(c.name, func(t *testing.T) {
			for try := 0; ; try++ {
				half, full, beyond := perRequest(t, plugin, c.request(c.bytes)), perRequest(t, plugin, c.request(2*c.bytes)), perRequest(t, plugin,
					c.request(16*c.bytes))
				if full <= 3*half && beyond <= 3*full {
					return
				}
				if try == 4 {
					t.Fatalf("%v for %d bytes, %v for twice that, %v far beyond the bound", half, c.bytes, full, beyond)
				}
			}
		})
	}
}
