//go:build !wasip1

package filter_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
)

// scratchHost hands out strings as the module gets them: in memory that another
// callback's overwrite.
type scratchHost struct {
	*Host
	memory []byte
}

// callback begins a callback: whatever was handed out is gone.
func (h *scratchHost) callback() {
	for i := range h.memory {
		h.memory[i] = '#'
	}
	h.memory = h.memory[:0]
}

func (h *scratchHost) give(s []byte) []byte {
	at := len(h.memory)
	if at+len(s) > cap(h.memory) {
		panic("the test needs more memory")
	}
	h.memory = append(h.memory, s...)
	return h.memory[at:len(h.memory):len(h.memory)]
}

func (h *scratchHost) RequestHeader(name string) string {
	b := h.give([]byte(h.Host.RequestHeader(name)))
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func (h *scratchHost) RequestHeaders() ([]byte, bool) {
	pairs, ok := h.Host.RequestHeaders()
	return h.give(pairs), ok
}

func (h *scratchHost) ResponseHeaders() ([]byte, bool) {
	pairs, ok := h.Host.ResponseHeaders()
	return h.give(pairs), ok
}

// world is a VM with its plugins and streams.
type world struct {
	host     *scratchHost
	vm       *filter.VM
	forgets  bool
	plugins  []*filter.Plugin
	streams  []*stream
	observed []string
}

type stream struct {
	of  *filter.Plugin
	ctx types.HttpContext
}

func newWorld(forgets bool) *world {
	w := &world{host: &scratchHost{Host: &Host{Unjoined: true, Level: filter.LogDebug}, memory: make([]byte, 0, 1<<20)}, forgets: forgets}
	w.vm = filter.New(w.host)
	return w
}

// note keeps what the proxy was asked for since the last one.
func (w *world) note(what ...any) {
	w.observed = append(w.observed, fmt.Sprint(what, w.host.Calls, w.host.Logs, w.host.Replied, w.host.Response))
	w.host.Calls, w.host.Logs, w.host.Replied, w.host.Response = nil, nil, nil, nil
}

func (w *world) push(configuration string) {
	w.host.callback()
	p := w.vm.NewPlugin()
	w.host.Config = configuration
	status := p.OnPluginStart(0)
	w.plugins = append(w.plugins, p)
	w.note("push", status)
}

// configure gives a plugin another configuration, which it may refuse.
func (w *world) configure(i int, configuration string) {
	w.host.callback()
	w.host.Config = configuration
	w.note("configure", w.plugins[i].OnPluginStart(0))
}

func (w *world) drop(i int) {
	w.host.callback()
	w.plugins[i].OnDelete()
	w.plugins = slices.Delete(w.plugins, i, i+1)
	w.note("drop")
}

// forget empties the cache before a callback, in a world that does without.
func (w *world) forget(s *stream) {
	if w.forgets {
		s.of.Forget()
	}
}

func (w *world) open(i int, request []filter.Header, replyErr error) {
	w.host.callback()
	s := &stream{w.plugins[i], w.plugins[i].NewStream()}
	w.forget(s)
	w.streams = append(w.streams, s)
	w.host.Request, w.host.Stream, w.host.ReplyErr = request, s.ctx, replyErr
	w.note("request", s.ctx.OnHttpRequestHeaders(0, true))
	w.host.Request = nil
}

func (w *world) respond(i int, response []filter.Header) {
	w.host.callback()
	w.host.Response = slices.Clone(response)
	w.forget(w.streams[i])
	w.streams[i].ctx.OnHttpResponseHeaders(0, true)
	w.note("response")
}

func (w *world) end(i int) {
	w.host.callback()
	ctx := w.streams[i].ctx
	if ctx.OnHttpStreamDone(); !ctx.(*filter.Stream).Blank() {
		panic(fmt.Sprintf("something is left of a stream: %+v", ctx))
	}
	w.streams = slices.Delete(w.streams, i, i+1)
	w.note("end")
}

// Values that a cache could take for each other: of one length, of one place,
// alike but for a byte or for case, and of lengths around every bound.
var (
	memorableOrigins = func() (list []string) {
		for _, middle := range []string{"aaaaaaaa", "aaaabaaa", "aaaaAaaa", "bbbbbbbb"} {
			list = append(list, "https://x"+middle+".shop.example", "https://"+middle+"x.shop.example", "https://xxxxxxxx"+middle+"x.shop.example")
		}
		for _, n := range []int{15, 16, 17, 24, 32, 33, 61, 62, 63, 64, 512, 513} {
			list = append(list, "https://"+strings.Repeat("n", n-len("https://")))
		}
		return append(
			list, "", "null", "https://a", "https://a.shop.example, https://a.shop.example", "https://a.shop.example\x00",
			"https://evil.test/https://a.shop.example",
			"https://a.shop.example", "https://a.shop.examplf", "http://aa.shop.example",
			"HTTPS://A.SHOP.EXAMPLE", "https://a.shop.example:8443", "https://api.example", strings.Repeat("\xff", 40),
		)
	}()
	memorableMethods = []string{"PUT", "PUS", "put", "GET", "PATCH", "DELETE", strings.Repeat("M", 30), strings.Repeat("M", 31), "P UT", ""}
	memorableLists   = []string{
		"", "x-a", "x-b", "x-a,x-b", "x-b,x-a", "X-A", "x-c", "x-a,", ",", "x-a\r\n", strings.Repeat("x-a,", 50),
		strings.Repeat("x-a,", 50) + "x",
		strings.Repeat("x-a,", 25) + strings.Repeat("x-c,", 25), strings.Repeat("x-a,", 1100),
		"authorization",
	}
	memorableVaries = []string{
		"", "origin", "Origin", "oRigin", "accept-encoding", "accept-encodinG", "accept-encoding, origin", "accept-encoding, origim", "*", "a",
		strings.Repeat("a,", 30) + "*", strings.Repeat("a,", 31) + "*", strings.Repeat("a", 61), strings.Repeat("a", 62),
	}
	// Configurations that are alike: the same origins with other answers, and the
	// other way around, in one plugin, too.
	memorableConfigurations = []string{
		`{"allow_origins":["https://*.shop.example","https://a"],"allow_methods":"PUT","allow_headers":"x-a,x-b",` +
			`"allow_credentials":true,"expose_headers":"x-e","timing_allow_origins":["https://a.shop.example"]}`,
		`{"allow_origins":["https://a.shop.example"],"allow_methods":"PUT,DELETE","allow_headers":"x-a",` +
			`"max_age":60,"allow_private_network_access":true,"debug":true}`,
		`{"allow_origins":["*"],"allow_methods":"*","allow_headers":"*"}`,
		`{"allow_origins":["*"],"allow_methods":"*","allow_headers":"*","allow_credentials":true,` +
			`"allow_private_network_access":true,"dangerously_tolerate":["any-origin-with-credentials"]}`,
		`{"allow_origins":["https://b.example"],"disallowed_requests":"reject","debug":true,"timing_allow_origins":["*"]}`,
		`{"rules":[{"paths":["/a"],"policy":{"allow_origins":["https://*.shop.example"],"allow_methods":"PUT",` +
			`"allow_headers":"x-a,x-b"}},{"paths":["/b"],"policy":{"allow_origins":["https://a.shop.example"],` +
			`"allow_methods":"PATCH","allow_headers":"*","allow_credentials":true}},{"paths":["/c"],` +
			`"policy":{"allow_origins":["https://*.shop.example"],"mode":"shadow"}},{"paths":["/d"],` +
			`"policy":{"mode":"off"}}],"allow_origins":[{"regex":"https://[a-z]+\\.shop\\.example"}],"unmatched_preflights":"forward"}`,
		`{"mode":"off"}`,
		`{"allow_origins":["x"]}`, // refused
	}
)

// TestTheCacheMakesNoDifference runs the same random life of a VM with and without
// a cache: pushes, refused ones, streams that outlive their plugin, end early or are
// never answered, values made to be taken for each other. Whatever the proxy is
// asked for must be the same, in the same order.
func TestTheCacheMakesNoDifference(t *testing.T) {
	steps := 60_000
	if testing.Short() {
		steps = 6_000
	}
	const seeds = 6
	cached := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		one, other := newWorld(false), newWorld(true)
		both := func(f func(w *world)) { f(one); f(other) }
		pick := func(list []string) string { return list[r.IntN(len(list))] }
		// Favourites come again and again, so that something is cached.
		origins, lists := memorableOrigins[:], memorableLists[:]
		both(func(w *world) { w.push(memorableConfigurations[seed]) })
		for step := range steps / seeds {
			switch n := r.IntN(100); {
			case n < 2 && len(one.plugins) < 4:
				c := pick(memorableConfigurations)
				both(func(w *world) { w.push(c) })
			case n < 4:
				i, c := r.IntN(len(one.plugins)), pick(memorableConfigurations)
				both(func(w *world) { w.configure(i, c) })
			case n < 5 && len(one.plugins) > 1:
				i := r.IntN(len(one.plugins))
				both(func(w *world) { w.drop(i) })
			case n < 7:
				i := r.IntN(len(one.plugins))
				both(func(w *world) { w.plugins[i].OnTick(); w.note("tick") })
			case n < 10:
				r.Shuffle(len(origins), func(i, j int) { origins[i], origins[j] = origins[j], origins[i] })
				r.Shuffle(len(lists), func(i, j int) { lists[i], lists[j] = lists[j], lists[i] })
			case n < 60:
				i := r.IntN(len(one.plugins))
				if one.plugins[i].Configured() {
					request := []filter.Header{
						{Name: ":path", Value: pick([]string{"/a", "/b", "/c", "/d", "/e"})},
						{Name: ":authority", Value: "api.example"},
						{Name: ":scheme", Value: "https"},
					}
					request = append(request, filter.Header{Name: ":method", Value: pick([]string{"OPTIONS", "OPTIONS", "GET"})})
					for _, f := range []struct {
						name string
						list []string
						few  int
					}{
						{"origin", origins, 4}, {"access-control-request-method", memorableMethods, 3}, {"access-control-request-headers", lists, 3},
						{"access-control-request-private-network", []string{"true", "false"}, 2},
					} {
						if r.IntN(8) > 0 {
							request = append(request, filter.Header{Name: f.name, Value: f.list[r.IntN(min(len(f.list), f.few*(1+4*r.IntN(2))))]})
						}
					}
					if r.IntN(40) == 0 {
						request = append(request, filter.Header{Name: "origin", Value: pick(origins)})
					}
					var err error
					if r.IntN(30) == 0 {
						err = fmt.Errorf("no")
					}
					both(func(w *world) { w.open(i, request, err) })
				}
			case n < 80 && len(one.streams) > 0:
				i := r.IntN(len(one.streams))
				response := []filter.Header{{Name: ":status", Value: "200"}, {Name: "date", Value: "now"}, {Name: "etag", Value: "x"}}
				for range r.IntN(3) {
					response = append(response, filter.Header{Name: "vary", Value: pick(memorableVaries)})
				}
				for _, name := range []string{
					"access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers", "timing-allow-origin",
					"x-cors-decision",
				} {
					if r.IntN(5) == 0 {
						response = append(response, filter.Header{Name: name, Value: pick([]string{"*", "true", "x-e", "https://a.shop.example"})})
					}
				}
				both(func(w *world) { w.respond(i, response) })
			case len(one.streams) > 0 && (n < 97 || len(one.streams) > 50):
				i := r.IntN(len(one.streams))
				both(func(w *world) { w.end(i) })
			}
			if len(one.observed) == 0 {
				continue
			}
			if !slices.Equal(one.observed, other.observed) {
				t.Fatalf("seed %d, step %d: cached\n%.3000q\nnot\n%.3000q", seed, step, one.observed, other.observed)
			}
			one.observed, other.observed = one.observed[:0], other.observed[:0]
		}
		for _, p := range one.plugins {
			a, b := p.Cached()
			cached += a + b
		}
	}
	if cached == 0 {
		t.Error("nothing is cached: the test shows nothing")
	}
}

// TestAnswersThatGetLong goes on with answers that are cached for origins with
// which they are as long as can be, and longer than that.
func TestAnswersThatGetLong(t *testing.T) {
	var names []string
	for i := range 35 {
		names = append(names, fmt.Sprintf("x-header-%02d-12345", i))
	}
	list := strings.Join(names, ",")
	for _, configuration := range []string{
		`{"allow_origins":["https://*.shop.example"],"allow_methods":"PUT","allow_headers":"` + list + `"}`,
		`{"allow_origins":["https://*.shop.example"],"allow_methods":"*","allow_headers":"` + list + `","allow_credentials":true}`,
	} {
		one, other := newWorld(false), newWorld(true)
		for n := 1; n < 200; n++ {
			for _, w := range []*world{one, other} {
				if n == 1 {
					w.push(configuration)
				}
				labels := strings.Repeat("a.", n/2) + strings.Repeat("a", 1+n%2)
				w.open(
					0,
					[]filter.Header{
						{Name: ":method", Value: "OPTIONS"},
						{Name: "origin", Value: "https://" + labels + ".shop.example"},
						{Name: "access-control-request-method", Value: "GET"},
					},
					nil,
				)
				w.end(0)
			}
			if !slices.Equal(one.observed, other.observed) {
				t.Fatalf("%.200s: origin %d: cached\n%.3000q\nnot\n%.3000q", configuration, n, one.observed, other.observed)
			}
			one.observed, other.observed = nil, nil
		}
		if _, answers := one.plugins[0].Cached(); answers == 0 {
			t.Errorf("%.200s: no answer is cached: the test shows nothing", configuration)
		}
	}
}

// TestTheCacheIsEmptyAfterAPush looks into it.
func TestTheCacheIsEmptyAfterAPush(t *testing.T) {
	w := newWorld(false)
	w.push(memorableConfigurations[0])
	p := w.plugins[0]
	for range 2 {
		w.open(
			0,
			[]filter.Header{
				{Name: ":method", Value: "OPTIONS"},
				{Name: "origin", Value: "https://a.shop.example"},
				{Name: "access-control-request-method", Value: "PUT"},
				{Name: "access-control-request-headers", Value: "x-a"},
			},
			nil,
		)
		w.end(0)
	}
	if origins, answers := p.Cached(); origins != 1 || answers != 1 {
		t.Fatalf("%d origins and %d answers are cached, want one of each", origins, answers)
	}
	w.configure(0, `{"allow_origins":["x"]}`) // refused: all is as it was
	if origins, answers := p.Cached(); origins != 1 || answers != 1 {
		t.Errorf("%d origins and %d answers after a configuration that was refused", origins, answers)
	}
	w.configure(0, memorableConfigurations[1])
	if origins, answers := p.Cached(); origins != 0 || answers != 0 {
		t.Errorf("%d origins and %d answers after another configuration", origins, answers)
	}
	w.open(0, []filter.Header{{Name: ":method", Value: "GET"}, {Name: "origin", Value: "https://a.shop.example"}}, nil)
	w.end(0)
	w.drop(0)
	w.push(memorableConfigurations[0]) // in the same place
	if origins, answers := w.plugins[0].Cached(); origins != 0 || answers != 0 || w.plugins[0] != p {
		t.Errorf("%d origins and %d answers in a new plugin", origins, answers)
	}
}
