//go:build !wasip1

package filter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
)

// What the streams of FuzzStreams are made of.
var (
	fuzzedPolicies = []string{
		credentialed, debugging, `{"allow_origins":["*"],"expose_headers":"x-e"}`,
		`{"rules":[{"paths":["/a/*"],"policy":{"allow_origins":["https://*.example"],` +
			`"upstream_headers":"preserve"}},{"hosts":["off.example"],"policy":{"mode":"off"}}],` +
			`"allow_origins":["https://a.example"],"mode":"shadow"}`,
	}
	fuzzedRequests = []List{
		{{":method", "GET"}, {":path", "/a/x"}, {":authority", "api.example"}},
		{{":method", "GET"}, {":path", "/a/x"}, {":authority", "api.example"}, {"origin", "https://a.example"}},
		{{":method", "PUT"}, {":path", "/b"}, {":authority", "off.example"}, {"origin", "https://evil.test"}},
		{
			{":method", "OPTIONS"}, {":path", "/a"}, {":authority", "api.example"}, {"origin", "HTTPS://A.EXAMPLE"},
			{"access-control-request-method", "PUT"}, {"access-control-request-headers", "x-a, X-B"},
		},
		{
			{":method", "OPTIONS"}, {":path", "/b"}, {":authority", "api.example"}, {"origin", "https://b.example"},
			{"access-control-request-method", "PUT"},
		},
	}
	fuzzedUpstreams = [][]filter.Header{
		nil, opened,
		{{Name: "vary", Value: "x, origin"}, {Name: "set-cookie", Value: "a"}, {Name: "set-cookie", Value: "b"}},
	}
)

// alone is what one stream in a proxy of its own comes to; request -1 is none.
func alone(t testing.TB, policy, request, upstream int) string {
	h := &Host{}
	plugin := Start(t, fuzzedPolicies[policy], h)
	if request >= 0 {
		return Serve(plugin, h, fuzzedRequests[request], fuzzedUpstreams[upstream]...).Response
	}
	h.Response = slices.Clone(fuzzedUpstreams[upstream])
	plugin.NewHttpContext(2).OnHttpResponseHeaders(0, true)
	return Lines(h.Response)
}

// FuzzStreams runs callbacks of several plugins and many streams in any order,
// with configurations pushed in between: each response is what it would be if the
// stream were alone. A byte is a step: its low bits say which, the others on what.
func FuzzStreams(f *testing.F) {
	var want [4][6][3]string
	for p := range want {
		for r := range want[p] {
			for u := range want[p][r] {
				want[p][r][u] = alone(f, p, r-1, u)
			}
		}
	}
	f.Add([]byte("\x00\x08\x10\x01\x09\x11\x02\x0a\x12\x03\x0b\x13"))
	f.Add([]byte("\x00\x01\x05\x02\x03\x05\x00\x02\x03\x06\x04"))
	f.Add([]byte{0, 0x88, 0x41, 0xc9, 5, 0x0d, 0x15, 2, 0x4a, 3, 0x0b, 4, 7, 0x38, 0x39, 0x3a, 0x3b})
	f.Fuzz(func(t *testing.T, steps []byte) {
		h := &Host{Level: filter.LogInfo}
		vm := filter.New(h)
		type context struct {
			plugin types.PluginContext
			policy int
		}
		type life struct {
			types.HttpContext
			policy, request int
			answered        bool
		}
		configure := func(policy int, cut int) (types.PluginContext, bool) {
			h.Config = fuzzedPolicies[policy]
			h.Config = h.Config[:len(h.Config)-cut]
			p := vm.NewPluginContext(1)
			ok := p.OnPluginStart(len(h.Config)) == types.OnPluginStartStatusOK
			if ok != (cut == 0) {
				t.Fatalf("%s: started %v; %q", h.Config, ok, h.Logs)
			}
			return p, ok
		}
		end := func(p types.PluginContext) {
			if d, ok := p.(*filter.Plugin); ok {
				d.OnDelete()
			}
		}
		var plugins [2]context
		for i := range plugins {
			plugins[i].plugin, _ = configure(i, 0)
			plugins[i].policy = i
		}
		streams := map[byte]*life{}
		for i, step := range steps {
			id, n := step>>3, i+int(step>>3) // what n chooses depends on where the step stands
			s := streams[id&7]
			switch step & 7 {
			case 0: // created, also where there is one of that id: the proxy has lost it
				p := plugins[n%2]
				streams[id&7] = &life{p.plugin.NewHttpContext(2), p.policy, -1, false}
			case 1: // request
				if s == nil || s.request >= 0 || s.answered {
					continue
				}
				s.request = n % len(fuzzedRequests)
				h.Request, h.Response, h.Stream = fuzzedRequests[s.request].Entries(), nil, s.HttpContext
				before := h.Replies
				action := s.OnHttpRequestHeaders(len(h.Request), true)
				h.Request = nil
				if h.Replies > before {
					s.answered = true
					if got := Lines(h.Response); action != types.ActionPause || got != want[s.policy][s.request+1][0] {
						t.Fatalf("step %d: the reply is\n%s\nwant\n%s", i, got, want[s.policy][s.request+1][0])
					}
				}
			case 2: // response
				if s == nil || s.answered {
					continue
				}
				s.answered = true
				u := n % len(fuzzedUpstreams)
				h.Response = slices.Clone(fuzzedUpstreams[u])
				s.OnHttpResponseHeaders(len(h.Response), true)
				if got := Lines(h.Response); got != want[s.policy][s.request+1][u] {
					t.Fatalf("step %d: the response is\n%s\nwant\n%s", i, got, want[s.policy][s.request+1][u])
				}
			case 3: // the end
				if s != nil {
					s.OnHttpStreamDone()
					delete(streams, id&7)
				}
			case 4:
				plugins[n%2].plugin.OnTick()
			case 5: // a push; streams of the old one may be open
				old := plugins[n%2].plugin
				policy := n / 2 % len(fuzzedPolicies)
				plugins[n%2].plugin, _ = configure(policy, 0)
				plugins[n%2].policy = policy
				end(old)
			case 6: // a wrong push
				p, _ := configure(n%len(fuzzedPolicies), 1+n%20)
				end(p)
				h.Logs = nil
			case 7: // the response comes twice, or before its stream; nothing may break
				if s != nil {
					h.Response = slices.Clone(opened)
					s.OnHttpResponseHeaders(0, false)
					s.answered = true
				}
			}
			for _, line := range h.Logs {
				if strings.Contains(line, "bug in") {
					t.Fatal(fmt.Sprint("step ", i, ": ", line))
				}
			}
			h.Calls, h.Logs = h.Calls[:0], h.Logs[:0]
		}
	})
}

// TestADeletedPluginLastsAsLongAsItsStreams deletes a plugin with two streams open:
// its place is another's only when both have ended.
func TestADeletedPluginLastsAsLongAsItsStreams(t *testing.T) {
	h := &Host{Level: filter.LogInfo}
	vm := filter.New(h)
	begin := func(configuration string) types.PluginContext {
		h.Config = configuration
		p := vm.NewPluginContext(1)
		if p.OnPluginStart(0) != types.OnPluginStartStatusOK {
			t.Fatal(h.Logs)
		}
		return p
	}
	end := func(p types.PluginContext) { p.(*filter.Plugin).OnDelete() }
	old := begin(credentialed)
	var streams [2]types.HttpContext
	for i := range streams {
		streams[i] = old.NewHttpContext(2)
		h.Request = List{{":method", "GET"}, {"origin", "https://a.example"}}.Entries()
		streams[i].OnHttpRequestHeaders(0, true)
	}
	end(old)
	respond := func(i int) {
		h.Response = nil
		streams[i].OnHttpResponseHeaders(0, true)
		if got := Lines(h.Response); !strings.Contains(got, "access-control-expose-headers: x-e\n") {
			t.Errorf("stream %d gets\n%s", i, got)
		}
		streams[i].OnHttpStreamDone()
	}
	respond(0)
	second := begin(rejecting)
	if second == old {
		t.Error("a plugin with a stream open is used again")
	}
	respond(1)
	if third := begin(rejecting); third != old {
		t.Error("a plugin without streams is not used again")
	}
}

// TestListsOfTheLongestLength is at the bound, and one byte beyond it.
func TestListsOfTheLongestLength(t *testing.T) {
	const bound = 4096
	h := &Host{}
	plugin := Start(t, debugging, h)
	for _, c := range []struct {
		bytes int
		reads bool
	}{{bound, true}, {bound + 1, false}} {
		list := "x-a" + strings.Repeat(",", c.bytes-len("x-a"))
		got := Serve(
			plugin, h,
			List{
				{":method", "OPTIONS"}, {"origin", "https://a.example"}, {"access-control-request-method", "PUT"},
				{"access-control-request-headers", list},
			},
		)
		if allowed := strings.Contains(got.Response, "x-cors-decision: allowed\n"); allowed != c.reads {
			t.Errorf("%d bytes of names: allowed %v", c.bytes, allowed)
		}
		vary := "origin" + strings.Repeat(",", c.bytes-len("origin"))
		got = Serve(plugin, h, List{{":method", "GET"}}, filter.Header{Name: "vary", Value: vary})
		if read := got.Response == "vary: "+vary+"\n"; read != c.reads {
			t.Errorf("%d bytes of Vary: read %v", c.bytes, read)
		}
	}
}
