package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"corsfilter/internal/host"
	"corsfilter/internal/progress"
)

var soakRequests = flag.Int64("soak", 60_000, "how many requests TestSoak sends")

// public is a policy for everybody.
const public = `{"allow_origins": ["*"], "allow_methods": "*", "allow_headers": "*", "expose_headers": "x-total", "debug": true}`

// soaked are the policies that are in force, all in each VM.
var soaked = []string{everything, echoing, watchful, ruled, public}

// exchanged is one exchange and all that must come of it.
type exchanged struct {
	policy            int // of soaked
	request, upstream *host.HeaderMap
	want              [][2]string
	replied           bool
}

func text(h *host.HeaderMap) (pairs [][2]string) {
	for name, value := range h.All() {
		pairs = append(pairs, [2]string{name, value})
	}
	return pairs
}

// soakTable is every policy with every request and upstream, and what a module
// that has just been started makes of it.
func soakTable(t *testing.T, module *host.Module) (table []exchanged) {
	requests := [][][2]string{noOrigin, noOrigin, noOrigin, crossOrigin, crossOrigin, stranger, asking, strangerAsking}
	for _, origin := range []string{"null", "HTTPS://SHOP.EXAMPLE.COM", "https://x.example.org:443", "https://" + strings.Repeat("a.", 300) + "example.org", "a, b"} {
		requests = append(requests, append(noOrigin[:3:3], [2]string{"origin", origin}), append(asking[:3:3], [2]string{"origin", origin}, asking[4], asking[5]))
	}
	for i := range 12 {
		requests = append(requests, append(noOrigin[:3:3], [2]string{"origin", fmt.Sprintf("https://app-%d.example.org", i)}, [2]string{"cookie", strings.Repeat("c", 40*i)}))
	}
	requests = append(requests,
		append(asking[:5:5], [2]string{"access-control-request-headers", strings.Repeat("x-a,", 900)}),
		append(asking[:5:5], [2]string{"access-control-request-headers", "x a\x00"}),
		append(asking[:5:5], [2]string{"access-control-request-headers", "x-a"}, [2]string{"access-control-request-private-network", "true"}),
		append(asking[:4:4], [2]string{"access-control-request-method", "DELETE"}),
		[][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "api.example.com"}, {":path", "/shadow/x"}, {"origin", "https://api.example.com"}},
	)
	upstreams := []*host.HeaderMap{plain(nil), open(nil), host.NewHeaderMap([2]string{":status", "500"}, [2]string{"vary", "*"}, [2]string{"set-cookie", "a=b"}, [2]string{"set-cookie", "c=d"})}
	for i, policy := range soaked {
		plugin := start(t, module, policy, nil)
		for _, request := range requests {
			for _, upstream := range upstreams {
				e := exchanged{policy: i, request: host.NewHeaderMap(request...), upstream: upstream}
				r := plugin.Exchange(e.request.Clone(), func(*host.HeaderMap) *host.HeaderMap { return upstream.Clone() })
				e.want, e.replied = text(r.Headers), !r.Forwarded
				table = append(table, e)
			}
		}
	}
	return table
}

// soaker drives one VM.
type soaker struct {
	profile host.Profile
	vm      *host.VM
	table   []exchanged
	random  *rand.Rand
	plugins []*host.Plugin
	open    []flight
	pushing bool

	requests, pushes, refused, errors int64
	collections                       [2]int64 // while serving, while pushing
	polled, yielded                   int64
	first, last, most                 uint32 // linear memory
	said                              []string
}

// flight is a stream that waits for its response.
type flight struct {
	stream *host.Stream
	of     *exchanged
}

func newSoaker(t *testing.T, module *host.Module, table []exchanged, number int, gogc string) *soaker {
	t.Helper()
	s := &soaker{profile: host.Profile(number % 2), table: table, random: rand.New(rand.NewPCG(uint64(number), 5)), pushing: true}
	vm, err := module.NewVM(t.Context(), host.VMConfig{
		Profile: s.profile,
		// Go's runtime says on standard error when it collects.
		Env:      map[string]string{"GOGC": gogc, "GOMEMLIMIT": environment["GOMEMLIMIT"], "GODEBUG": "gctrace=1"},
		LogLevel: host.LogError.Always,
		Log: func(_ host.LogLevel, _, message string) {
			if strings.HasPrefix(message, "gc ") {
				s.collections[b2i(s.pushing)]++
			} else if strings.Contains(message, "bug in") || strings.Contains(message, "trapped") {
				s.fail("%s", message)
			}
		},
		Answer: func(function string, run func() uint32) uint32 {
			switch function {
			case "poll_oneoff":
				s.polled++
			case "sched_yield":
				s.yielded++
			}
			return run()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.vm = vm
	for _, policy := range soaked {
		s.plugins = append(s.plugins, configured(t, vm, policy))
	}
	s.pushing = false
	return s
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *soaker) fail(format string, arguments ...any) {
	s.errors++
	if len(s.said) < 5 {
		s.said = append(s.said, fmt.Sprintf(format, arguments...))
	}
}

// send begins one exchange, and ends others in any order.
func (s *soaker) send() {
	e := &s.table[s.random.IntN(len(s.table))]
	s.requests++
	stream := s.plugins[e.policy].NewStream()
	_, reply := stream.OnRequestHeaders(e.request.Clone(), true)
	if (reply != nil) != e.replied {
		s.fail("replied %v, want %v, to %q", reply != nil, e.replied, text(e.request))
	}
	if reply != nil {
		response := host.NewHeaderMap([2]string{":status", fmt.Sprint(reply.Status)})
		for name, value := range reply.Headers.All() {
			response.Add(name, value)
		}
		s.finish(stream, response, e)
		return
	}
	s.open = append(s.open, flight{stream, e})
	for len(s.open) > 200 || len(s.open) > 0 && s.random.IntN(3) > 0 {
		i := s.random.IntN(len(s.open))
		f := s.open[i]
		s.open[i] = s.open[len(s.open)-1]
		s.open = s.open[:len(s.open)-1]
		if s.random.IntN(50) == 0 {
			f.stream.OnDone() // reset
			continue
		}
		s.finish(f.stream, f.of.upstream.Clone(), f.of)
	}
}

func (s *soaker) finish(stream *host.Stream, response *host.HeaderMap, e *exchanged) {
	stream.OnResponseHeaders(response, true)
	stream.OnDone()
	i := 0
	for name, value := range response.All() {
		if i >= len(e.want) || e.want[i] != [2]string{name, value} {
			break
		}
		i++
	}
	if i != len(e.want) || response.Len() != i {
		s.fail("response %q, want %q, to %q", text(response), e.want, text(e.request))
	}
}

// push puts a new configuration in the place of one, as a control plane does, and
// one that is wrong before it. Streams of the old one are still open.
func (s *soaker) push() {
	s.pushing = true
	defer func() { s.pushing = false }()
	ctx := context.Background()
	which := s.random.IntN(len(soaked))
	config := host.PluginConfig{Name: "cors", Configuration: []byte(soaked[which])}
	if _, err := s.vm.NewPlugin(ctx, host.PluginConfig{Name: "wrong", Configuration: config.Configuration[:len(config.Configuration)/2]}); err == nil {
		s.fail("half a configuration is taken")
	}
	s.refused++
	plugin, err := s.vm.NewPlugin(ctx, config)
	if err != nil {
		s.fail("push: %v", err)
		return
	}
	old := s.plugins[which]
	s.plugins[which] = plugin
	if err := old.Close(ctx); err != nil {
		s.fail("close: %v", err)
	}
	s.pushes++
	s.measure()
}

func (s *soaker) measure() {
	s.last = s.vm.MemorySize()
	if s.first == 0 {
		s.first = s.last
	}
	s.most = max(s.most, s.last)
}

// TestSoak sends mixed requests through several VMs at once, half of them as on
// Envoy 1.33 to 1.38, half as on later ones, with pushes in between. Each response
// is compared with that of a new module. While requests are served nothing may be
// collected, waited for or yielded: in older Envoys that can end a VM.
func TestSoak(t *testing.T) {
	const everyPush, everyTick, vms = 3_000, 1_000, 4
	module := compile(t)
	table := soakTable(t, module)
	ctx, stop := progress.Interruptible(t.Context())
	defer stop()
	meter := progress.Start(os.Stderr, "requests", *soakRequests)
	soakers := make([]*soaker, vms)
	for i := range soakers {
		soakers[i] = newSoaker(t, module, table, i, environment["GOGC"])
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, s := range soakers {
		wait.Go(func() {
			for next.Add(everyTick) <= *soakRequests && ctx.Err() == nil && s.vm.Failed() == nil {
				slots <- struct{}{}
				for range everyTick {
					s.send()
				}
				s.vm.Tick()
				if s.requests%everyPush == 0 {
					s.push()
				}
				meter.Add(everyTick)
				<-slots
			}
			for _, f := range s.open {
				s.finish(f.stream, f.of.upstream.Clone(), f.of)
			}
			s.measure()
		})
	}
	wait.Wait()
	meter.Stop()
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s requests in %v, %d kinds of them, over %d VMs at once\n", progress.Count(meter.Done()), progress.Count(*soakRequests), meter.Elapsed().Round(time.Millisecond), len(table), vms)
	fmt.Fprintf(&b, "%-22s %12s %8s %8s %22s %14s %12s %12s %7s\n", "", "requests", "pushes", "refused", "MiB first, last, most", "gc serving", "gc pushing", "poll, yield", "errors")
	for _, s := range soakers {
		fmt.Fprintf(&b, "%-22s %12s %8s %8s %8.2f %6.2f %6.2f %14d %12d %8d, %d %7d\n", s.profile, progress.Count(s.requests), progress.Count(s.pushes), progress.Count(s.refused),
			mib(s.first), mib(s.last), mib(s.most), s.collections[0], s.collections[1], s.polled, s.yielded, s.errors)
		if s.errors > 0 || s.collections[0] > 0 || s.polled > 0 || s.yielded > 0 || s.vm.Failed() != nil {
			t.Errorf("%s: %v; %q", s.profile, s.vm.Failed(), s.said)
		}
		if s.pushes == 0 && ctx.Err() == nil {
			t.Errorf("%s: nothing was pushed", s.profile)
		}
		if s.most > 72<<20 { // GOMEMLIMIT is 64 MiB
			t.Errorf("%s: %.1f MiB of linear memory", s.profile, mib(s.most))
		}
	}
	t.Log(b.String())
}

func mib(bytes uint32) float64 { return float64(bytes) / (1 << 20) }

// TestSoakSees keeps TestSoak from passing whatever happens: what it counts is
// seen where it does happen.
func TestSoakSees(t *testing.T) {
	module := compile(t)
	table := soakTable(t, module)
	s := newSoaker(t, module, table, 0, "10")
	for range 3_000 {
		s.push()
		if s.collections[1] > 0 {
			break
		}
	}
	if s.errors > 0 {
		t.Error(s.said)
	}
	t.Logf("%d collections after %d pushes; poll_oneoff %d, sched_yield %d", s.collections[1], s.pushes, s.polled, s.yielded)
	if s.collections[1] == 0 {
		t.Error("no collection is seen")
	}
	wrong := slices.Clone(table)
	for i := range wrong {
		wrong[i].want = append(slices.Clone(wrong[i].want), [2]string{"x", "y"})
	}
	s = newSoaker(t, module, wrong, 1, "off")
	s.send()
	s.send()
	for _, f := range s.open {
		s.finish(f.stream, f.of.upstream.Clone(), f.of)
	}
	if s.errors != 2 {
		t.Errorf("%d errors of 2 are seen", s.errors)
	}
}
