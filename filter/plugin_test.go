package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

func TestStart(t *testing.T) {
	for _, c := range []struct {
		name   string
		host   fakeHost
		status types.OnPluginStartStatus
		logs   []string
	}{
		{
			"one line says what is in force", fakeHost{configuration: credentialed}, types.OnPluginStartStatusOK,
			[]string{"2 in force: mode enforce, 1 origin, with credentials, methods PUT, headers *, exposes x-e, max-age 600"},
		},
		{
			"warnings come once, before it", fakeHost{configuration: `{"allow_origins":["https://A.example"],"max_age":100000}`}, types.OnPluginStartStatusOK,
			[]string{
				"3 configuration: max_age: 100000: no browser caches a preflight for more than 24 hours; write 86400 or less",
				`3 configuration: allow_origins[0]: "https://A.example": browsers send origins in lower case; write "https://a.example"`,
				"2 in force: mode enforce, 1 origin, max-age 100000",
			},
		},
		{
			"every mistake has its line", fakeHost{configuration: `{"allow_origins":["https://a.example/"],"debug":1}`}, types.OnPluginStartStatusFailed,
			[]string{
				"4 configuration: debug: 1: is a number, not true or false; write true or false",
				`4 configuration: allow_origins[0]: "https://a.example/": an origin has no trailing slash; write "https://a.example"`,
				"4 configuration refused: 2 to mend; nothing of it takes effect",
			},
		},
		{
			"an empty configuration", fakeHost{}, types.OnPluginStartStatusFailed,
			[]string{
				`4 configuration: the plugin configuration is empty; write at least {"allow_origins": ["https://example.com"]}`,
				"4 configuration refused: 1 to mend; nothing of it takes effect",
			},
		},
		{
			"a configuration that can not be read", fakeHost{configuration: credentialed, configErr: errors.New("no")}, types.OnPluginStartStatusFailed,
			[]string{"4 the plugin configuration can not be read: no"},
		},
		{
			"a counter that the proxy does not take", fakeHost{configuration: credentialed, metricAt: 3}, types.OnPluginStartStatusFailed,
			[]string{"4 the proxy took no counter cors.preflight_denied_origin: no room"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := c.host
			if status := New(&h).NewPluginContext(1).OnPluginStart(0); status != c.status {
				t.Errorf("status %v", status)
			}
			if !slices.Equal(h.logs, c.logs) {
				t.Errorf("logs %q\nwant %q", h.logs, c.logs)
			}
		})
	}
}

func TestAFailedPushKeepsWhatWasInForce(t *testing.T) {
	h := &fakeHost{}
	plugin := start(t, credentialed, h)
	h.configuration = "{}"
	if status := plugin.OnPluginStart(2); status != types.OnPluginStartStatusFailed {
		t.Fatalf("status %v", status)
	}
	if got := serve(plugin, h, req{":method": "GET", "origin": "https://a.example"}); !strings.Contains(got.response, "access-control-allow-origin: https://a.example\n") {
		t.Errorf("the old configuration is gone:\n%s", got.response)
	}
}

func TestPluginsInOneVMKeepApart(t *testing.T) {
	h := &fakeHost{level: LogInfo, configuration: `{"allow_origins":["https://a.example"],"stat_prefix":"a"}`}
	vm := New(h)
	a := vm.NewPluginContext(1).(*pluginContext)
	a.OnPluginStart(0)
	h.configuration = `{"allow_origins":["https://b.example"],"stat_prefix":"b"}`
	b := vm.NewPluginContext(2).(*pluginContext)
	b.OnPluginStart(0)
	request := req{":method": "GET", "origin": "https://a.example"}
	gotA, gotB := serve(a, h, request), serve(b, h, request)
	if gotA.response != "access-control-allow-origin: https://a.example\nvary: origin\n" || gotB.response != "vary: origin\n" {
		t.Errorf("a:\n%sb:\n%s", gotA.response, gotB.response)
	}
	if got := h.counts(); got != "a.origin_valid=1 a.request_allowed=1 b.origin_invalid=1 b.request_denied=1" {
		t.Errorf("counts %q", got)
	}
}

// TestCounterNames holds the names that dashboards use.
func TestCounterNames(t *testing.T) {
	names := strings.Fields("origin_valid origin_invalid preflight_allowed preflight_denied_origin preflight_denied_method preflight_denied_headers preflight_forwarded request_allowed request_denied request_rejected")
	under := func(prefix string) (list []string) {
		for _, name := range names {
			list = append(list, prefix+name)
		}
		return list
	}
	const shadow = `{"policy":{"mode":"shadow","allow_origins":["*"]}}`
	for configuration, want := range map[string][]string{
		`{"allow_origins":["*"]}`:                                            under("cors."),
		`{"allow_origins":["*"],"stat_prefix":"x.y"}`:                        under("x.y."),
		`{"allow_origins":["*"],"mode":"shadow"}`:                            under("cors.shadow."),
		`{"allow_origins":["*"],"stat_prefix":"x","rules":[` + shadow + `]}`: append(under("x."), under("x.shadow.")...),
		`{"mode":"off"}`: nil,
	} {
		h := &fakeHost{}
		start(t, configuration, h)
		if !slices.Equal(h.names, want) {
			t.Errorf("%s: %q\nwant %q", configuration, h.names, want)
		}
	}
}

func TestDecisionsAreLoggedAtDebugLevel(t *testing.T) {
	for _, c := range []struct {
		name    string
		request req
		want    string
	}{
		{"allowed preflight", req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"}, "1 preflight for PUT from https://a.example: allowed"},
		{"header at fault", req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT", "access-control-request-headers": "x-a,X-B"}, "1 preflight for PUT from https://a.example: denied; reason=header=x-b"},
		{"another origin's preflight", req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"}, "1 preflight for PUT from https://evil.example: denied; reason=origin; answered 403"},
		{"hostile values are not shown", req{":method": "OPTIONS", "origin": "https://evil.example\r\nforged: line", "access-control-request-method": "P\x1b[31mUT"}, "1 preflight: denied; reason=malformed-origin; answered 403"},
		{"a hostile header is not shown", req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT", "access-control-request-headers": "x\r\ny"}, "1 preflight for PUT from https://a.example: denied; reason=header"},
		{"request", req{":method": "GET", "origin": "https://a.example"}, "1 request from https://a.example: allowed; forwarded"},
		{"rejected request", req{":method": "GET", "origin": "null"}, "1 request from null: denied; reason=origin; answered 403"},
		{"no CORS", req{":method": "GET"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for level := LogDebug; level <= LogError; level++ {
				h := &fakeHost{level: level}
				serve(start(t, debugging, h), h, c.request)
				want := ""
				if level == LogDebug {
					want = c.want
				}
				if got := strings.Join(h.logs, "\n"); got != want {
					t.Errorf("at level %d: %q, want %q", level, got, want)
				}
			}
		})
	}
	t.Run("the longest line fits its memory", func(t *testing.T) {
		h := &fakeHost{level: LogDebug}
		origin := "https://" + strings.Repeat("a", 504)
		serve(start(t, `{"allow_origins":["`+origin+`"],"mode":"shadow"}`, h), h, req{":method": "OPTIONS", "origin": origin, "access-control-request-method": strings.Repeat("M", 64)})
		if want := "1 shadow: preflight for " + strings.Repeat("M", 64) + " from " + origin + ": denied; reason=method=" + strings.Repeat("M", 64); len(h.logs) != 1 || h.logs[0] != want || len(want) > maxLineLen {
			t.Errorf("logs %q\nwant %q", h.logs, want)
		}
	})
}

func TestTheLogLevelIsAskedForNowAndThen(t *testing.T) {
	h := &fakeHost{}
	plugin := start(t, debugging, h)
	for range 2 * (streamsPerLevelCheck + 1) {
		serve(plugin, h, req{})
	}
	asked := 0
	for _, call := range h.calls {
		if call == "LogLevel" {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times in %d streams", asked, 2*(streamsPerLevelCheck+1))
	}
	h.level = LogDebug
	for range streamsPerLevelCheck + 1 {
		serve(plugin, h, req{":method": "GET", "origin": "https://a.example"})
	}
	if n := len(h.logs); n != streamsPerLevelCheck+1 {
		t.Errorf("%d lines after the level was raised", n)
	}
}

// TestNothingIsAllocated counts whole streams, from creation to deletion, each
// with the memory of the one before.
func TestNothingIsAllocated(t *testing.T) {
	request := func(pairs ...string) req {
		r := req{}
		for i := 0; i < len(pairs); i += 2 {
			r[pairs[i]] = pairs[i+1]
		}
		return r
	}
	const full = `{"allow_origins":["https://a.example","https://*.b.example",{"regex":"https://([a-z]+)\\.b\\.test"}],"allow_methods":"PUT","allow_headers":"*","allow_credentials":true,"expose_headers":"x-e","max_age":60,"debug":true,"disallowed_requests":"reject","timing_allow_origins":["https://a.example"]}`
	const ruled = `{"rules":[{"hosts":["*.example"],"paths":["/v1/*"],"policy":{"allow_origins":["https://*.example"]}}]}`
	for _, c := range []struct {
		name          string
		configuration string
		level         LogLevel
		request       req
		replies       int
	}{
		{"no Origin", full, LogInfo, request(":method", "GET"), 0},
		{"allowed request", full, LogInfo, request(":method", "GET", "origin", "https://a.example"), 0},
		{"allowed by a regex", full, LogInfo, request(":method", "GET", "origin", "https://a.b.test"), 0},
		{"upper-case origin", full, LogInfo, request(":method", "GET", "origin", "HTTPS://A.EXAMPLE"), 0},
		{"rejected request", full, LogInfo, request(":method", "GET", "origin", "https://evil.test", ":authority", "h", ":scheme", "https"), 1},
		{"allowed preflight", full, LogInfo, request(":method", "OPTIONS", "origin", "https://a.example", "access-control-request-method", "PUT", "access-control-request-headers", "X-A,x-b"), 1},
		{"preflight at fault", full, LogDebug, request(":method", "OPTIONS", "origin", "https://a.example", "access-control-request-method", "PATCH", "access-control-request-headers", strings.Repeat("a,", 2048)), 1},
		{"denied preflight", full, LogDebug, request(":method", "OPTIONS", "origin", "a,b", "access-control-request-method", "PUT"), 1},
		{"hostile preflight", full, LogDebug, request(":method", "OPTIONS", "origin", strings.Repeat("x", 60000), "access-control-request-method", strings.Repeat("x", 60000), "access-control-request-headers", strings.Repeat(",", 60000)), 1},
		{"shadow", strings.TrimSuffix(full, "}") + `,"mode":"shadow"}`, LogDebug, request(":method", "GET", "origin", "https://evil.test"), 0},
		{"rules", ruled, LogDebug, request(":method", "GET", "origin", "https://a.example", ":authority", "API.example:80", ":path", "/v1/x?y"), 0},
		{"off", `{"mode":"off"}`, LogInfo, request(":method", "GET", "origin", "https://a.example"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{level: c.level}
			plugin := start(t, c.configuration, h)
			h.quiet, h.request, h.response = true, c.request, make([]Header, 0, 32)
			run := func() {
				h.response = append(h.response[:0], opened...)
				replies := h.replies
				h.stream = plugin.NewHttpContext(2)
				h.stream.OnHttpRequestHeaders(0, true)
				if h.replies == replies {
					h.stream.OnHttpResponseHeaders(0, true)
				}
				h.stream.OnHttpStreamDone()
			}
			run()
			if h.replies != c.replies {
				t.Fatalf("%d replies, want %d", h.replies, c.replies)
			}
			if n := testing.AllocsPerRun(300, run); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
