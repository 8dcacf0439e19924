package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/host"
	"corsfilter/internal/shapes"
	"corsfilter/internal/wasmtest"
)

// The tests in this file are of clients, upstreams and hosts that mean harm or
// are broken. After each, the module must serve as one that has just started.

// Two policies that together look at everything a request has: echoing reads all
// of it by rules and sends the request's own list back, watchful shows and rejects.
const (
	echoing = `{
	  "rules": [{"hosts": ["off.example"], "policy": {"mode": "off"}}, {"paths": ["/shadow/*"],
	    "policy": {"allow_origins": ["https://shop.example.com"], "mode": "shadow"}}],
	  "allow_origins": ["https://shop.example.com", {"regex": "https://[a-z]+\\.example\\.org"}], "allow_methods": "*",
	    "allow_headers": "*", "expose_headers": "x-total", "allow_credentials": true
	}`
	watchful = options
)

// answers is what the module makes of the usual requests, whole.
func answers(plugin *host.Plugin) string {
	var b strings.Builder
	for _, request := range [][][2]string{noOrigin, crossOrigin, unlisted, asking, unlistedAsking} {
		for _, upstream := range []func(*host.HeaderMap) *host.HeaderMap{plain, open} {
			r := plugin.Exchange(host.NewHeaderMap(request...), upstream)
			fmt.Fprintln(&b, r.Forwarded, r.Details, r.Paused, len(r.Body))
			if r.Headers == nil {
				continue // paused
			}
			for name, value := range r.Headers.All() {
				fmt.Fprintf(&b, "%s: %s\n", name, value)
			}
		}
	}
	return b.String()
}

// servesAsNew fails the test unless the plugin answers as one that has just been
// started with the same configuration.
func servesAsNew(t *testing.T, module *host.Module, plugin *host.Plugin, configuration string) {
	t.Helper()
	if err := plugin.VM().Failed(); err != nil {
		t.Fatal(err)
	}
	if got, want := answers(plugin), answers(start(t, module, configuration, nil)); got != want {
		t.Errorf("serves differently from before:\n%s\nwant\n%s", got, want)
	}
}

// watched is a VM whose log is looked at: no line may be longer than a kilobyte or
// hold control characters.
func watched(t *testing.T, module *host.Module, change func(*host.VMConfig)) *host.VM {
	t.Helper()
	c := host.VMConfig{Env: environment, Log: func(_ host.LogLevel, _, message string) {
		if len(message) > 1024 || controls(message) {
			t.Errorf("logged: %.300q", message)
		}
	}}
	if change != nil {
		change(&c)
	}
	vm, err := module.NewVM(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vm.Close(t.Context()) })
	return vm
}

func configured(t *testing.T, vm *host.VM, configuration string) *host.Plugin {
	t.Helper()
	plugin, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: []byte(configuration)})
	if err != nil {
		t.Fatal(err)
	}
	return plugin
}

func controls(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

// ownHeaders are the headers that the filter sets.
var ownHeaders = []string{
	"access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods", "access-control-allow-headers",
	"access-control-expose-headers", "access-control-max-age", "access-control-allow-private-network", "timing-allow-origin",
	"x-cors-decision",
}

// clean fails the test if a header that the filter sets has a value that no header
// should have.
func clean(t *testing.T, what string, r host.Response) {
	t.Helper()
	for _, name := range ownHeaders {
		for _, value := range r.Headers.Values(name) {
			if controls(value) || len(value) > 6144 {
				t.Errorf("%s: %s is %.300q", what, name, value)
			}
		}
	}
}

func hostileAnswer(headers ...[2]string) func(*host.HeaderMap) *host.HeaderMap {
	h := host.NewHeaderMap(append([][2]string{{":status", "200"}}, headers...)...)
	return func(*host.HeaderMap) *host.HeaderMap { return h.Clone() }
}

// headerLines are n bytes of headers in lines of 105.
func headerLines(name string, n int) (headers [][2]string) {
	for i := range n / 105 {
		headers = append(headers, [2]string{fmt.Sprintf(name, i), strings.Repeat("v", 90)})
	}
	return headers
}

// TestHugeHeaders sends a mebibyte in every place where one can be, and half of it:
// the time may double, and some, and must stay within bounds.
func TestHugeHeaders(t *testing.T) {
	const mebibyte = 1 << 20
	module := compile(t)
	ask := func(more ...[2]string) [][2]string { return append(asking[:5:5], more...) }
	field := func(name, unit string) func(n int) [][2]string {
		return func(n int) [][2]string {
			return append(ask([2]string{"access-control-request-headers", "x-a"}), [2]string{name, strings.Repeat(unit, n/len(unit))})
		}
	}
	list := func(unit string) func(n int) [][2]string {
		return func(n int) [][2]string {
			return ask([2]string{"access-control-request-headers", strings.Repeat(unit, n/len(unit))})
		}
	}
	// in replaces a field of a preflight.
	in := func(name, unit string) func(n int) [][2]string {
		return func(n int) [][2]string {
			request := ask([2]string{"access-control-request-headers", "x-a"})
			for i := range request {
				if request[i][0] == name {
					request[i][1] = strings.Repeat(unit, n/len(unit))
				}
			}
			return request
		}
	}
	usual := func(request [][2]string) func(int) [][2]string { return func(int) [][2]string { return request } }
	value := func(name, unit string) func(n int) [][2]string {
		return func(n int) [][2]string { return [][2]string{{name, strings.Repeat(unit, n/len(unit))}} }
	}
	none := func(int) [][2]string { return nil }
	for _, c := range []struct {
		name     string
		request  func(n int) [][2]string
		response func(n int) [][2]string
		at       int // bytes
	}{
		{"a header", field("x-big", "v"), none, mebibyte},
		{"a cookie", field("cookie", "a=b; "), none, mebibyte},
		{"10,000 header lines", func(n int) [][2]string { return append(ask(), headerLines("x-%08d", n)...) }, none, mebibyte},
		{"10,000 lines of one name", func(n int) [][2]string { return append(ask(), headerLines("x-same", n)...) }, none, mebibyte},
		{"Origin", in("origin", "a"), none, mebibyte},
		{"Origin, of labels", in("origin", "https://a.a"), none, mebibyte},
		{"the requested method", in("access-control-request-method", "M"), none, mebibyte},
		{"the method, of 64 KiB", in(":method", "M"), none, 64 << 10},
		{"the path", in(":path", "/shadow/"), none, mebibyte},
		{"the host", in(":authority", "a."), none, mebibyte},
		{"the requested headers, short names", list("a,"), none, mebibyte},
		{"the requested headers, commas", list(","), none, mebibyte},
		{"the requested headers, spaces", list(" "), none, mebibyte},
		{"the requested headers, one name", list("a"), none, mebibyte},
		{"the requested headers, NULs", list("\x00"), none, mebibyte},
		{"the requested headers, letters that have a case", list("A,\tZ ,"), none, mebibyte},
		{"a response header", usual(crossOrigin), value("x-big", "v"), mebibyte},
		{"10,000 response lines", usual(crossOrigin), func(n int) [][2]string { return headerLines("x-%08d", n) }, mebibyte},
		{
			"10,000 lines of Timing-Allow-Origin", usual(crossOrigin), func(n int) [][2]string { return headerLines("timing-allow-origin", n) },
			mebibyte,
		},
		{"upstream's Allow-Origin", usual(crossOrigin), value("access-control-allow-origin", "https://shop.example.com,"), mebibyte},
		{"Vary, short names", usual(crossOrigin), value("vary", "a,"), mebibyte},
		{"Vary, commas", usual(crossOrigin), value("vary", ","), mebibyte},
		{"Vary, spaces", usual(crossOrigin), value("vary", " "), mebibyte},
		{"Vary, one name", usual(crossOrigin), value("vary", "origin"), mebibyte},
		{"Vary, NULs", usual(crossOrigin), value("vary", "\x00,"), mebibyte},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, configuration := range map[string]string{"echoing": echoing, "watchful": watchful} {
				plugin := configured(t, watched(t, module, nil), configuration)
				send := func(n int) time.Duration {
					request, upstream := host.NewHeaderMap(c.request(n)...), hostileAnswer(c.response(n)...)
					least := time.Hour
					for range 5 {
						mine := request.Clone()
						began := time.Now()
						r := plugin.Exchange(mine, upstream)
						least = min(least, time.Since(began))
						clean(t, c.name, r)
						if r.Paused || plugin.VM().Failed() != nil {
							t.Fatalf("paused %v, %v", r.Paused, plugin.VM().Failed())
						}
					}
					return least
				}
				before := plugin.VM().MemorySize()
				for try := 0; ; try++ {
					half, whole := send(c.at/2), send(c.at)
					grown := plugin.VM().MemorySize() - before
					if grown > 8<<20 {
						t.Fatalf("%s: linear memory grew by %.1f MiB", name, float64(grown)/(1<<20))
					}
					// A busy machine may take its time; what is held is the growth.
					if whole <= max(3*half, 4*time.Millisecond) && whole < 10*time.Millisecond {
						t.Logf("%s: %v for %d KiB, %v for half of it; memory +%.1f MiB", name, whole, c.at>>10, half, float64(grown)/(1<<20))
						break
					}
					if try == 4 {
						t.Fatalf("%s: %v for %d KiB, %v for half of it", name, whole, c.at>>10, half)
					}
				}
				servesAsNew(t, module, plugin, configuration)
			}
		})
	}
}

// TestControlBytes puts every byte that a field should not have into every field
// that is read, alone, in front, in the middle and behind.
func TestControlBytes(t *testing.T) {
	module := compile(t)
	for name, configuration := range map[string]string{
		"echoing":  echoing,
		"watchful": watchful,
		"public":   `{"allow_origins": ["*"], "allow_headers": "*", "allow_methods": "*", "debug": true}`,
	} {
		t.Run(name, func(t *testing.T) {
			plugin := configured(t, watched(t, module, nil), configuration)
			request := append(asking[:len(asking):len(asking)], [2]string{"x-forwarded-proto", "https"}, [2]string{"sec-fetch-site", "cross-site"},
				[2]string{"access-control-request-private-network", "true"}, [2]string{":scheme", "https"})
			sent := 0
			for i := range request {
				for c := range 256 {
					if c >= ' ' && c < 0x7f {
						continue
					}
					text := request[i][1]
					for _, hostile := range []string{
						string([]byte{byte(c)}), string([]byte{byte(c)}) + text, text[:len(text)/2] + string([]byte{byte(c)}) + text[len(text)/2:],
						text + string([]byte{byte(c)}),
					} {
						mine := append([][2]string{}, request...)
						mine[i][1] = hostile
						r := plugin.Exchange(host.NewHeaderMap(mine...), open)
						clean(t, fmt.Sprintf("%s: %q", mine[i][0], hostile), r)
						sent++
					}
				}
			}
			t.Logf("%d requests", sent)
			servesAsNew(t, module, plugin, configuration)
		})
	}
}

// TestMoreThanTheModuleAllocates sends a response that is more than the module
// makes room for: it goes out as it came, and the memory stays.
func TestMoreThanTheModuleAllocates(t *testing.T) {
	module := compile(t)
	plugin := start(t, module, watchful, nil)
	answers(plugin)
	before := plugin.VM().MemorySize()
	r := plugin.Exchange(host.NewHeaderMap(crossOrigin...), hostileAnswer([2]string{"x-big", strings.Repeat("v", 65<<20)}))
	if r.Headers.Len() != 2 || r.Paused {
		t.Errorf("%d headers, paused %v", r.Headers.Len(), r.Paused)
	}
	if grown := plugin.VM().MemorySize() - before; grown > 0 {
		t.Errorf("linear memory grew by %d bytes", grown)
	}
	servesAsNew(t, module, plugin, watchful)
}

// TestHostsThatAnswerAnything lets the host answer one function, or all, with each
// status that the ABI has and some that it has not, having done what was asked or
// nothing. That is a host that is out of memory, too.
func TestHostsThatAnswerAnything(t *testing.T) {
	module := compile(t)
	functions := []string{""} // all
	for _, name := range wantImports {
		if from, function, _ := strings.Cut(name, "."); from == "env" {
			functions = append(functions, function)
		}
	}
	exchanges, asked := 0, map[string]int{}
	for _, configuration := range []string{echoing, watchful} {
		for _, function := range functions {
			for _, done := range []bool{false, true} {
				status, on := uint32(0), false
				answer := func(name string, run func() uint32) uint32 {
					if !on || function != "" && name != function {
						return run()
					}
					asked[name]++
					if done {
						run()
					}
					return status
				}
				vm := watched(t, module, func(c *host.VMConfig) { c.Answer = answer })
				plugin := configured(t, vm, configuration)
				for _, status = range []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255, 1 << 31, 0xffffffff} {
					on = true
					// A start may fail or go well; the plugin that is there stays.
					if other, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "other", Configuration: []byte(configuration)}); err == nil {
						answers(other)
						other.Close(t.Context())
					}
					for _, request := range [][][2]string{noOrigin, crossOrigin, unlisted, asking, unlistedAsking} {
						for _, upstream := range []func(*host.HeaderMap) *host.HeaderMap{plain, open} {
							r := plugin.Exchange(host.NewHeaderMap(request...), upstream)
							exchanges++
							if r.Headers == nil {
								continue // the host said that it sends a reply, and sends none
							}
							if value, _ := r.Headers.Get("access-control-allow-origin"); r.Forwarded && value == "https://evil.example" {
								t.Errorf("%s answers %d: the unintended origin is let in", function, status)
							}
						}
					}
					on = false
					if err := vm.Failed(); err != nil {
						t.Fatalf("%s answers %d (done: %v): %v", function, status, done, err)
					}
				}
				servesAsNew(t, module, plugin, configuration)
			}
		}
	}
	for _, function := range functions[1:] {
		if asked[function] == 0 {
			t.Errorf("%s is never called", function)
		}
	}
	t.Logf("%d exchanges", exchanges)
}

// TestStreamsThatEndAnywhere runs streams as no sound host would: created and
// deleted without a callback, ended twice, callbacks before they are created and
// after they are gone, ids that are used again, a plugin that is deleted before
// its streams.
func TestStreamsThatEndAnywhere(t *testing.T) {
	module := compile(t)
	request := func(s *host.Stream) error {
		s.OnRequestHeaders(host.NewHeaderMap(crossOrigin...), true)
		return nil
	}
	preflight := func(s *host.Stream) error {
		s.OnRequestHeaders(host.NewHeaderMap(asking...), true)
		return nil
	}
	answer := func(s *host.Stream) error { s.OnResponseHeaders(plain(nil), true); return nil }
	run := func(c host.Callback) func(*host.Stream) error {
		return func(s *host.Stream) error { return s.Run(c) }
	}
	begin, end, note, drop := run(host.Create), run(host.Done), run(host.Log), run(host.Delete)
	type steps []func(*host.Stream) error
	for _, configuration := range []string{echoing, watchful} {
		plugin := configured(t, watched(t, module, nil), configuration)
		for name, life := range map[string]steps{
			"no callback":              {begin, drop},
			"reset after the request":  {begin, request, end, note, drop},
			"no request":               {begin, answer, end, drop},
			"done twice":               {begin, request, answer, end, end, note, note, drop},
			"deleted twice":            {begin, request, drop, drop},
			"never created":            {request, answer, end, note, drop},
			"created twice":            {begin, request, begin, answer, drop},
			"after its end":            {begin, request, answer, drop, request, answer, end, drop},
			"two requests":             {begin, request, preflight, answer, answer, drop},
			"answered and asked again": {begin, preflight, answer, request, answer, drop},
			"reset in the answer":      {begin, preflight, drop, answer, drop},
			"created and left":         {begin},
		} {
			for _, id := range []uint32{0, 2, 1 << 20, 1 << 31, 0xffffffff, 7, 7} {
				s := plugin.StreamWithID(id)
				for i, step := range life {
					if err := step(s); err != nil {
						t.Fatalf("%s, id %d, step %d: %v", name, id, i, err)
					}
				}
				// The id is used again, by a stream that leaves nothing out.
				if id != 0 {
					again := plugin.StreamWithID(id)
					response := plain(nil)
					begin(again)
					again.OnRequestHeaders(host.NewHeaderMap(crossOrigin...), true)
					again.OnResponseHeaders(response, true)
					drop(again)
					if value, _ := response.Get("access-control-allow-origin"); value != "https://shop.example.com" {
						t.Errorf("%s: the next stream of id %d gets Access-Control-Allow-Origin %q", name, id, value)
					}
				}
			}
			servesAsNew(t, module, plugin, configuration)
		}
		// The plugin goes first, twice, and its streams after it.
		other := configured(t, plugin.VM(), configuration)
		var left []*host.Stream
		for id := range uint32(40) {
			s := other.StreamWithID(1_000_000 + id)
			begin(s)
			request(s)
			left = append(left, s)
		}
		for _, c := range []host.Callback{host.Done, host.Delete, host.Delete, host.Done} {
			if err := other.Run(c); err != nil {
				t.Fatal(err)
			}
		}
		third := configured(t, plugin.VM(), `{"allow_origins": ["https://third.example"], "allow_credentials": true}`)
		for i, s := range left {
			response := plain(nil)
			s.OnResponseHeaders(response, true)
			if value, _ := response.Get("access-control-allow-origin"); value != "https://shop.example.com" {
				t.Errorf("stream %d of a deleted plugin gets %q", i, value)
			}
			drop(s)
		}
		servesAsNew(t, module, plugin, configuration)
		if err := third.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTenThousandStreams holds as many open at once, each with an origin of its
// own, and ends them in any order: each response has its own request's origin.
func TestTenThousandStreams(t *testing.T) {
	const streams = 10_000
	module := compile(t)
	const configuration = `{"allow_origins": ["https://*.example.org"], "allow_credentials": true, "allow_methods": ["PUT"]}`
	plugin := start(t, module, configuration, nil)
	random := rand.New(rand.NewPCG(1, 2))
	var sizes []uint32
	began := time.Now()
	for range 3 {
		open := make([]*host.Stream, streams)
		for i := range open {
			open[i] = plugin.StreamWithID(uint32(10 + i))
			open[i].Run(host.Create)
			open[i].OnRequestHeaders(
				host.NewHeaderMap(append(noOrigin[:3:3], [2]string{"origin", fmt.Sprintf("https://s-%d.example.org", i)})...), true,
			)
		}
		for _, i := range random.Perm(streams) {
			if i%5 > 0 { // a fifth is reset before there is a response
				response := plain(nil)
				open[i].OnResponseHeaders(response, true)
				if value, _ := response.Get("access-control-allow-origin"); value != fmt.Sprintf("https://s-%d.example.org", i) {
					t.Fatalf("stream %d gets Access-Control-Allow-Origin %q", i, value)
				}
			}
			open[i].Run(host.Delete)
		}
		sizes = append(sizes, plugin.VM().MemorySize())
	}
	t.Logf("%d streams at once, three times, in %v; %.1f MiB of linear memory", streams, time.Since(began), float64(sizes[2])/(1<<20))
	if most := wasmtest.Memory(24 << 20); sizes[2] != sizes[0] || sizes[0] > most {
		t.Errorf("linear memory after each time: %v; want the same, and %d MiB at most", sizes, most>>20)
	}
	servesAsNew(t, module, plugin, configuration)
}

// TestTwoThousandPushes pushes configurations of every shape into one VM, right
// and wrong ones mixed, while the one before is in effect and has a stream open. A
// plugin that was there first serves all the while as it did.
func TestTwoThousandPushes(t *testing.T) {
	const pushes, bound = 2_000, 72 << 20 // GOMEMLIMIT is 64 MiB
	module := compile(t)
	vm, err := module.NewVM(t.Context(), host.VMConfig{Env: environment})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close(t.Context())
	first := configured(t, vm, watchful)
	want := answers(first)
	random := rand.New(rand.NewPCG(1, 3))
	type inEffect struct {
		plugin *host.Plugin
		stream *host.Stream
		origin string
	}
	var running []inEffect
	end := func(at int) {
		r := running[at]
		running = append(running[:at], running[at+1:]...)
		if random.IntN(2) == 0 { // the plugin ends before its stream
			if err := r.plugin.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			defer r.plugin.Close(t.Context())
		}
		response := plain(nil)
		r.stream.OnResponseHeaders(response, true)
		r.stream.OnDone()
		if value, _ := response.Get("access-control-allow-origin"); value != r.origin {
			t.Fatalf("Access-Control-Allow-Origin %q, want %q", value, r.origin)
		}
	}
	accepted, refused, last := 0, 0, uint32(0)
	began := time.Now()
	for i := range pushes {
		shape := shapes.All[random.IntN(len(shapes.All))]
		configuration, origin := shape.Config(1+random.IntN(12)), ""
		switch random.IntN(3) {
		case 0:
			configuration = configuration[:random.IntN(len(configuration))]
		case 1:
			origin = fmt.Sprintf("https://push-%d.example", i)
			configuration = fmt.Sprintf(`{"allow_origins": ["https://other.example", %q], "allow_credentials": %v}`, origin, i%2 == 0)
		}
		plugin, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "push", Configuration: []byte(configuration)})
		if failed := vm.Failed(); failed != nil {
			t.Fatalf("push %d, %s: %v", i, shape.Name, failed)
		}
		if err != nil {
			refused++
		} else {
			accepted++
			stream := plugin.StreamWithID(uint32(1_000_000 + i))
			stream.Run(host.Create)
			stream.OnRequestHeaders(host.NewHeaderMap(append(noOrigin[:3:3], [2]string{"origin", origin})...), true)
			if origin == "" { // any of the shapes; how its responses look is not known here
				stream.OnDone()
				if err := plugin.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				running = append(running, inEffect{plugin, stream, origin})
			}
		}
		for len(running) > random.IntN(4) {
			end(random.IntN(len(running)))
		}
		if i%100 == 0 {
			if got := answers(first); got != want {
				t.Fatalf("push %d: serves differently from before:\n%s\nwant\n%s", i, got, want)
			}
		}
		if size := vm.MemorySize(); size > bound {
			t.Fatalf("push %d: %.1f MiB of linear memory", i, float64(size)/(1<<20))
		}
		last = vm.MemorySize()
	}
	for len(running) > 0 {
		end(0)
	}
	t.Logf("%d accepted, %d refused in %v; %.1f MiB of linear memory", accepted, refused, time.Since(began), float64(last)/(1<<20))
	if accepted < pushes/4 || refused < pushes/4 {
		t.Error("too few of a kind")
	}
	servesAsNew(t, module, first, watchful)
}
