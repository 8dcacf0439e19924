package e2e

import (
	"strings"
	"testing"

	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

// collecting is a VM that says what Go's runtime does in it. No Envoy can be asked.
type collecting struct {
	vm      *host.VM
	pushing bool
	// collections are those while requests are served, and while policies are pushed.
	serving, pushed int
	waited          []string // the calls of the host that wait or yield
}

func watch(t *testing.T, module *host.Module, profile host.Profile, gogc string) *collecting {
	t.Helper()
	w := &collecting{}
	vm, err := module.NewVM(t.Context(), host.VMConfig{
		Profile: profile,
		// Go's runtime says on standard error when it collects.
		Env:      map[string]string{"GOGC": gogc, "GOMEMLIMIT": environment["GOMEMLIMIT"], "GODEBUG": "gctrace=1"},
		LogLevel: host.LogError.Always,
		Log: func(_ host.LogLevel, _, message string) {
			switch {
			case strings.HasPrefix(message, "gc ") && w.pushing:
				w.pushed++
			case strings.HasPrefix(message, "gc "):
				w.serving++
			}
		},
		Answer: func(function string, run func() uint32) uint32 {
			if function == "poll_oneoff" || function == "sched_yield" {
				w.waited = append(w.waited, function)
			}
			return run()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vm.Close(t.Context()) })
	w.vm = vm
	return w
}

// push puts a policy in the place of one.
func (w *collecting) push(t *testing.T, old *host.Plugin, policy string) *host.Plugin {
	t.Helper()
	w.pushing = true
	defer func() { w.pushing = false }()
	plugin := configured(t, w.vm, policy)
	if old != nil {
		if err := old.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return plugin
}

// byGo leaves a test out where the module is TinyGo's, whose collector calls nothing of
// the host, and so cannot end a VM.
func byGo(t *testing.T) {
	if wasmtest.ByTinyGo() {
		t.Skip("left out: the collector of Go's own runtime, which TinyGo's module does not have")
	}
}

// TestNothingIsCollectedWhileRequestsAreServed sends requests to a VM as on Envoy 1.33
// to 1.38 and to one as on later ones, with pushes in between that streams are open
// over. In the older ones a collection, a wait or a yield can end a VM.
func TestNothingIsCollectedWhileRequestsAreServed(t *testing.T) {
	const requests, perPush = 60_000, 3_000
	byGo(t)
	module := compile(t)
	upstreams := []func(*host.HeaderMap) *host.HeaderMap{plain, open}
	policies := []string{everything, echoing, watchful, ruled}
	incoming := [][][2]string{
		noOrigin, crossOrigin, unlisted, asking, unlistedAsking,
		append(noOrigin[:3:3], [2]string{"origin", "https://" + strings.Repeat("a.", 300) + "example.org"}),
		append(asking[:5:5], [2]string{"access-control-request-headers", strings.Repeat("x-a,", 900)}),
	}
	for _, profile := range []host.Profile{0, 1} {
		t.Run(profile.String(), func(t *testing.T) {
			w := watch(t, module, profile, environment["GOGC"])
			plugin := w.push(t, nil, policies[0])
			var waiting []*host.Stream
			for i := range requests {
				if i%perPush == 0 {
					plugin = w.push(t, plugin, policies[i/perPush%len(policies)])
				}
				stream := plugin.NewStream()
				if _, reply := stream.OnRequestHeaders(host.NewHeaderMap(incoming[i%len(incoming)]...), true); reply != nil {
					stream.OnDone()
					continue
				}
				if waiting = append(waiting, stream); len(waiting) > 200 {
					if i%50 > 0 { // one in many is reset
						waiting[0].OnResponseHeaders(upstreams[i%len(upstreams)](nil), true)
					}
					waiting[0].OnDone()
					waiting = waiting[1:]
				}
				if i%1_000 == 0 {
					w.vm.Tick()
				}
			}
			if err := w.vm.Failed(); err != nil {
				t.Fatal(err)
			}
			if w.serving > 0 || w.waited != nil {
				t.Errorf("%d collections, and calls of %q", w.serving, w.waited)
			}
		})
	}
}

// TestCollectionsAreSeen keeps the test above from passing whatever happens.
func TestCollectionsAreSeen(t *testing.T) {
	byGo(t)
	w := watch(t, compile(t), 0, "10")
	plugin := w.push(t, nil, everything)
	for range 3_000 {
		if plugin = w.push(t, plugin, watchful); w.pushed > 0 {
			return
		}
	}
	t.Error("no collection is seen")
}
