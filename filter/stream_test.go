package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

type req = map[string]string

// opened is what a careless upstream sends.
var opened = []Header{
	{"access-control-allow-origin", "*"}, {"access-control-allow-credentials", "true"}, {"access-control-expose-headers", "*"}, {"vary", "accept-encoding"}, {"x", "y"},
}

const (
	credentialed = `{"allow_origins":["https://a.example"],"allow_credentials":true,"allow_methods":"PUT","allow_headers":"*","expose_headers":"x-e","max_age":"10m","allow_private_network_access":true}`
	debugging    = `{"allow_origins":["https://a.example"],"allow_methods":"PUT","allow_headers":"x-a","debug":true,"disallowed_requests":"reject"}`
)

func TestReplies(t *testing.T) {
	const varyAll = "vary: origin, access-control-request-method, access-control-request-headers\n"
	preflight := func(origin, method, list string) req {
		return req{":method": "OPTIONS", "origin": origin, "access-control-request-method": method, "access-control-request-headers": list}
	}
	for _, c := range []struct {
		name          string
		configuration string
		request       req
		status        uint32
		details       string
		headers       string
		counts        string
	}{
		{
			"an allowed preflight", credentialed, preflight("https://a.example", "PUT", "X-A, authorization"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\naccess-control-allow-headers: x-a, authorization\naccess-control-max-age: 600\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_allowed=1",
		},
		{
			"a private network is answered",
			credentialed, req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "GET", "access-control-request-private-network": "true"}, 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\naccess-control-max-age: 600\naccess-control-allow-private-network: true\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_allowed=1",
		},
		{
			"a list that is no list is not echoed", credentialed, preflight("https://a.example", "PUT", "x-a\r\nset-cookie: x"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\naccess-control-max-age: 600\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_denied_headers=1",
		},
		{
			"a preflight of a method that is not allowed", credentialed, preflight("https://a.example", "DELETE", ""), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\naccess-control-max-age: 600\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
		{
			"a preflight of another origin", credentialed, preflight("https://evil.example", "PUT", ""), 403, "cors_origin_denied", varyAll,
			"cors.origin_invalid=1 cors.preflight_denied_origin=1",
		},
		{
			"any origin, in another status and under another name", `{"allow_origins":["*"],"allow_methods":["*"],"allow_headers":["*","authorization"],"preflight_status":200,"stat_prefix":"shop.cors","max_age":-1,"expose_headers":"x-e"}`,
			preflight("null", "FOO", "x-a"), 200, "cors_preflight",
			"access-control-allow-origin: *\naccess-control-allow-methods: *\naccess-control-allow-headers: *, authorization\naccess-control-max-age: 0\nvary: access-control-request-method, access-control-request-headers\n",
			"shop.cors.origin_valid=1 shop.cors.preflight_allowed=1",
		},
		{
			"a rejected request", debugging, req{":method": "POST", "origin": "https://evil.example"}, 403, "cors_request_rejected",
			"vary: origin\nx-cors-decision: denied; reason=origin\n",
			"cors.origin_invalid=1 cors.request_rejected=1",
		},
		{
			"debugging an allowed preflight", debugging, preflight("https://a.example", "PUT", "X-A"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\naccess-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: allowed\n",
			"cors.origin_valid=1 cors.preflight_allowed=1",
		},
		{
			"debugging a method at fault", debugging, preflight("https://a.example", "PATCH", "X-A"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\naccess-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: denied; reason=method=PATCH\n",
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
		{
			"debugging a header at fault", debugging, preflight("https://a.example", "PUT", "x-a,X-Foo"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\naccess-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: denied; reason=header=x-foo\n",
			"cors.origin_valid=1 cors.preflight_denied_headers=1",
		},
		{
			"debugging a method that can not be shown", debugging, preflight("https://a.example", "P\r\nx: y", ""), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\naccess-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: denied; reason=method\n",
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
		{
			"debugging a malformed origin", debugging, preflight("https://a.example, https://a.example", "PUT", ""), 403, "cors_origin_denied",
			varyAll + "x-cors-decision: denied; reason=malformed-origin\n",
			"cors.origin_invalid=1 cors.preflight_denied_origin=1",
		},
		{
			"debugging the longest echo and the longest culprit", `{"allow_origins":["https://a.example"],"allow_methods":"PUT","allow_headers":"*","allow_credentials":true,"debug":true}`,
			preflight("https://a.example", strings.Repeat("M", 64), strings.Repeat("A,", 2048)), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\naccess-control-allow-headers: " + strings.TrimSuffix(strings.Repeat("a, ", 2048), ", ") + "\n" + varyAll + "x-cors-decision: denied; reason=method=" + strings.Repeat("M", 64) + "\n",
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{}
			plugin := start(t, c.configuration, h)
			got := serve(plugin, h, c.request)
			if h.replies != 1 || h.status != c.status || h.details != c.details || headers(h.replied) != c.headers {
				t.Errorf("%d replies, the last %d %s\n%s\nwant %d %s\n%s", h.replies, h.status, h.details, headers(h.replied), c.status, c.details, c.headers)
			}
			// Envoy runs the reply through the filter's own response callback.
			if headers(h.reread) != c.headers || got.response != c.headers || slices.Contains(h.calls, "ResponseHeaders") {
				t.Errorf("the reply was stamped again:\n%s", got.response)
			}
			if got.action != types.ActionPause || h.counts() != c.counts || len(h.logs) > 0 {
				t.Errorf("action %d, counts %q, logs %q; want counts %q", got.action, h.counts(), h.logs, c.counts)
			}
		})
	}
}

func TestResponses(t *testing.T) {
	const a = "https://a.example"
	get := func(origin string) req { return req{":method": "GET", "origin": origin} }
	with := func(configuration, members string) string {
		return strings.TrimSuffix(configuration, "}") + members + "}"
	}
	const plain = `{"allow_origins":["https://a.example"],"expose_headers":"x-e"}`
	const star = `{"allow_origins":["*"],"expose_headers":"x-e"}`
	for _, c := range []struct {
		name          string
		configuration string
		request       req
		upstream      []Header
		want          string
		counts        string
	}{
		{"an allowed origin", credentialed, get(a), []Header{{"x", "y"}}, "x: y\naccess-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-expose-headers: x-e\nvary: origin\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"upstream's own headers are replaced", plain, get(a), opened, "vary: accept-encoding\nx: y\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: origin\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"upstream can not open what is closed", plain, get("https://evil.example"), opened, "vary: accept-encoding\nx: y\nvary: origin\n", "cors.origin_invalid=1 cors.request_denied=1"},
		{"not without an Origin either", plain, req{":method": "GET"}, opened, "vary: accept-encoding\nx: y\nvary: origin\n", ""},
		{"an empty Origin is none", plain, get(""), nil, "vary: origin\n", ""},
		{"a malformed Origin", plain, get(a + "/"), opened, "vary: accept-encoding\nx: y\nvary: origin\n", "cors.origin_invalid=1 cors.request_denied=1"},
		{"two entries become one", plain, get(a), []Header{{"access-control-allow-origin", a}, {"access-control-allow-origin", a}, {"vary", "Origin"}}, "vary: Origin\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"what is right stays where it is", plain, get(a), []Header{{"access-control-allow-origin", a}, {"access-control-expose-headers", "x-e"}, {"vary", "a, ORIGIN"}}, "access-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: a, ORIGIN\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"nothing is added to Vary: *", plain, get(a), []Header{{"vary", "*"}}, "vary: *\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"Origin in the second Vary is found", plain, req{}, []Header{{"vary", "accept"}, {"vary", "x,origin"}}, "vary: accept\nvary: x,origin\n", ""},
		{"Origin-Agent in Vary is not Origin", plain, req{}, []Header{{"vary", "origin-agent"}}, "vary: origin-agent\nvary: origin\n", ""},
		{"any origin gets a star", star, get("https://evil.example"), opened[1:], "vary: accept-encoding\nx: y\naccess-control-allow-origin: *\naccess-control-expose-headers: x-e\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"without an Origin as well", star, req{":method": "GET"}, nil, "access-control-allow-origin: *\naccess-control-expose-headers: x-e\n", ""},
		{"upstream's headers are preserved on demand", with(plain, `,"upstream_headers":"preserve"`), get("https://evil.example"), opened, headers(opened) + "vary: origin\n", "cors.origin_invalid=1 cors.request_denied=1"},
		{"what upstream leaves out is not", with(plain, `,"upstream_headers":"preserve"`), get(a), opened[1:], "vary: accept-encoding\nx: y\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: origin\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"upstream's timing is preserved as well", with(plain, `,"upstream_headers":"preserve","timing_allow_origins":["https://t.example"]`), req{}, []Header{{"timing-allow-origin", "*"}}, "timing-allow-origin: *\nvary: origin\n", ""},
		{"a forwarded preflight keeps upstream's answer", with(plain, `,"unmatched_preflights":"forward"`), req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"}, opened, headers(opened) + "vary: origin\n", "cors.origin_invalid=1 cors.preflight_forwarded=1"},
		{"timing for an origin of its own", with(plain, `,"timing_allow_origins":["https://t.example"]`), get("https://t.example"), []Header{{"timing-allow-origin", "*"}}, "timing-allow-origin: https://t.example\nvary: origin\n", "cors.origin_invalid=1 cors.request_denied=1"},
		{"timing of others is closed", with(plain, `,"timing_allow_origins":["https://t.example"]`), get(a), []Header{{"timing-allow-origin", "*"}}, "access-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: origin\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"both for one origin", with(plain, `,"timing_allow_origins":["https://*.example"]`), get(a), nil, "access-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\ntiming-allow-origin: https://a.example\nvary: origin\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"timing of some makes a star vary", with(star, `,"timing_allow_origins":["https://t.example"]`), req{}, nil, "access-control-allow-origin: *\naccess-control-expose-headers: x-e\nvary: origin\n", ""},
		{"timing for all", with(star, `,"timing_allow_origins":["*"]`), req{}, nil, "access-control-allow-origin: *\naccess-control-expose-headers: x-e\ntiming-allow-origin: *\n", ""},
		{"unless configured timing is upstream's", plain, req{}, []Header{{"timing-allow-origin", "*"}}, "timing-allow-origin: *\nvary: origin\n", ""},
		{"debugging an allowed request", debugging, get(a), []Header{{"x-cors-decision", "lie"}}, "access-control-allow-origin: https://a.example\nvary: origin\nx-cors-decision: allowed\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"debugging no request of CORS", debugging, req{}, []Header{{"x-cors-decision", "lie"}}, "vary: origin\n", ""},
		{"shadow touches nothing", with(credentialed, `,"mode":"shadow","debug":true`), get("https://evil.example"), opened, headers(opened), "cors.shadow.origin_invalid=1 cors.shadow.request_denied=1"},
		{"shadow answers nothing", with(credentialed, `,"mode":"shadow"`), req{":method": "OPTIONS", "origin": a, "access-control-request-method": "PUT"}, opened, headers(opened), "cors.shadow.origin_valid=1 cors.shadow.preflight_allowed=1"},
		{"shadow rejects nothing", with(debugging, `,"mode":"shadow"`), get("https://evil.example"), nil, "", "cors.shadow.origin_invalid=1 cors.shadow.request_rejected=1"},
		{"off is off", with(debugging, `,"mode":"off"`), get("https://evil.example"), opened, headers(opened), ""},
		{"a rule without a match leaves the request alone", `{"rules":[{"hosts":["b.example"],"policy":{"allow_origins":["*"]}}]}`, req{":authority": "a.example", ":path": "/", "origin": a}, opened, headers(opened), ""},
		{"a rule that matches", `{"rules":[{"hosts":["b.example"],"paths":["/x/*"],"policy":{"allow_origins":["*"]}}]}`, req{":authority": "B.example:80", ":path": "/x?y", "origin": a}, nil, "access-control-allow-origin: *\n", "cors.origin_valid=1 cors.request_allowed=1"},
		{"off in a rule", `{"allow_origins":["*"],"rules":[{"hosts":["b.example"],"policy":{"mode":"off"}}]}`, req{":authority": "b.example", ":path": "/", "origin": a}, opened, headers(opened), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{}
			plugin := start(t, c.configuration, h)
			got := serve(plugin, h, c.request, c.upstream...)
			if got.action != types.ActionContinue || h.replies != 0 {
				t.Errorf("action %d, %d replies", got.action, h.replies)
			}
			if got.response != c.want {
				t.Errorf("the response is\n%s\nwant\n%s", got.response, c.want)
			}
			if h.counts() != c.counts || len(h.logs) > 0 {
				t.Errorf("counts %q, logs %q; want counts %q", h.counts(), h.logs, c.counts)
			}
		})
	}
}

func TestSameOriginRequestsAreNotRejected(t *testing.T) {
	for _, c := range []struct {
		name    string
		request req
		passes  bool
	}{
		{"by sec-fetch-site", req{"origin": "https://x.example", "sec-fetch-site": "same-origin"}, true},
		{"even a malformed one", req{"origin": "x", "sec-fetch-site": "same-origin"}, true},
		{"same-site is another origin", req{"origin": "https://x.example", "sec-fetch-site": "same-site"}, false},
		{"by scheme and host", req{"origin": "https://x.example", ":scheme": "https", ":authority": "x.example"}, true},
		{"default ports spelled out", req{"origin": "https://x.example", ":scheme": "https", ":authority": "X.example:443"}, true},
		{"another port", req{"origin": "https://x.example", ":scheme": "https", ":authority": "x.example:8443"}, false},
		{"x-forwarded-proto comes first", req{"origin": "https://x.example", "x-forwarded-proto": "https", ":scheme": "http", ":authority": "x.example"}, true},
		{"another scheme", req{"origin": "http://x.example", "x-forwarded-proto": "https", ":scheme": "http", ":authority": "x.example"}, false},
		{"a WebSocket's scheme", req{"origin": "https://x.example", "x-forwarded-proto": "wss", ":authority": "x.example"}, true},
		{"a plain WebSocket's", req{"origin": "http://x.example:81", "x-forwarded-proto": "ws", ":authority": "x.example:81"}, true},
		{"null has no host", req{"origin": "null", ":scheme": "null", ":authority": ""}, false},
		{"a malformed origin", req{"origin": "https://x.example/", ":scheme": "https", ":authority": "x.example"}, false},
		{"nothing to compare with", req{"origin": "https://x.example"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{}
			got := serve(start(t, closed, h), h, c.request, opened...)
			want := exchange{types.ActionPause, "vary: origin\n"}
			if c.passes {
				want = exchange{types.ActionContinue, "vary: accept-encoding\nx: y\nvary: origin\n"}
			}
			if got != want {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
}

func TestOrphanResponses(t *testing.T) {
	for _, c := range []struct {
		name, configuration, want string
	}{
		{"is closed as without an Origin", credentialed, "vary: accept-encoding\nx: y\nvary: origin\n"},
		{"keeps the star", `{"allow_origins":["*"]}`, "access-control-allow-origin: *\nvary: accept-encoding\nx: y\n"},
		{"is left alone where rules decide", `{"rules":[{"policy":{"allow_origins":["*"]}}]}`, headers(opened)},
		{"is left alone in shadow mode", strings.TrimSuffix(credentialed, "}") + `,"mode":"shadow"}`, headers(opened)},
		{"is left alone when off", `{"mode":"off"}`, headers(opened)},
	} {
		t.Run("a response without a request "+c.name, func(t *testing.T) {
			h := &fakeHost{response: slices.Clone(opened)}
			s := start(t, c.configuration, h).NewHttpContext(2)
			if action := s.OnHttpResponseHeaders(0, true); action != types.ActionContinue || headers(h.response) != c.want || h.counts() != "" {
				t.Errorf("action %d, counts %q\n%s\nwant\n%s", action, h.counts(), headers(h.response), c.want)
			}
		})
	}
}

func TestARefusedReplyLetsTheRequestPass(t *testing.T) {
	for _, c := range []struct {
		name    string
		request req
		want    string
	}{
		{"rejected", req{":method": "GET", "origin": "https://evil.example"}, "vary: accept-encoding\nx: y\nvary: origin\nx-cors-decision: denied; reason=origin\n"},
		// Upstream answers the preflight itself, as if it had been forwarded.
		{"preflight", req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"}, headers(opened) + "vary: origin\nx-cors-decision: allowed\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{replyErr: errors.New("no")}
			got := serve(start(t, debugging, h), h, c.request, opened...)
			if got != (exchange{types.ActionContinue, c.want}) || !slices.Equal(h.logs, []string{"4 the proxy took no reply: no"}) {
				t.Errorf("%+v, logs %q; want\n%s", got, h.logs, c.want)
			}
		})
	}
}

func TestAPanicDoesNotEndTheStream(t *testing.T) {
	const shut = "vary: accept-encoding\nx: y\nvary: origin\n"
	preflight := req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"}
	get := req{":method": "GET", "origin": "https://a.example"}
	const requestCallback, responseCallback = "proxy_on_request_headers", "proxy_on_response_headers"
	for _, c := range []struct {
		method   string
		request  req
		members  string
		callback string
		want     string
	}{
		{"RequestHeader", get, "", requestCallback, shut},
		{"RequestHeader", preflight, "", requestCallback, shut},
		{"Increment", get, "", requestCallback, shut},
		{"Increment", preflight, "", requestCallback, shut},
		{"Log", get, "", requestCallback, shut},
		{"LogLevel", get, "", requestCallback, headers(opened)}, // before a policy is known
		// Whether the proxy took the reply can not be known.
		{"SendReply", preflight, "", requestCallback, headers(opened)},
		{"ResponseHeaders", get, "", responseCallback, headers(opened)},
		{"ReplaceResponseHeader", get, "", responseCallback, headers(opened)},
		{"RemoveResponseHeader", req{}, "", responseCallback, headers(opened)},
		{"AddResponseHeader", req{}, "", responseCallback, "vary: accept-encoding\nx: y\n"},
		{"Increment", get, `,"mode":"shadow"`, requestCallback, headers(opened)},
		{"Log", get, `,"mode":"shadow"`, requestCallback, headers(opened)},
	} {
		t.Run(c.method+c.members+" in "+c.callback, func(t *testing.T) {
			h := &fakeHost{level: LogDebug}
			plugin := start(t, strings.TrimSuffix(credentialed, "}")+c.members+"}", h)
			h.panicIn = c.method
			got := serve(plugin, h, c.request, opened...)
			if got != (exchange{types.ActionContinue, c.want}) {
				t.Errorf("%+v\nwant\n%s", got, c.want)
			}
			if line := "4 bug in the CORS filter: panic in " + c.callback + ": broken " + c.method; !slices.Contains(h.logs, line) {
				t.Errorf("logs %q\nwant %q", h.logs, line)
			}
			// The next stream knows nothing of it.
			h.panicIn = ""
			h.calls, h.logs = nil, nil
			want := "access-control-allow-credentials: true\nvary: accept-encoding\nx: y\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: origin\n"
			if c.members != "" {
				want = headers(opened)
			}
			if got := serve(plugin, h, get, opened...); got != (exchange{types.ActionContinue, want}) {
				t.Errorf("the next stream: %+v\nwant\n%s", got, want)
			}
		})
	}
}

func TestPanicInConfigureFailsTheStart(t *testing.T) {
	for _, method := range []string{"Configuration", "DefineCounter", "LogLevel", "Log"} {
		h := &fakeHost{configuration: credentialed, panicIn: method}
		plugin := New(h).NewPluginContext(1)
		if status := plugin.OnPluginStart(0); status != types.OnPluginStartStatusFailed {
			t.Errorf("%s: status %v", method, status)
		}
		if line := "4 bug in the CORS filter: panic in proxy_on_configure: broken " + method; !slices.Contains(h.logs, line) {
			t.Errorf("%s: logs %q", method, h.logs)
		}
	}
}

func TestStreamsAreRecycledClean(t *testing.T) {
	h := &fakeHost{}
	plugin := start(t, credentialed, h)
	first := plugin.NewHttpContext(2)
	first.OnHttpStreamDone()
	if again := plugin.NewHttpContext(3); again != first {
		t.Error("a stream that ended is not used again")
	} else {
		again.OnHttpStreamDone()
	}
	allowed := "access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-expose-headers: x-e\nvary: origin\n"
	for _, step := range []struct {
		request req
		want    string
	}{
		{req{":method": "GET", "origin": "https://a.example"}, allowed},
		{req{":method": "GET"}, "vary: origin\n"},
		{req{":method": "GET", "origin": "https://evil.example"}, "vary: origin\n"},
		{req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"}, "vary: origin, access-control-request-method, access-control-request-headers\n"},
		{req{":method": "GET", "origin": "https://a.example"}, allowed},
	} {
		if got := serve(plugin, h, step.request); got.response != step.want {
			t.Errorf("%v:\n%s\nwant\n%s", step.request, got.response, step.want)
		}
	}
	if len(plugin.free) != 1 {
		t.Errorf("%d streams wait, want 1", len(plugin.free))
	}

	// A stream reset before its response leaves nothing to an orphan after it.
	h.request = req{":method": "GET", "origin": "https://a.example"}
	reset := plugin.NewHttpContext(4)
	reset.OnHttpRequestHeaders(2, true)
	reset.OnHttpStreamDone()
	orphan := plugin.NewHttpContext(5)
	h.request, h.response = nil, nil
	orphan.OnHttpResponseHeaders(0, true)
	if got := headers(h.response); orphan != reset || got != "vary: origin\n" {
		t.Errorf("the orphan after a reset: %s", got)
	}
}

// TestOpenStreamsKeepApart interleaves two streams, and overwrites the memory of
// the host after each callback, as the next callback does.
func TestOpenStreamsKeepApart(t *testing.T) {
	memory := []byte("https://a.example")
	h := &fakeHost{quiet: true, request: req{":method": "GET", "origin": unsafe.String(&memory[0], len(memory))}}
	plugin := start(t, `{"allow_origins":["https://*.example"],"timing_allow_origins":["https://*.example"]}`, h)
	one := plugin.NewHttpContext(2)
	one.OnHttpRequestHeaders(0, true)
	memory[8] = 'b'
	two := plugin.NewHttpContext(3)
	two.OnHttpRequestHeaders(0, true)
	memory[8] = 'x'
	for _, c := range []struct {
		stream types.HttpContext
		origin string
	}{{one, "https://a.example"}, {two, "https://b.example"}} {
		h.response = nil
		c.stream.OnHttpResponseHeaders(0, true)
		if got, want := headers(h.response), "access-control-allow-origin: "+c.origin+"\ntiming-allow-origin: "+c.origin+"\nvary: origin\n"; got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

func TestWithoutResponseHeadersNothingIsStamped(t *testing.T) {
	h := &fakeHost{noResponse: true}
	serve(start(t, credentialed, h), h, req{":method": "GET", "origin": "https://a.example"})
	if last := h.calls[len(h.calls)-1]; last != "ResponseHeaders" {
		t.Errorf("the last call is %q", last)
	}
}

func TestNoMoreIsReadThanIsNeeded(t *testing.T) {
	const ruled = `{"rules":[{"policy":{"allow_origins":["https://a.example"]}}]}`
	const noNetwork = `{"allow_origins":["https://a.example"]}`
	for _, c := range []struct {
		name          string
		configuration string
		request       req
		upstream      []Header
		want          []string
	}{
		{"no Origin", noNetwork, req{":method": "GET"}, []Header{{"vary", "origin"}}, []string{"RequestHeader origin", "ResponseHeaders"}},
		{"rules", ruled, req{":method": "GET"}, []Header{{"vary", "origin"}}, []string{"RequestHeaders", "ResponseHeaders"}},
		{"cross-origin", noNetwork, req{":method": "GET", "origin": "https://a.example"}, nil, []string{"RequestHeader origin", "RequestHeader access-control-request-method", "Increment", "Increment", "ResponseHeaders", "ReplaceResponseHeader access-control-allow-origin https://a.example", "AddResponseHeader vary origin"}},
		{"preflight", noNetwork, req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"}, nil, []string{"RequestHeader origin", "RequestHeader access-control-request-method", "RequestHeaders", "Increment", "Increment", "SendReply 204 cors_preflight"}},
		{"rejected", `{"allow_origins":["https://a.example"],"disallowed_requests":"reject"}`, req{":method": "GET", "origin": "https://b.example"}, nil, []string{"RequestHeader origin", "RequestHeader access-control-request-method", "RequestHeaders", "Increment", "Increment", "SendReply 403 cors_request_rejected"}},
		{"off", `{"mode":"off"}`, req{":method": "GET", "origin": "https://a.example"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{}
			plugin := start(t, c.configuration, h)
			serve(plugin, h, c.request, c.upstream...) // the first asks for the log level
			h.calls = nil
			serve(plugin, h, c.request, c.upstream...)
			if !slices.Equal(h.calls, c.want) {
				t.Errorf("calls %q\nwant %q", h.calls, c.want)
			}
		})
	}
}
