//go:build !wasip1

package filter_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/version"
)

func TestStart(t *testing.T) {
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("4 configuration: allow_headers[%d]: 1: is a number, not a string; write a string", i))
	}
	for _, c := range []struct {
		name   string
		host   Host
		status types.OnPluginStartStatus
		logs   []string // HASH stands for the configuration's
	}{
		{
			"one line says what is in effect", Host{Config: credentialed}, types.OnPluginStartStatusOK,
			[]string{
				"2 version " + version.String() + ", in effect: mode enforce, 1 origin, with credentials, methods PUT, headers " +
					"*, exposes x-e, max-age 600; hash HASH",
			},
		},
		{
			"warnings come once, before it", Host{Config: `{"allow_origins":["https://A.example"],"max_age":100000}`}, types.OnPluginStartStatusOK,
			[]string{
				"3 configuration: max_age: 100000: no browser caches a preflight for more than 24 hours; write 86400 or less",
				`3 configuration: allow_origins[0]: "https://A.example": browsers send origins in lower case; write "https://a.example"`,
				"2 version " + version.String() + ", in effect: mode enforce, 1 origin, max-age 100000; hash HASH",
			},
		},
		{
			"every mistake has its line", Host{Config: `{"allow_origins":["https://a.example/"],"debug":1}`}, types.OnPluginStartStatusFailed,
			[]string{
				"4 configuration: debug: 1: is a number, not true or false; write true or false",
				`4 configuration: allow_origins[0]: "https://a.example/": an origin has no trailing slash; write "https://a.example"`,
				"4 configuration refused: 2 to fix; no part of it takes effect",
			},
		},
		{
			"where a policy from elsewhere does otherwise here is no warning", Host{Config: `{"allow_origin":["https://a.example"]}`},
			types.OnPluginStartStatusOK,
			[]string{"2 version " + version.String() + ", in effect: mode enforce, 1 origin; hash HASH"},
		},
		{
			"a hundred mistakes are enough", Host{Config: `{"mode":"off","allow_headers":[` + strings.Repeat("1,", 499_999) + `1]}`},
			types.OnPluginStartStatusFailed,
			append(slices.Clone(hundred),
				"4 configuration: allow_headers[100]: 499900 more mistakes, the first of them here; fix those above, then look again",
				"4 configuration refused: 500000 to fix; no part of it takes effect"),
		},
		{
			"no text of the configuration ends a line",
			Host{Config: `{"allow_origins":[{"regex":"(x\nFAKE"},{"regex":"(x` + "\u2028\u202e" + `"}]}`}, types.OnPluginStartStatusFailed,
			[]string{
				`4 configuration: allow_origins[0]: {"regex":"(x\nFAKE"}: parsing regexp: missing closing ): ` + "`(x\\nFAKE`" +
					`; write a regex in RE2 syntax, or a pattern such as "https://*.example.com"`,
				`4 configuration: allow_origins[1]: {"regex":"(x\u2028\u202e"}: parsing regexp: missing closing ): ` + "`(x\\u2028\\u202e`" +
					`; write a regex in RE2 syntax, or a pattern such as "https://*.example.com"`,
				"4 configuration refused: 2 to fix; no part of it takes effect",
			},
		},
		{
			"an empty configuration", Host{}, types.OnPluginStartStatusFailed,
			[]string{
				`4 configuration: the plugin configuration is empty; write at least {"allow_origins": ["https://example.com"]}`,
				"4 configuration refused: 1 to fix; no part of it takes effect",
			},
		},
		{
			"a configuration that cannot be read", Host{Config: credentialed, ConfigErr: errors.New("no")}, types.OnPluginStartStatusFailed,
			[]string{"4 the plugin configuration cannot be read: no"},
		},
		{
			"a counter that the proxy does not take", Host{Config: credentialed, MetricAt: 3}, types.OnPluginStartStatusFailed,
			[]string{"4 the proxy took no counter cors.preflight_denied_origin: no room"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := c.host
			if status := filter.New(&h).NewPluginContext(1).OnPluginStart(0); status != c.status {
				t.Errorf("status %v", status)
			}
			if n := len(c.logs) - 1; n >= 0 && strings.Contains(c.logs[n], "HASH") {
				c.logs[n] = strings.ReplaceAll(c.logs[n], "HASH", hashOf(t, c.host.Config))
			}
			if !slices.Equal(h.Logs, c.logs) {
				t.Errorf("logs %q\nwant %q", h.Logs, c.logs)
			}
		})
	}
}

func TestAFailedPushKeepsThePolicyInEffect(t *testing.T) {
	h := &Host{}
	plugin := Start(t, credentialed, h)
	h.Config = "{}"
	if status := plugin.OnPluginStart(2); status != types.OnPluginStartStatusFailed {
		t.Fatalf("status %v", status)
	}
	if got := Serve(
		plugin, h, req{":method": "GET", "origin": "https://a.example"},
	); !strings.Contains(got.Response, "access-control-allow-origin: https://a.example\n") {
		t.Errorf("the old configuration is gone:\n%s", got.Response)
	}
}

func TestPluginsInOneVMKeepApart(t *testing.T) {
	h := &Host{Level: filter.LogInfo, Config: `{"allow_origins":["https://a.example"],"stat_prefix":"a"}`}
	vm := filter.New(h)
	a := vm.NewPluginContext(1)
	a.OnPluginStart(0)
	h.Config = `{"allow_origins":["https://b.example"],"stat_prefix":"b"}`
	b := vm.NewPluginContext(2)
	b.OnPluginStart(0)
	request := req{":method": "GET", "origin": "https://a.example"}
	gotA, gotB := Serve(a, h, request), Serve(b, h, request)
	a.OnTick()
	b.OnTick()
	if gotA.Response != "access-control-allow-origin: https://a.example\nvary: origin\n" || gotB.Response != "vary: origin\n" {
		t.Errorf("a:\n%sb:\n%s", gotA.Response, gotB.Response)
	}
	if got := h.Counts(); got != "a.origin_valid=1 a.request_allowed=1 b.origin_invalid=1 b.request_denied=1" {
		t.Errorf("counts %q", got)
	}
}

// A proxy that deletes a plugin before its last stream is over must not make that
// stream decide by the configuration that took the place of its own.
func TestAnOpenStreamKeepsItsConfiguration(t *testing.T) {
	policy := func(i int) string {
		return fmt.Sprintf(`{"allow_origins":["https://a-%d.example"],"expose_headers":["x-%d"],"stat_prefix":"p%d"}`, i, i, i)
	}
	request := func(i int) []filter.Header {
		return []filter.Header{{Name: ":method", Value: "GET"}, {Name: "origin", Value: fmt.Sprintf("https://a-%d.example", i)}}
	}
	h := &Host{}
	vm := filter.New(h)
	start := func(i int) types.PluginContext {
		h.Config = policy(i)
		plugin := vm.NewPluginContext(uint32(i))
		if plugin.OnPluginStart(len(h.Config)) != types.OnPluginStartStatusOK {
			t.Fatal(h.Logs)
		}
		return plugin
	}
	first := start(1)
	forwarded, fresh := first.NewHttpContext(10), first.NewHttpContext(11)
	h.Request = request(1)
	forwarded.OnHttpRequestHeaders(2, true)
	first.(*filter.Plugin).OnDelete()
	second := start(2)
	start(3)
	fresh.OnHttpRequestHeaders(2, true) // the proxy was about to
	for _, stream := range []types.HttpContext{forwarded, fresh} {
		h.Response = nil
		stream.OnHttpResponseHeaders(1, true)
		if got, want := fmt.Sprint(h.Response),
			"[{access-control-allow-origin https://a-1.example} {access-control-expose-headers x-1} {vary origin}]"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		stream.OnHttpStreamDone()
	}
	// The same where one context is configured again and again.
	h.Request = request(2)
	forwarded = second.NewHttpContext(13)
	forwarded.OnHttpRequestHeaders(2, true)
	for _, i := range []int{5, 6, 2} {
		h.Config = policy(i)
		second.OnPluginStart(len(h.Config))
	}
	h.Response = nil
	forwarded.OnHttpResponseHeaders(1, true)
	if got := fmt.Sprint(h.Response); !strings.Contains(got, "{access-control-expose-headers x-2}") {
		t.Errorf("after a push to the same context: %s", got)
	}
	forwarded.OnHttpStreamDone()

	fourth := start(4) // in the memory of the first
	for i, plugin := range map[int]types.PluginContext{2: second, 4: fourth} {
		for _, from := range []int{1, 2, 3, 4} {
			h.Request, h.Response = request(from), nil
			stream := plugin.NewHttpContext(12)
			stream.OnHttpRequestHeaders(2, true)
			stream.OnHttpResponseHeaders(1, true)
			stream.OnHttpStreamDone()
			if allowed := strings.Contains(fmt.Sprint(h.Response), "access-control-allow-origin"); allowed != (from == i) {
				t.Errorf("plugin %d, origin %d: %v", i, from, h.Response)
			}
		}
	}
}

// A configuration that is pushed again and again leaves little behind.
func TestPushesAreRecycled(t *testing.T) {
	h := &Host{Quiet: true}
	vm := filter.New(h)
	var origins []string
	for i := range 2_000 {
		origins = append(origins, fmt.Sprintf("%q", fmt.Sprintf("https://app-%d.example", i)))
	}
	h.Config = `{"allow_origins":[` + strings.Join(origins, ",") + `]}`
	var old types.PluginContext
	push := func() {
		plugin := vm.NewPluginContext(1)
		if plugin.OnPluginStart(len(h.Config)) != types.OnPluginStartStatusOK {
			t.Fatal(h.Logs)
		}
		stream := plugin.NewHttpContext(2)
		if old != nil {
			old.(*filter.Plugin).OnDelete()
		}
		stream.OnHttpStreamDone()
		old = plugin
	}
	if n := testing.AllocsPerRun(20, push); n > 100 {
		t.Errorf("%v allocations for each", n)
	}
}

// TestCounterNames holds the names that dashboards use.
func TestCounterNames(t *testing.T) {
	names := strings.Fields(
		"origin_valid origin_invalid preflight_allowed preflight_denied_origin preflight_denied_method " +
			"preflight_denied_headers preflight_forwarded request_allowed request_denied request_rejected",
	)
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
		h := &Host{}
		Start(t, configuration, h)
		if !slices.Equal(h.Names, want) {
			t.Errorf("%s: %q\nwant %q", configuration, h.Names, want)
		}
	}
}

func TestDecisionsAreLoggedAtDebugLevel(t *testing.T) {
	for _, c := range []struct {
		name    string
		request req
		want    string
	}{
		{
			"allowed preflight",
			req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"},
			"1 preflight for PUT from https://a.example: allowed",
		},
		{
			"header at fault",
			req{
				":method": "OPTIONS",
				"origin":  "https://a.example", "access-control-request-method": "PUT", "access-control-request-headers": "x-a,X-B",
			},
			"1 preflight for PUT from https://a.example: denied; reason=header=x-b",
		},
		{
			"another origin's preflight",
			req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"},
			"1 preflight for PUT from https://evil.example: denied; reason=origin; answered 403",
		},
		{
			"hostile values are not shown",
			req{":method": "OPTIONS", "origin": "https://evil.example\r\nforged: line", "access-control-request-method": "P\x1b[31mUT"},
			"1 preflight: denied; reason=malformed-origin; answered 403",
		},
		{
			"a hostile header is not shown",
			req{
				":method": "OPTIONS",
				"origin":  "https://a.example", "access-control-request-method": "PUT", "access-control-request-headers": "x\r\ny",
			},
			"1 preflight for PUT from https://a.example: denied; reason=header",
		},
		{"request", req{":method": "GET", "origin": "https://a.example"}, "1 request from https://a.example: allowed; forwarded"},
		{"rejected request", req{":method": "GET", "origin": "null"}, "1 request from null: denied; reason=origin; answered 403"},
		{"no CORS", req{":method": "GET"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for level := filter.LogDebug; level <= filter.LogError; level++ {
				h := &Host{Level: level}
				Serve(Start(t, debugging, h), h, c.request)
				want := ""
				if level == filter.LogDebug {
					want = c.want
				}
				if got := strings.Join(h.Logs, "\n"); got != want {
					t.Errorf("at level %d: %q, want %q", level, got, want)
				}
			}
		})
	}
	t.Run("the longest line fits its memory", func(t *testing.T) {
		h := &Host{Level: filter.LogDebug}
		origin := "https://" + strings.Repeat("a", 504)
		Serve(
			Start(t, `{"allow_origins":["`+origin+`"],"mode":"shadow"}`, h), h,
			req{":method": "OPTIONS", "origin": origin, "access-control-request-method": strings.Repeat("M", 64)},
		)
		if want := "1 shadow: preflight for " + strings.Repeat("M", 64) + " from " + origin + ": denied; reason=method=" +
			strings.Repeat("M", 64); len(h.Logs) != 1 || h.Logs[0] != want ||
			len(want) > filter.MaxLineLen {
			t.Errorf("logs %q\nwant %q", h.Logs, want)
		}
	})
}

func TestATickLooksAtTheLogLevel(t *testing.T) {
	h := &Host{}
	plugin := Start(t, debugging, h)
	request := req{":method": "GET", "origin": "https://a.example"}
	h.Level = filter.LogDebug
	Serve(plugin, h, request)
	if slices.Contains(h.Calls, "LogLevel") || len(h.Logs) > 0 {
		t.Errorf("before the tick: calls %q, logs %q", h.Calls, h.Logs)
	}
	plugin.OnTick()
	Serve(plugin, h, request)
	if len(h.Logs) != 1 {
		t.Errorf("after it: logs %q", h.Logs)
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
	const full = `{"allow_origins":["https://a.example","https://*.b.example",{"regex":"https://([a-z]+)\\.b\\.test"}],` +
		`"allow_methods":"PUT","allow_headers":"*","allow_credentials":true,"expose_headers":"x-e","max_age":60,` +
		`"debug":true,"disallowed_requests":"reject","timing_allow_origins":["https://a.example"]}`
	const ruled = `{"rules":[{"hosts":["*.example"],"paths":["/v1/*"],"policy":{"allow_origins":["https://*.example"]}}]}`
	for _, c := range []struct {
		name          string
		configuration string
		level         filter.LogLevel
		request       req
		replies       int
	}{
		{"no Origin", full, filter.LogInfo, request(":method", "GET"), 0},
		{"allowed request", full, filter.LogInfo, request(":method", "GET", "origin", "https://a.example"), 0},
		{"allowed by a regex", full, filter.LogInfo, request(":method", "GET", "origin", "https://a.b.test"), 0},
		{"upper-case origin", full, filter.LogInfo, request(":method", "GET", "origin", "HTTPS://A.EXAMPLE"), 0},
		{
			"rejected request", full, filter.LogInfo,
			request(":method", "GET", "origin", "https://evil.test", ":authority", "h", ":scheme", "https"), 1,
		},
		{
			"allowed preflight", full, filter.LogInfo,
			request(
				":method", "OPTIONS", "origin", "https://a.example", "access-control-request-method", "PUT", "access-control-request-headers",
				"X-A,x-b",
			),
			1,
		},
		{
			"preflight at fault", full, filter.LogDebug,
			request(
				":method", "OPTIONS", "origin", "https://a.example", "access-control-request-method", "PATCH", "access-control-request-headers",
				strings.Repeat("a,", 2048),
			),
			1,
		},
		{"denied preflight", full, filter.LogDebug, request(":method", "OPTIONS", "origin", "a,b", "access-control-request-method", "PUT"), 1},
		{
			"hostile preflight", full, filter.LogDebug,
			request(
				":method", "OPTIONS", "origin", strings.Repeat("x", 60000), "access-control-request-method", strings.Repeat("x", 60000),
				"access-control-request-headers", strings.Repeat(",", 60000),
			),
			1,
		},
		{
			"shadow", strings.TrimSuffix(full, "}") + `,"mode":"shadow"}`, filter.LogDebug,
			request(":method", "GET", "origin", "https://evil.test"), 0,
		},
		{
			"rules", ruled, filter.LogDebug,
			request(":method", "GET", "origin", "https://a.example", ":authority", "API.example:80", ":path", "/v1/x?y"), 0,
		},
		{"off", `{"mode":"off"}`, filter.LogInfo, request(":method", "GET", "origin", "https://a.example"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Level: c.level}
			plugin := Start(t, c.configuration, h)
			h.Quiet, h.Request, h.Response = true, c.request.Entries(), make([]filter.Header, 0, 32)
			run := func() {
				h.Response = append(h.Response[:0], opened...)
				replies := h.Replies
				h.Stream = plugin.NewHttpContext(2)
				h.Stream.OnHttpRequestHeaders(0, true)
				if h.Replies == replies {
					h.Stream.OnHttpResponseHeaders(0, true)
				}
				h.Stream.OnHttpStreamDone()
			}
			run()
			if h.Replies != c.replies {
				t.Fatalf("%d replies, want %d", h.Replies, c.replies)
			}
			if n := testing.AllocsPerRun(300, run); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestAPanicSaysWhatItWas, whatever the value that it has.
func TestAPanicSaysWhatItWas(t *testing.T) {
	for what, value := range map[string]any{"broken": "broken", "no reply": errors.New("no reply"), "a value that is not an error": 7} {
		h := &Host{}
		func() {
			defer filter.Rescue(h, "a_callback")
			panic(value)
		}()
		if want := "4 bug in the CORS filter: panic in a_callback: " + what; !slices.Contains(h.Logs, want) {
			t.Errorf("logs %q, want %q", h.Logs, want)
		}
	}
}

// hashOf is the hash of a configuration.
func hashOf(t *testing.T, text string) string {
	t.Helper()
	c, _, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Hash
}

// TestARefusedConfigurationCloses where the VM's environment asks for that.
func TestARefusedConfigurationCloses(t *testing.T) {
	h := &Host{Variables: map[string]string{"CORSFILTER_REFUSED": "closed"}}
	plugin := filter.New(h).NewPluginContext(1)
	h.Plugin, h.Config, h.Level = plugin, `{"allow_orgins":[]}`, filter.LogInfo
	if status := plugin.OnPluginStart(0); status != types.OnPluginStartStatusOK {
		t.Fatalf("status %v, logged %q", status, h.Logs)
	}
	if want := "4 configuration refused: 2 to fix; no part of it takes effect, and since " +
		"CORSFILTER_REFUSED=closed no origin is allowed until it is fixed"; !slices.Contains(h.Logs, want) {
		t.Errorf("logged %q", h.Logs)
	}
	if n := h.Counted()["cors.config_refused"]; n != 1 {
		t.Errorf("counted %d refused starts, not 1", n)
	}
	preflight := Serve(plugin, h, List{{":method", "OPTIONS"}, {"origin", "https://a.example"}, {"access-control-request-method", "PUT"}})
	if h.Status != 403 || strings.Contains(preflight.Response, "allow-origin") {
		t.Errorf("a preflight gets %d\n%s", h.Status, preflight.Response)
	}
	request := Serve(
		plugin, h, List{{":method", "GET"}, {"origin", "https://a.example"}}, filter.Header{Name: "access-control-allow-origin", Value: "*"},
	)
	if request.Action != types.ActionContinue || strings.Contains(request.Response, "allow-origin") {
		t.Errorf("a request gets\n%s", request.Response)
	}
	// The next one is right.
	h.Config = credentialed
	if status := plugin.OnPluginStart(0); status != types.OnPluginStartStatusOK || h.Counted()["cors.config_refused"] != 1 {
		t.Errorf("status %v, counted %v", status, h.Counted())
	}
	// Any other value is Envoy's own way.
	h.Variables["CORSFILTER_REFUSED"], h.Config = "open", "{}"
	if status := plugin.OnPluginStart(0); status != types.OnPluginStartStatusFailed {
		t.Errorf("status %v", status)
	}
}
