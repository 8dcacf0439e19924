package situations

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// pushes are so many by each way.
const pushes = 200

// refused is the number of a policy that the module refuses.
const refused = -1

// pushed is the policy of the nth push. Odd and even ones differ in everything, and
// each answer to the shop tells its number.
func pushed(n int) string {
	if n == refused {
		return `{"allow_origins": 1}`
	}
	if n%2 == 0 {
		return fmt.Sprintf(
			`{"allow_origins": [%q], "allow_methods": ["PUT"], "allow_credentials": true, "expose_headers": ["x-%d"], "max_age": %d}`, shop, n, n,
		)
	}
	return fmt.Sprintf(
		`{"allow_origins": [%q, %q], "allow_methods": ["DELETE"], "allow_headers": ["x-a"], "expose_headers": `+
			`["x-%d"], "max_age": %d, "preflight_status": 200}`,
		shop, unlisted, n, n,
	)
}

// answerTo is what the nth policy answers to an origin.
func answerTo(origin string, preflight bool, n int) (status int, headers map[string]string) {
	even := n%2 == 0
	status, headers = 200, map[string]string{"vary": "origin"}
	if preflight {
		headers["vary"] = preflightVary
	}
	switch {
	case even && origin == unlisted && preflight:
		return 403, headers
	case even && origin == unlisted:
		return 200, headers
	case even:
		headers["access-control-allow-credentials"] = "true"
	}
	headers["access-control-allow-origin"] = origin
	switch {
	case !preflight:
		headers["access-control-expose-headers"] = fmt.Sprint("x-", n)
	case even:
		status = 204
		headers["access-control-allow-methods"], headers["access-control-max-age"] = "PUT", fmt.Sprint(n)
	default:
		headers["access-control-allow-methods"], headers["access-control-max-age"], headers["access-control-allow-headers"] = "DELETE",
			fmt.Sprint(n), "x-a"
	}
	return status, headers
}

// number finds the policy that answered; 0: an even one that does not say, to a
// unlisted.
func number(headers map[string]string) int {
	text := headers["access-control-max-age"]
	if text == "" {
		text = strings.TrimPrefix(headers["access-control-expose-headers"], "x-")
	}
	n, _ := strconv.Atoi(text)
	return n
}

// TestPushesToEnvoy pushes policies one after the other, by a file that lists listeners
// (LDS) and by one that holds the filter's configuration (ECDS), while clients ask
// on. Each answer is one that a policy pushed by then gives, whole; no request fails.
func TestPushesToEnvoy(t *testing.T) {
	u := newUpstream(t)
	folder := t.TempDir()
	// Envoy watches for a file that is moved to its place.
	place := func(name string, resource map[string]any) {
		t.Helper()
		text, err := json.Marshal(map[string]any{"resources": []any{resource}})
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "unfinished"), text, 0o644)
		}
		if err == nil {
			err = os.Rename(filepath.Join(folder, "unfinished"), filepath.Join(folder, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ways := map[string]func(n int){
		"LDS": func(n int) {
			file := envoytest.Bootstrap{Listeners: []envoytest.Listener{{Name: "LDS", Policy: pushed(n)}}}.JSON(t)
			var bootstrap struct {
				Static struct{ Listeners []map[string]any } `json:"static_resources"`
			}
			if err := json.Unmarshal(file, &bootstrap); err != nil {
				t.Fatal(err)
			}
			listener := bootstrap.Static.Listeners[0]
			listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener"
			place("LDS", listener)
		},
		"ECDS": func(n int) {
			f := envoytest.Filter(t, pushed(n), "")
			f["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
			place("ECDS", f)
		},
	}
	source := func(name string) string {
		return fmt.Sprintf(`{path_config_source: {path: %q}, resource_api_version: V3}`, filepath.Join(folder, name))
	}
	for _, push := range ways {
		push(1)
	}
	s := envoytest.Start(t, envoytest.Bootstrap{
		Upstream: u.address(),
		Listeners: []envoytest.Listener{{
			Name: "ECDS",
			Front: `[{name: cors, config_discovery: {config_source: ` + source("ECDS") +
				`, type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]}}]`,
		}},
		More: `dynamic_resources: {lds_config: ` + source("LDS") + `}`,
	}, envoy.Options{
		Concurrency: 2,
		Arguments:   []string{"--drain-time-s", "2", "--drain-strategy", "immediate", "--service-node", "test", "--service-cluster", "test"},
	})
	over := make(chan struct{})
	var wait sync.WaitGroup
	listeners := map[string]*pusher{}
	for way := range ways {
		p := &pusher{address: s.Address(way)}
		p.last.Store(1)
		listeners[way] = p
		for client := range 2 {
			wait.Go(func() {
				transport := &http.Transport{}
				defer transport.CloseIdleConnections()
				for i := client; ; i++ {
					select {
					case <-over:
						return
					default:
						p.ask(t, transport, []string{shop, unlisted}[i/2%2], i%2 == 0)
						time.Sleep(time.Millisecond) // or the pushes wait for a processor
					}
				}
			})
		}
	}
	stop := sync.OnceFunc(func() {
		close(over)
		wait.Wait()
	})
	defer stop()
	fresh := &http.Transport{DisableKeepAlives: true}
	for n := 2; n <= pushes && !t.Failed(); n++ {
		for way, p := range listeners {
			p.last.Store(int64(n))
			ways[way](n)
		}
		// The next ones come when these are in effect, or Envoy might skip them.
		for way, p := range listeners {
			for begun := time.Now(); p.ask(t, fresh, shop, true) != n; time.Sleep(5 * time.Millisecond) {
				if time.Since(begun) > 10*time.Second {
					t.Errorf("%s: policy %d is not in effect after ten seconds", way, n)
					break
				}
			}
		}
	}
	// A policy that the module refuses changes nothing.
	for way := range listeners {
		ways[way](refused)
	}
	counters := map[string]uint64{"listener_manager.lds.update_rejected": 1, "extension_config_discovery.http_filter.cors.update_rejected": 1}
	envoytest.Eventually(t, "Envoy counts what it refused", func() bool {
		stats, err := s.Stats(`update_rejected$`)
		return err == nil && maps.Equal(stats, counters)
	})
	if !strings.Contains(s.Log(), "allow_origins: ") {
		t.Errorf("nobody says why:\n%s", s.Log())
	}
	for way, p := range listeners {
		if n := p.ask(t, fresh, shop, true); n != pushes {
			t.Errorf("%s: policy %d is in effect after one that is refused", way, n)
		}
	}
	stop()
	for way, p := range listeners {
		if n := p.asked.Load(); n < 5*pushes {
			t.Errorf("%s: %d answers are no load", way, n)
		}
	}
}

// pusher is a listener whose policy changes.
type pusher struct {
	address     string
	last, asked atomic.Int64 // the last that was pushed, and how often it was asked
}

// ask returns the number of the policy that answered.
func (p *pusher) ask(t *testing.T, by http.RoundTripper, origin string, preflight bool) int {
	t.Helper()
	r := request{address: p.address, method: http.MethodGet, path: "/", header: http.Header{"Origin": {origin}}}
	if preflight {
		r.method = http.MethodOptions
		r.header.Set("Access-Control-Request-Method", "PUT")
	}
	response, err := by.RoundTrip(r.build(t, "http"))
	if err != nil {
		t.Error(err)
		return 0
	}
	got := answerOf(t, response)
	have := cors(got.header)
	n := number(have)
	if preflight {
		delete(have, "access-control-expose-headers") // as in the table
	}
	if status, want := answerTo(origin, preflight, n); got.status != status || !maps.Equal(have, want) || n > int(p.last.Load()) {
		t.Errorf("%s, preflight %v: status %d, %v; that is no answer of a policy up to %d", origin, preflight, got.status, have, p.last.Load())
	}
	p.asked.Add(1)
	return n
}
