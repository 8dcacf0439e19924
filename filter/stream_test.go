//go:build !wasip1

package filter_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
)

type req = Request

// opened is what a careless upstream sends.
var opened = []filter.Header{
	{"access-control-allow-origin", "*"}, {"access-control-allow-credentials", "true"}, {"access-control-expose-headers", "*"},
	{"vary", "accept-encoding"}, {"x", "y"},
}

const (
	rejecting    = `{"allow_origins":["https://a.example"],"disallowed_requests":"reject"}`
	credentialed = `{"allow_origins":["https://a.example"],"allow_credentials":true,"allow_methods":"PUT","allow_headers":"*",` +
		`"expose_headers":"x-e","max_age":"10m","allow_private_network_access":true}`
	debugging = `{"allow_origins":["https://a.example"],"allow_methods":"PUT","allow_headers":"x-a",` +
		`"debug":true,"disallowed_requests":"reject"}`
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
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\n" +
				"access-control-allow-headers: x-a, authorization\naccess-control-expose-headers: x-e\naccess-control-max-age: 600\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_allowed=1",
		},
		{
			"a private network is answered",
			credentialed,
			req{
				":method": "OPTIONS",
				"origin":  "https://a.example", "access-control-request-method": "GET", "access-control-request-private-network": "true",
			},
			204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\n" +
				"access-control-expose-headers: x-e\naccess-control-max-age: 600\naccess-control-allow-private-network: true\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_allowed=1",
		},
		{
			"a list that is no list is not echoed", credentialed, preflight("https://a.example", "PUT", "x-a\r\nset-cookie: x"), 204,
			"cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\n" +
				"access-control-expose-headers: x-e\naccess-control-max-age: 600\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_denied_headers=1",
		},
		{
			"a preflight of a method that is not allowed", credentialed, preflight("https://a.example", "DELETE", ""), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\n" +
				"access-control-expose-headers: x-e\naccess-control-max-age: 600\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
		{
			"a list that is too long is not echoed", credentialed, preflight("https://a.example", "PUT", strings.Repeat("x-a,", 1024)+"x"), 204,
			"cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\n" +
				"access-control-expose-headers: x-e\naccess-control-max-age: 600\n" + varyAll,
			"cors.origin_valid=1 cors.preflight_denied_headers=1",
		},
		{
			"a policy of origins alone", rejecting, preflight("https://a.example", "POST", ""), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\n" + varyAll, "cors.origin_valid=1 cors.preflight_allowed=1",
		},
		{
			"a preflight of another origin", credentialed, preflight("https://evil.example", "PUT", ""), 403, "cors_origin_denied", varyAll,
			"cors.origin_invalid=1 cors.preflight_denied_origin=1",
		},
		{
			"any origin, in another status and under another name",
			`{"allow_origins":["*"],"allow_methods":["*"],"allow_headers":["*","authorization"],` +
				`"preflight_status":200,"stat_prefix":"shop.cors","max_age":-1,"expose_headers":"x-e"}`,
			preflight("null", "FOO", "x-a"), 200, "cors_preflight",
			"access-control-allow-origin: *\naccess-control-allow-methods: *\naccess-control-allow-headers: *, authorization\n" +
				"access-control-expose-headers: x-e\n" +
				"access-control-max-age: 0\nvary: access-control-request-method, access-control-request-headers\n",
			"shop.cors.origin_valid=1 shop.cors.preflight_allowed=1",
		},
		{
			"a rejected request", debugging, req{":method": "POST", "origin": "https://evil.example"}, 403, "cors_request_rejected",
			"vary: origin\nx-cors-decision: denied; reason=origin\n",
			"cors.origin_invalid=1 cors.request_rejected=1",
		},
		{
			"debugging an allowed preflight", debugging, preflight("https://a.example", "PUT", "X-A"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\n" +
				"access-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: allowed\n",
			"cors.origin_valid=1 cors.preflight_allowed=1",
		},
		{
			"debugging a method at fault", debugging, preflight("https://a.example", "PATCH", "X-A"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\n" +
				"access-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: denied; reason=method=PATCH\n",
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
		{
			"debugging a header at fault", debugging, preflight("https://a.example", "PUT", "x-a,X-Foo"), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\n" +
				"access-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: denied; reason=header=x-foo\n",
			"cors.origin_valid=1 cors.preflight_denied_headers=1",
		},
		{
			"debugging a method that cannot be shown", debugging, preflight("https://a.example", "P\r\nx: y", ""), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-methods: PUT\n" +
				"access-control-allow-headers: x-a\n" + varyAll + "x-cors-decision: denied; reason=method\n",
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
		{
			"debugging a malformed origin", debugging, preflight("https://a.example, https://a.example", "PUT", ""), 403, "cors_origin_denied",
			varyAll + "x-cors-decision: denied; reason=malformed-origin\n",
			"cors.origin_invalid=1 cors.preflight_denied_origin=1",
		},
		{
			"debugging the longest echo and the longest culprit",
			`{"allow_origins":["https://a.example"],"allow_methods":"PUT","allow_headers":"*","allow_credentials":true,"debug":true}`,
			preflight("https://a.example", strings.Repeat("M", 64), strings.Repeat("A,", 2048)), 204, "cors_preflight",
			"access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: PUT\n" +
				"access-control-allow-headers: " + strings.TrimSuffix(strings.Repeat("a, ", 2048), ", ") + "\n" + varyAll +
				"x-cors-decision: denied; reason=method=" + strings.Repeat("M", 64) + "\n",
			"cors.origin_valid=1 cors.preflight_denied_method=1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Unjoined: true}
			plugin := Start(t, c.configuration, h)
			got := Serve(plugin, h, c.request)
			if h.Replies != 1 || h.Status != c.status || h.Details != c.details || Lines(h.Replied) != c.headers {
				t.Errorf(
					"%d replies, the last %d %s\n%s\nwant %d %s\n%s", h.Replies, h.Status, h.Details, Lines(h.Replied), c.status, c.details, c.headers,
				)
			}
			// Envoy runs the reply through the filter's own response callback, which looks
			// at it, and leaves it as it is.
			if last := h.Calls[len(h.Calls)-1]; Lines(h.Reread) != c.headers || got.Response != c.headers || last != "ResponseHeaders" {
				t.Errorf("the reply was edited again, last by %s:\n%s", last, got.Response)
			}
			if got.Action != types.ActionPause || h.Counts() != c.counts || len(h.Logs) > 0 {
				t.Errorf("action %d, counts %q, logs %q; want counts %q", got.Action, h.Counts(), h.Logs, c.counts)
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
		upstream      []filter.Header
		want          string
		counts        string
	}{
		{
			"an allowed origin", credentialed, get(a), []filter.Header{{"x", "y"}},
			"x: y\naccess-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-expose-headers: x-e\n" +
				"vary: origin\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"upstream's own headers are replaced", plain, get(a), opened,
			"vary: accept-encoding\nx: y\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: origin\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"upstream cannot open what is closed", plain, get("https://evil.example"), opened,
			"vary: accept-encoding\nx: y\nvary: origin\n", "cors.origin_invalid=1 cors.request_denied=1",
		},
		{
			"what is closed may be one field", plain, get("https://evil.example"), opened[:1],
			"vary: origin\n", "cors.origin_invalid=1 cors.request_denied=1",
		},
		{"not without an Origin either", plain, req{":method": "GET"}, opened, "vary: accept-encoding\nx: y\nvary: origin\n", ""},
		{"an empty Origin is none", plain, get(""), nil, "vary: origin\n", ""},
		{
			"a malformed Origin", plain, get(a + "/"), opened,
			"vary: accept-encoding\nx: y\nvary: origin\n", "cors.origin_invalid=1 cors.request_denied=1",
		},
		{
			"two entries become one", plain, get(a),
			[]filter.Header{{"access-control-allow-origin", a}, {"access-control-allow-origin", a}, {"vary", "Origin"}},
			"vary: Origin\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"what is right stays where it is", plain, get(a),
			[]filter.Header{{"access-control-allow-origin", a}, {"access-control-expose-headers", "x-e"}, {"vary", "a, ORIGIN"}},
			"access-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: a, ORIGIN\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"nothing is added to Vary: *", plain, get(a), []filter.Header{{"vary", "*"}},
			"vary: *\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"Origin in the second Vary is found", plain, req{}, []filter.Header{{"vary", "accept"}, {"vary", "x,origin"}},
			"vary: accept\nvary: x,origin\n", "",
		},
		{
			"so is it in the first of two", plain, req{}, []filter.Header{{"vary", "x,origin"}, {"vary", "accept"}},
			"vary: x,origin\nvary: accept\n", "",
		},
		{"what upstream names twice is upstream's", plain, req{}, []filter.Header{{"vary", "Origin,origin"}}, "vary: Origin,origin\n", ""},
		{"Origin-Agent in Vary is not Origin", plain, req{}, []filter.Header{{"vary", "origin-agent"}}, "vary: origin-agent\nvary: origin\n", ""},
		{
			"any origin gets a star", star, get("https://evil.example"), opened[1:],
			"vary: accept-encoding\nx: y\naccess-control-allow-origin: *\naccess-control-expose-headers: x-e\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"without an Origin as well", star,
			req{":method": "GET"}, nil,
			"access-control-allow-origin: *\naccess-control-expose-headers: x-e\n", "",
		},
		{
			"upstream's headers are preserved on demand", with(plain, `,"upstream_headers":"preserve"`), get("https://evil.example"), opened,
			Lines(opened) + "vary: origin\n", "cors.origin_invalid=1 cors.request_denied=1",
		},
		{
			"what upstream leaves out is not", with(plain, `,"upstream_headers":"preserve"`), get(a), opened[1:],
			"vary: accept-encoding\nx: y\naccess-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: origin\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"upstream's timing is preserved as well", with(plain, `,"upstream_headers":"preserve","timing_allow_origins":["https://t.example"]`),
			req{}, []filter.Header{{"timing-allow-origin", "*"}},
			"timing-allow-origin: *\nvary: origin\n", "",
		},
		{
			"timing that upstream leaves out is not", with(plain, `,"upstream_headers":"preserve","timing_allow_origins":["https://t.example"]`),
			get("https://t.example"), opened[:1],
			"access-control-allow-origin: *\ntiming-allow-origin: https://t.example\nvary: origin\n",
			"cors.origin_invalid=1 cors.request_denied=1",
		},
		{
			"a forwarded preflight keeps upstream's answer", with(plain, `,"unmatched_preflights":"forward"`),
			req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"}, opened,
			Lines(opened) + "vary: origin\n", "cors.origin_invalid=1 cors.preflight_forwarded=1",
		},
		{
			"timing for an origin of its own", with(plain, `,"timing_allow_origins":["https://t.example"]`), get("https://t.example"),
			[]filter.Header{{"timing-allow-origin", "*"}},
			"timing-allow-origin: https://t.example\nvary: origin\n", "cors.origin_invalid=1 cors.request_denied=1",
		},
		{
			"timing where upstream sends nothing", with(plain, `,"timing_allow_origins":["https://t.example"]`), get("https://t.example"), nil,
			"timing-allow-origin: https://t.example\nvary: origin\n", "cors.origin_invalid=1 cors.request_denied=1",
		},
		{
			"timing of some beside a star", with(star, `,"timing_allow_origins":["https://t.example"]`), get("https://t.example"), nil,
			"access-control-allow-origin: *\naccess-control-expose-headers: x-e\ntiming-allow-origin: https://t.example\nvary: origin\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"a star of timing beside an origin", with(plain, `,"timing_allow_origins":["*"]`), get(a), nil,
			"access-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\ntiming-allow-origin: *\nvary: origin\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"timing of others is closed", with(plain, `,"timing_allow_origins":["https://t.example"]`), get(a),
			[]filter.Header{{"timing-allow-origin", "*"}},
			"access-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\nvary: origin\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"both for one origin", with(plain, `,"timing_allow_origins":["https://*.example"]`), get(a), nil,
			"access-control-allow-origin: https://a.example\naccess-control-expose-headers: x-e\ntiming-allow-origin: https://a.example\n" +
				"vary: origin\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"timing of some makes a star vary", with(star, `,"timing_allow_origins":["https://t.example"]`), req{}, nil,
			"access-control-allow-origin: *\naccess-control-expose-headers: x-e\nvary: origin\n", "",
		},
		{
			"timing for all", with(star, `,"timing_allow_origins":["*"]`), req{}, nil,
			"access-control-allow-origin: *\naccess-control-expose-headers: x-e\ntiming-allow-origin: *\n", "",
		},
		{
			"unless configured timing is upstream's", plain, req{}, []filter.Header{{"timing-allow-origin", "*"}},
			"timing-allow-origin: *\nvary: origin\n", "",
		},
		{
			"debugging an allowed request", debugging, get(a), []filter.Header{{"x-cors-decision", "lie"}},
			"access-control-allow-origin: https://a.example\nvary: origin\nx-cors-decision: allowed\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"what is shown makes a star vary", with(star, `,"debug":true`), get("https://evil.example"), nil,
			"access-control-allow-origin: *\naccess-control-expose-headers: x-e\nvary: origin\nx-cors-decision: allowed\n",
			"cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"without an Origin as well, which shows nothing", with(star, `,"debug":true`), req{}, nil,
			"access-control-allow-origin: *\naccess-control-expose-headers: x-e\nvary: origin\n", "",
		},
		{"debugging no request of CORS", debugging, req{}, []filter.Header{{"x-cors-decision", "lie"}}, "vary: origin\n", ""},
		{
			"shadow touches nothing", with(credentialed, `,"mode":"shadow","debug":true`), get("https://evil.example"), opened, Lines(opened),
			"cors.shadow.origin_invalid=1 cors.shadow.request_denied=1",
		},
		{
			"shadow touches nothing without an Origin either", with(credentialed, `,"mode":"shadow","debug":true`),
			req{":method": "GET"}, opened, Lines(opened), "",
		},
		{
			"shadow answers nothing", with(credentialed, `,"mode":"shadow"`),
			req{":method": "OPTIONS", "origin": a, "access-control-request-method": "PUT"}, opened, Lines(opened),
			"cors.shadow.origin_valid=1 cors.shadow.preflight_allowed=1",
		},
		{
			"shadow rejects nothing", with(debugging, `,"mode":"shadow"`), get("https://evil.example"), nil, "",
			"cors.shadow.origin_invalid=1 cors.shadow.request_rejected=1",
		},
		{"off is off", with(debugging, `,"mode":"off"`), get("https://evil.example"), opened, Lines(opened), ""},
		{
			"a rule without a match leaves the request alone", `{"rules":[{"hosts":["b.example"],"policy":{"allow_origins":["*"]}}]}`,
			req{":authority": "a.example", ":path": "/", "origin": a}, opened, Lines(opened), "",
		},
		{
			"a rule that matches", `{"rules":[{"hosts":["b.example"],"paths":["/x/*"],"policy":{"allow_origins":["*"]}}]}`,
			req{":authority": "B.example:80", ":path": "/x?y", "origin": a}, nil,
			"access-control-allow-origin: *\n", "cors.origin_valid=1 cors.request_allowed=1",
		},
		{
			"off in a rule", `{"allow_origins":["*"],"rules":[{"hosts":["b.example"],"policy":{"mode":"off"}}]}`,
			req{":authority": "b.example", ":path": "/", "origin": a}, opened, Lines(opened), "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Unjoined: true}
			plugin := Start(t, c.configuration, h)
			got := Serve(plugin, h, c.request, c.upstream...)
			if got.Action != types.ActionContinue || h.Replies != 0 {
				t.Errorf("action %d, %d replies", got.Action, h.Replies)
			}
			if got.Response != c.want {
				t.Errorf("the response is\n%s\nwant\n%s", got.Response, c.want)
			}
			if h.Counts() != c.counts || len(h.Logs) > 0 {
				t.Errorf("counts %q, logs %q; want counts %q", h.Counts(), h.Logs, c.counts)
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
		{
			"x-forwarded-proto comes first",
			req{"origin": "https://x.example", "x-forwarded-proto": "https", ":scheme": "http", ":authority": "x.example"}, true,
		},
		{"another scheme", req{"origin": "http://x.example", "x-forwarded-proto": "https", ":scheme": "http", ":authority": "x.example"}, false},
		{"a WebSocket's scheme", req{"origin": "https://x.example", "x-forwarded-proto": "wss", ":authority": "x.example"}, true},
		{"a plain WebSocket's", req{"origin": "http://x.example:81", "x-forwarded-proto": "ws", ":authority": "x.example:81"}, true},
		{"https where the last hop is http", req{"origin": "https://x.example", ":scheme": "http", ":authority": "x.example"}, true},
		{
			"https where x-forwarded-proto tells of the last hop",
			req{"origin": "https://x.example", "x-forwarded-proto": "ws", ":scheme": "http", ":authority": "x.example:443"}, true,
		},
		{"https where nothing tells of a scheme", req{"origin": "https://x.example:8443", ":authority": "x.example:8443"}, true},
		{"https behind http's port", req{"origin": "https://x.example", ":scheme": "http", ":authority": "x.example:80"}, false},
		{"https at another port", req{"origin": "https://x.example:8443", ":scheme": "http", ":authority": "x.example"}, false},
		{"http where the request is https", req{"origin": "http://x.example", ":scheme": "https", ":authority": "x.example"}, false},
		{"another scheme than both", req{"origin": "app://x.example", ":scheme": "http", ":authority": "x.example"}, false},
		{"null has no host", req{"origin": "null", ":scheme": "null", ":authority": ""}, false},
		{"a malformed origin", req{"origin": "https://x.example/", ":scheme": "https", ":authority": "x.example"}, false},
		{"nothing to compare with", req{"origin": "https://x.example"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Unjoined: true}
			got := Serve(Start(t, rejecting, h), h, c.request, opened...)
			want := Exchange{Action: types.ActionPause, Response: "vary: origin\n"}
			if c.passes {
				want = Exchange{Action: types.ActionContinue, Response: "vary: accept-encoding\nx: y\nvary: origin\n"}
			}
			if got != want {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
}

// No proxy asks about a response without a request, and where one does there is no
// decision to apply.
func TestAResponseWithoutARequestIsLeftAlone(t *testing.T) {
	h := &Host{Unjoined: true, Response: slices.Clone(opened)}
	s := Start(t, credentialed, h).NewHttpContext(2)
	if action := s.OnHttpResponseHeaders(0, true); action != types.ActionContinue || len(h.Calls) > 0 {
		t.Errorf("action %d, calls %q", action, h.Calls)
	}
}

// TestRepliesWithHeadersOfOthers has each field in a reply twice, or beside one that
// the policy says nothing of.
func TestRepliesWithHeadersOfOthers(t *testing.T) {
	preflight := func(origin string) req {
		return req{":method": "OPTIONS", "origin": origin, "access-control-request-method": "QUERY", "access-control-request-headers": "X-B,x-a"}
	}
	const (
		echoing = `{"allow_origins":["https://a.example"],"allow_methods":"*","allow_headers":"*","allow_credentials":true,` +
			`"expose_headers":"x-e","max_age":600,"debug":true}`
		timed    = `{"allow_origins":["https://a.example"],"disallowed_requests":"reject","timing_allow_origins":["https://t.example"]}`
		preserve = `{"allow_origins":["https://a.example"],"allow_methods":"PUT","allow_headers":"x-a","max_age":600,` +
			`"upstream_headers":"preserve","timing_allow_origins":["https://t.example"],"disallowed_requests":"reject"}`
		echoed = "access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-allow-methods: QUERY\n" +
			"access-control-allow-headers: x-b, x-a\naccess-control-expose-headers: x-e\naccess-control-max-age: 600\n"
		varyAll = "origin, access-control-request-method, access-control-request-headers"
	)
	all := []filter.Header{
		{"access-control-allow-origin", "*"}, {"access-control-allow-credentials", "true"}, {"access-control-allow-methods", "PATCH"},
		{"access-control-allow-headers", "x-b"},
		{"access-control-expose-headers", "x-s"}, {"access-control-max-age", "5"}, {"access-control-allow-private-network", "true"},
		{"timing-allow-origin", "*"},
		{"x-cors-decision", "lie"}, {"vary", "accept"}, {"x", "y"},
	}
	for _, c := range []struct {
		name, configuration string
		request             req
		added               []filter.Header
		want                string
	}{
		{
			"allowed", echoing, preflight("https://a.example"), all,
			"timing-allow-origin: *\nvary: accept," + varyAll + "\nx: y\n" + echoed + "x-cors-decision: allowed\n",
		},
		{
			"denied", echoing, preflight("https://evil.example"), all,
			"timing-allow-origin: *\nvary: accept," + varyAll + "\nx: y\nx-cors-decision: denied; reason=origin\n",
		},
		{"rejected", timed, req{":method": "GET", "origin": "https://evil.example"}, all, "x-cors-decision: lie\nvary: accept,origin\nx: y\n"},
		{
			"rejected, and its timing may be read", timed,
			req{":method": "GET", "origin": "https://t.example"}, all,
			"x-cors-decision: lie\nvary: accept,origin\nx: y\ntiming-allow-origin: https://t.example\n",
		},
		{
			"only the private network", echoing, preflight("https://a.example"), all[6:7],
			echoed + "vary: " + varyAll + "\nx-cors-decision: allowed\n",
		},
		// Of a list both stay, of a value ours, and what the policy is silent of.
		{
			"preserved", preserve, preflight("https://a.example"), all,
			"access-control-allow-credentials: true\naccess-control-allow-methods: PATCH,PUT\naccess-control-allow-headers: x-b,x-a\n" +
				"access-control-expose-headers: x-s\n" +
				"access-control-allow-private-network: true\ntiming-allow-origin: *\nx-cors-decision: lie\n" +
				"vary: accept," + varyAll + "\nx: y\naccess-control-allow-origin: https://a.example\naccess-control-max-age: 600\n",
		},
		{
			"preserved on a denial", preserve, preflight("https://evil.example"), all[:1],
			"access-control-allow-origin: *\nvary: " + varyAll + "\n",
		},
		{
			"preserved on a rejection", preserve,
			req{":method": "GET", "origin": "https://t.example"}, all[7:8],
			"timing-allow-origin: *\ntiming-allow-origin: https://t.example\nvary: origin\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Added: c.added}
			plugin := Start(t, c.configuration, h)
			for time := range 3 { // the second answer is cached
				if got := Serve(plugin, h, c.request); got.Response != c.want || h.Replies != time+1 {
					t.Errorf("%d replies\n%s\nwant\n%s", h.Replies, got.Response, c.want)
				}
			}
		})
	}
}

// TestAReplysVaryNamesNothingTwice has others add to Vary before the filter's own
// value, behind it and on both sides, joined as proxies join.
func TestAReplysVaryNamesNothingTwice(t *testing.T) {
	const own, asked = "origin, access-control-request-method, access-control-request-headers",
		"access-control-request-method, access-control-request-headers"
	preflight := req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"}
	rejected := req{":method": "GET", "origin": "https://evil.example"}
	const anyone = `{"allow_origins":["*"]}`
	for _, c := range []struct {
		configuration string
		request       req
		sent, want    string
	}{
		{rejecting, preflight, own, own},
		{rejecting, preflight, "Origin," + own, "Origin," + asked},
		{rejecting, preflight, own + ",Origin", "Origin," + asked},
		{rejecting, preflight, own + ",x, Origin", "x, Origin," + asked},
		{rejecting, preflight, "accept," + own, "accept," + own},
		{rejecting, preflight, own + ",accept", own + ",accept"},
		{rejecting, preflight, own + "-x", own + "-x,access-control-request-headers"},
		{rejecting, preflight, own + ";origin", own + ";origin,access-control-request-headers"},
		{rejecting, preflight, strings.Repeat("x", len(own)) + ",origin", strings.Repeat("x", len(own)) + ",origin," + asked},
		{rejecting, preflight, "origin," + strings.Repeat("x", len(own)), "origin," + strings.Repeat("x", len(own)) + "," + asked},
		{rejecting, preflight, asked + "," + own, asked + ",origin"},
		{rejecting, preflight, "Access-Control-Request-Headers," + own, "Access-Control-Request-Headers,origin, access-control-request-method"},
		{rejecting, preflight, own + "," + own, own},
		{rejecting, preflight, "*," + own, "*"},
		{rejecting, preflight, own + ",*", "*"},
		{rejecting, preflight, "*", "*"},
		{rejecting, preflight, "accept", "accept," + own},
		{rejecting, preflight, "Access-Control-Request-Method", "Access-Control-Request-Method,origin, access-control-request-headers"},
		{rejecting, preflight, "a," + own + ",origin,b", "a,origin,b," + asked},
		{rejecting, preflight, "Origin," + own + ",accept", "Origin,accept," + asked},
		{rejecting, preflight, "accept, " + own + ", Origin", "accept, Origin," + asked},
		{rejecting, preflight, "accept," + own + ",accept", "accept," + own + ",accept"},
		{rejecting, preflight, "x-" + own + "," + own + ",Origin", "x-" + own + ",Origin"},
		{rejecting, rejected, "origin", "origin"},
		{rejecting, rejected, "Origin,origin", "Origin"},
		{rejecting, rejected, "x-origin", "x-origin,origin"},
		{rejecting, rejected, "x-origin,origin", "x-origin,origin"},
		{rejecting, rejected, "originally", "originally,origin"},
		{anyone, preflight, "Origin," + asked, "Origin," + asked},
		{anyone, preflight, asked + ",access-control-request-method", "access-control-request-method,access-control-request-headers"},
		{anyone, preflight, "", asked},
	} {
		h := &Host{Behind: func(response []filter.Header) []filter.Header {
			for i := range response {
				if response[i].Name == "vary" && c.sent != "" {
					response[i].Value = c.sent
				}
			}
			return response
		}}
		if Serve(Start(t, c.configuration, h), h, c.request); !slices.Contains(h.Response, filter.Header{Name: "vary", Value: c.want}) {
			t.Errorf("%q becomes\n%s\nwant %q", c.sent, Lines(h.Response), c.want)
		}
	}
}

// TestAPanicOverAReplyClosesIt lets the response callback of a reply panic, to which a
// route has added a star.
func TestAPanicOverAReplyClosesIt(t *testing.T) {
	const preserving = `,"upstream_headers":"preserve"`
	for _, c := range []struct {
		members string
		request req
		open    bool
	}{
		{"", req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"}, false},
		{"", req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"}, false},
		{"", req{":method": "GET", "origin": "https://evil.example"}, false},
		{preserving, req{":method": "GET", "origin": "https://evil.example"}, true},
	} {
		h := &Host{Added: opened[:3]}
		plugin := Start(t, strings.TrimSuffix(rejecting, "}")+c.members+"}", h)
		h.PanicIn = "ResponseHeaders"
		got := Serve(plugin, h, c.request)
		if open := strings.Contains(got.Response, "access-control-allow-origin: "); got.Action != types.ActionPause || h.Replies != 1 ||
			open != c.open || len(h.Logs) != 1 {
			t.Errorf("%s: action %v, %d replies, logs %q\n%s", c.request, got.Action, h.Replies, h.Logs, got.Response)
		}
	}
}

// TestOverwrittenRepliesAreRestored takes away what was sent, one field after the
// other, and changes it: it stands there again with one call.
func TestOverwrittenRepliesAreRestored(t *testing.T) {
	request := req{
		":method": "OPTIONS",
		"origin":  "https://a.example", "access-control-request-method": "PUT", "access-control-request-headers": "x-a, X-B",
		"access-control-request-private-network": "true",
	}
	for _, configuration := range []string{
		strings.TrimSuffix(credentialed, "}") + `,"debug":true}`,
		`{"allow_origins":["*"],"allow_methods":"*","allow_headers":"*","expose_headers":"*","max_age":1,"debug":true}`,
	} {
		h := &Host{Unjoined: true}
		plugin := Start(t, configuration, h)
		Serve(plugin, h, request)
		sent := slices.Clone(h.Replied)
		for i := range sent {
			for _, change := range []string{"", "x"} {
				h.Added, h.Behind = nil, func(response []filter.Header) []filter.Header {
					if change == "" {
						return slices.Delete(response, i, i+1)
					}
					response[i].Value = change
					return response
				}
				h.Calls = nil
				got := Serve(plugin, h, request)
				want := slices.Delete(slices.Clone(sent), i, i+1)
				if sent[i].Name == "vary" && change != "" {
					want = append(want, filter.Header{Name: "vary", Value: change})
				}
				want = append(want, sent[i])
				last := h.Calls[len(h.Calls)-2]
				if sorted(got.Response) != sorted(Lines(want)) || last != "ResponseHeaders" {
					t.Errorf("%s, changed to %q: %q\n%s\nwant\n%s", sent[i].Name, change, h.Calls, got.Response, Lines(want))
				}
			}
		}
	}
}

// long is a list of n methods.
func long(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("METHOD-%05d", i))
	}
	return strings.Join(list, ",")
}

func sorted(lines string) string {
	list := strings.Split(lines, "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}

func TestARefusedReplyLetsTheRequestPass(t *testing.T) {
	for _, c := range []struct {
		name    string
		request req
		want    string
	}{
		{
			"rejected",
			req{":method": "GET", "origin": "https://evil.example"},
			"vary: accept-encoding\nx: y\nvary: origin\nx-cors-decision: denied; reason=origin\n",
		},
		// Upstream answers the preflight itself, as if it had been forwarded.
		{
			"preflight",
			req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"},
			Lines(opened) + "vary: origin\nx-cors-decision: allowed\n",
		},
		{
			"preflight at fault",
			req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PATCH"},
			Lines(opened) + "vary: origin\nx-cors-decision: denied; reason=method=PATCH\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Unjoined: true, ReplyErr: errors.New("no")}
			got := Serve(Start(t, debugging, h), h, c.request, opened...)
			if got != (Exchange{Action: types.ActionContinue, Response: c.want}) ||
				!slices.Equal(h.Logs, []string{"4 the proxy refused the reply: no"}) {
				t.Errorf("%+v, logs %q; want\n%s", got, h.Logs, c.want)
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
		{"Log", get, "", requestCallback, shut},
		// Whether the proxy took the reply cannot be known: whatever comes is closed.
		{"SendReply", preflight, "", requestCallback, shut},
		// What upstream opened is closed without a look, unless closing it is what panics.
		{"ResponseHeaders", get, "", responseCallback, "vary: accept-encoding\nx: y\n"},
		{"ReplaceResponseHeader", get, "", responseCallback, "vary: accept-encoding\nx: y\n"},
		{"RemoveResponseHeader", req{}, "", responseCallback, Lines(opened)},
		{"ResponseHeaders", get, `,"upstream_headers":"preserve"`, responseCallback, Lines(opened)},
		// Upstream was asked, and its answer is none of ours.
		{
			"ResponseHeaders",
			req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"},
			`,"unmatched_preflights":"forward"`, responseCallback, Lines(opened),
		},
		{"AddResponseHeader", req{}, "", responseCallback, "vary: accept-encoding\nx: y\n"},
		{"Log", get, `,"mode":"shadow"`, requestCallback, Lines(opened)},
	} {
		t.Run(c.method+c.members+" in "+c.callback, func(t *testing.T) {
			h := &Host{Unjoined: true, Level: filter.LogDebug}
			plugin := Start(t, strings.TrimSuffix(credentialed, "}")+c.members+"}", h)
			h.PanicIn = c.method
			got := Serve(plugin, h, c.request, opened...)
			if got != (Exchange{Action: types.ActionContinue, Response: c.want}) {
				t.Errorf("%+v\nwant\n%s", got, c.want)
			}
			bugs := slices.DeleteFunc(slices.Clone(h.Logs), func(line string) bool { return !strings.Contains(line, "bug in") })
			if line := "4 bug in the CORS filter: panic in " + c.callback + ": broken " + c.method; !slices.Equal(bugs, []string{line}) {
				t.Errorf("logs %q\nwant %q", h.Logs, line)
			}
			// The next stream knows nothing of it.
			h.PanicIn = ""
			h.Calls, h.Logs = nil, nil
			want := "access-control-allow-credentials: true\nvary: accept-encoding\nx: y\naccess-control-allow-origin: https://a.example\n" +
				"access-control-expose-headers: x-e\n" +
				"vary: origin\n"
			switch {
			case strings.Contains(c.members, "preserve"):
				want = Lines(opened) + "vary: origin\n"
			case strings.Contains(c.members, "shadow"):
				want = Lines(opened)
			}
			if got := Serve(plugin, h, get, opened...); got != (Exchange{Action: types.ActionContinue, Response: want}) {
				t.Errorf("the next stream: %+v\nwant\n%s", got, want)
			}
			// Nor does one that fails itself.
			h.PanicIn = "ResponseHeaders"
			if got := Serve(plugin, h, get, opened...); c.members == "" && got.Response != "vary: accept-encoding\nx: y\n" {
				t.Errorf("the next stream, which fails: %s", got.Response)
			}
		})
	}
}

// A reply that the proxy took is over: a bug in the next stream shuts its response.
func TestAPanicAfterAReply(t *testing.T) {
	h := &Host{Unjoined: true}
	plugin := Start(t, credentialed, h)
	Serve(plugin, h, req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"})
	h.PanicIn = "ResponseHeaders"
	got := Serve(plugin, h, req{":method": "GET", "origin": "https://a.example"}, opened...)
	if want := "vary: accept-encoding\nx: y\n"; h.Replies != 1 || got.Response != want {
		t.Errorf("%d replies, %s\nwant\n%s", h.Replies, got.Response, want)
	}
}

func TestASecondPanicLeavesTheStreamAlone(t *testing.T) {
	h := &Host{Unjoined: true, Response: slices.Clone(opened)}
	s := Start(t, credentialed, h).NewHttpContext(2)
	shuts := func() bool {
		return slices.ContainsFunc(h.Calls, func(call string) bool { return strings.HasPrefix(call, "RemoveResponseHeader") })
	}
	h.PanicIn = "RequestHeader"
	if s.OnHttpRequestHeaders(0, true); shuts() {
		t.Errorf("over the request there is no response to shut: %q", h.Calls)
	}
	h.PanicIn = "ResponseHeaders"
	if s.OnHttpResponseHeaders(0, true); shuts() {
		t.Errorf("calls after the second panic: %q", h.Calls)
	}
	if len(h.Logs) != 2 {
		t.Errorf("logs %q, want a line for each panic", h.Logs)
	}
}

// A stream that fails before its policy is known has that of nobody, whoever's
// memory it lives in.
func TestAPanicBeforeThePolicyIsKnown(t *testing.T) {
	h := &Host{Unjoined: true}
	plugin := Start(t, `{"rules":[{"paths":["/a"],"policy":{"allow_origins":["https://a.example"]}}]}`, h)
	Serve(plugin, h, req{":method": "GET", ":path": "/a", "origin": "https://a.example"}, opened...)
	h.PanicIn = "RequestHeaders"
	got := Serve(plugin, h, req{":method": "GET", ":path": "/b"}, opened...)
	if want := (Exchange{Action: types.ActionContinue, Response: Lines(opened)}); got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestPanicInConfigureFailsTheStart(t *testing.T) {
	for _, method := range []string{"Configuration", "DefineCounter", "LogLevel", "Log"} {
		h := &Host{Unjoined: true, Config: credentialed, PanicIn: method}
		plugin := filter.New(h).NewPluginContext(1)
		if status := plugin.OnPluginStart(0); status != types.OnPluginStartStatusFailed {
			t.Errorf("%s: status %v", method, status)
		}
		if line := "4 bug in the CORS filter: panic in proxy_on_configure: broken " + method; !slices.Contains(h.Logs, line) {
			t.Errorf("%s: logs %q", method, h.Logs)
		}
	}
}

func TestStreamsAreRecycledClean(t *testing.T) {
	h := &Host{Unjoined: true}
	plugin := Start(t, credentialed, h)
	first := plugin.NewHttpContext(2)
	first.OnHttpStreamDone()
	if again := plugin.NewHttpContext(3); again != first {
		t.Error("a stream that ended is not used again")
	} else {
		again.OnHttpStreamDone()
	}
	allowed := "access-control-allow-origin: https://a.example\naccess-control-allow-credentials: true\naccess-control-expose-headers: x-e\n" +
		"vary: origin\n"
	for _, step := range []struct {
		request req
		want    string
	}{
		{req{":method": "GET", "origin": "https://a.example"}, allowed},
		{req{":method": "GET"}, "vary: origin\n"},
		{req{":method": "GET", "origin": "https://evil.example"}, "vary: origin\n"},
		{
			req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"},
			"vary: origin, access-control-request-method, access-control-request-headers\n",
		},
		{req{":method": "GET", "origin": "https://a.example"}, allowed},
	} {
		if got := Serve(plugin, h, step.request); got.Response != step.want {
			t.Errorf("%v:\n%s\nwant\n%s", step.request, got.Response, step.want)
		}
	}
	if last := plugin.NewHttpContext(6); last != first {
		t.Error("streams were made beside the one that waits")
	} else {
		last.OnHttpStreamDone()
	}

	// A stream reset before its response leaves nothing to the one after it.
	h.Request = req{":method": "GET", "origin": "https://a.example"}.Entries()
	reset := plugin.NewHttpContext(4)
	reset.OnHttpRequestHeaders(2, true)
	reset.OnHttpStreamDone()
	next := plugin.NewHttpContext(5)
	h.Request, h.Response = nil, nil
	next.OnHttpResponseHeaders(0, true)
	if got := Lines(h.Response); next != reset || got != "" {
		t.Errorf("the stream after a reset: %s", got)
	}
}

// A proxy that hands over a second request on a stream gets a decision about that one
// alone.
func TestASecondRequestIsDecidedAfresh(t *testing.T) {
	const allowed = "access-control-allow-origin: https://a.example\nvary: origin\nx-cors-decision: allowed\n"
	mine, theirs := req{":method": "GET", "origin": "https://a.example"}, req{":method": "GET", "origin": "https://evil.example"}
	for _, c := range []struct {
		name          string
		first, second req
		want          string
	}{
		{"a friend behind an unlisted origin", theirs, mine, allowed},
		{
			"a friend behind a preflight of an unlisted origin",
			req{":method": "OPTIONS", "origin": "https://evil.example", "access-control-request-method": "PUT"}, mine, allowed,
		},
		{"an unlisted origin behind a friend", mine, theirs, "vary: origin\nx-cors-decision: denied; reason=origin\n"},
		{"no Origin behind a friend", mine, req{":method": "GET"}, "vary: origin\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Unjoined: true}
			h.Stream = Start(t, strings.Replace(debugging, `,"disallowed_requests":"reject"`, "", 1), h).NewHttpContext(2)
			h.Request = c.first.Entries()
			h.Stream.OnHttpRequestHeaders(0, true)
			h.Request, h.Response = c.second.Entries(), nil
			h.Stream.OnHttpRequestHeaders(0, true)
			h.Stream.OnHttpResponseHeaders(0, true)
			if got := Lines(h.Response); got != c.want {
				t.Errorf("%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestOpenStreamsKeepApart interleaves two streams, and overwrites the memory of
// the host after each callback, as the next callback does.
func TestOpenStreamsKeepApart(t *testing.T) {
	memory := []byte("https://a.example")
	h := &Host{Unjoined: true, Quiet: true, Request: req{":method": "GET", "origin": unsafe.String(&memory[0], len(memory))}.Entries()}
	plugin := Start(t, `{"allow_origins":["https://*.example"],"timing_allow_origins":["https://*.example"]}`, h)
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
		h.Response = nil
		c.stream.OnHttpResponseHeaders(0, true)
		if got, want := Lines(h.Response), "access-control-allow-origin: "+c.origin+"\ntiming-allow-origin: "+c.origin+
			"\nvary: origin\n"; got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

// TestRepliesThatArriveLate answers many preflights before the first reply comes by,
// as filters behind can hold it up, and overwrites the memory of the host in between.
func TestRepliesThatArriveLate(t *testing.T) {
	for _, members := range []string{
		`"allow_methods":"*","allow_headers":"*","allow_credentials":true,"debug":true`,
		`"allow_methods":"*","allow_headers":"x-a,x-b","allow_credentials":true`,
		`"allow_methods":"PUT","allow_headers":"*","allow_credentials":true`,
		`"allow_methods":"PUT","allow_headers":"x-a","debug":true`,
		`"allow_methods":"` + long(500) + `","allow_headers":"x-a","debug":true`,
	} {
		h := &scratchHost{Host: &Host{Unjoined: true, Late: true}, memory: make([]byte, 0, 1<<16)}
		h.Config = `{"allow_origins":["https://*.shop.example"],` + members + `}`
		plugin := filter.New(h).NewPluginContext(1)
		plugin.OnPluginStart(0)
		const n = 8
		for round := range 3 {
			var streams [n]types.HttpContext
			var want [n]string
			for i := range streams {
				// Some come again, and are answered from memory; some are at fault.
				name := string(rune('a' + i/2))
				headers, method := "x-"+name, "M"+name
				switch i {
				case 2, 5:
					headers = "x-" + name + ",x y"
				case 4:
					method = "TRACE"
				}
				h.callback()
				h.Request = req{
					":method": "OPTIONS",
					"origin":  "https://" + name + ".shop.example", "access-control-request-method": method, "access-control-request-headers": headers,
				}.Entries()
				streams[i] = plugin.NewHttpContext(2)
				if action := streams[i].OnHttpRequestHeaders(0, true); action != types.ActionPause {
					t.Fatalf("action %v, %q", action, h.Logs)
				}
				want[i] = sorted(Lines(h.Replied))
				if last := "METHOD-00499"; strings.Contains(members, last) && !strings.Contains(want[i], last) {
					t.Fatalf("the reply is cut short: %s", want[i])
				}
			}
			for i := range streams {
				i = (i*3 + round) % n
				h.callback()
				h.Request, h.Response = nil, []filter.Header{
					{"access-control-allow-origin", "*"}, {"access-control-allow-methods", "GET"}, {"access-control-allow-headers", "x"},
				}
				streams[i].OnHttpResponseHeaders(0, true)
				if got := sorted(Lines(h.Response)); got != want[i] {
					t.Errorf("%s: round %d, stream %d: %s\nwant %s", members, round, i, got, want[i])
				}
				streams[i].OnHttpStreamDone()
			}
		}
	}
}

// TestWithoutAllRequestHeadersNothingIsAllowed has a proxy that names an Origin and
// does not hand over the rest: what upstream opened is closed, and nothing is counted.
func TestWithoutAllRequestHeadersNothingIsAllowed(t *testing.T) {
	h := &Host{NoRequest: true}
	plugin := Start(t, rejecting, h)
	got := Serve(plugin, h, req{":method": "GET", "origin": "https://a.example"}, opened...)
	if want := "vary: accept-encoding,origin\nx: y\n"; got.Response != want {
		t.Errorf("the response has\n%swant\n%s", got.Response, want)
	}
	if plugin.OnTick(); h.Counts() != "" {
		t.Errorf("counted %q", h.Counts())
	}
}

func TestNothingIsSetWithoutResponseHeaders(t *testing.T) {
	h := &Host{Unjoined: true, NoResponse: true}
	Serve(Start(t, credentialed, h), h, req{":method": "GET", "origin": "https://a.example"})
	if last := h.Calls[len(h.Calls)-1]; last != "ResponseHeaders" {
		t.Errorf("the last call is %q", last)
	}
}

// TestNothingIsLeftOfTheRequestBefore serves each two requests one after the other: the
// second one gets what it gets alone.
func TestNothingIsLeftOfTheRequestBefore(t *testing.T) {
	requests := []req{
		{":method": "GET"},
		{":method": "GET", "origin": "https://a.example"},
		{":method": "OPTIONS", "origin": "https://a.example"},
		{":method": "POST", ":scheme": "https", ":authority": "b.example", ":path": "/x", "origin": "https://b.example"},
		{":method": "POST", ":scheme": "https", ":authority": "c.example", ":path": "/y", "origin": "https://b.example"},
		{":method": "POST", ":authority": "c.example", "x-forwarded-proto": "https", "origin": "https://c.example"},
		{":method": "POST", ":authority": "c.example", "sec-fetch-site": "same-origin", "origin": "https://b.example"},
		{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"},
		{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "DELETE", "access-control-request-headers": "x-a"},
		{
			":method": "OPTIONS",
			"origin":  "https://a.example", "access-control-request-method": "PUT", "access-control-request-headers": "x-b",
			"access-control-request-private-network": "true",
		},
		{":method": "GET", "origin": "https://a.example", "access-control-request-method": "PUT"},
	}
	const policy = `"allow_origins":["https://a.example"],"allow_methods":["PUT"],"allow_headers":["x-a"],` +
		`"allow_private_network_access":true,"debug":true`
	for name, configuration := range map[string]string{
		"forwarding": `{` + policy + `}`,
		"rejecting":  `{` + policy + `,"disallowed_requests":"reject"}`,
		"rules":      `{"rules":[{"paths":["/x"],"policy":{` + policy + `,"disallowed_requests":"reject"}},{"policy":{` + policy + `}}]}`,
	} {
		serve := func(requests ...req) (last Exchange) {
			h := &Host{}
			plugin := Start(t, configuration, h)
			for _, r := range requests {
				last = Serve(plugin, h, r)
			}
			return last
		}
		for i, first := range requests {
			for j, second := range requests {
				if got, want := fmt.Sprintf("%+v", serve(first, second)), fmt.Sprintf("%+v", serve(second)); got != want {
					t.Errorf("%s: request %d behind %d gets\n%s\nwant\n%s", name, j, i, got, want)
				}
			}
		}
	}
}

func TestNoMoreIsReadThanIsNeeded(t *testing.T) {
	const ruled = `{"rules":[{"policy":{"allow_origins":["https://a.example"]}}]}`
	const noNetwork = `{"allow_origins":["https://a.example"]}`
	for _, c := range []struct {
		name          string
		configuration string
		request       req
		upstream      []filter.Header
		want          []string
	}{
		{"no Origin", noNetwork, req{":method": "GET"}, []filter.Header{{"vary", "origin"}}, []string{"RequestHeader origin", "ResponseHeaders"}},
		{"rules", ruled, req{":method": "GET"}, []filter.Header{{"vary", "origin"}}, []string{"RequestHeaders", "ResponseHeaders"}},
		{
			"cross-origin", noNetwork,
			req{":method": "GET", "origin": "https://a.example"}, nil,
			[]string{
				"RequestHeader origin", "RequestHeader access-control-request-method", "ResponseHeaders",
				"ReplaceResponseHeader access-control-allow-origin https://a.example", "AddResponseHeader vary origin",
			},
		},
		{
			"preflight", noNetwork,
			req{":method": "OPTIONS", "origin": "https://a.example", "access-control-request-method": "PUT"}, nil,
			[]string{
				"RequestHeader origin", "RequestHeader access-control-request-method", "RequestHeaders", "SendReply 204 cors_preflight",
				"ResponseHeaders",
			},
		},
		{
			"rejected", `{"allow_origins":["https://a.example"],"disallowed_requests":"reject"}`,
			req{":method": "GET", "origin": "https://b.example"}, nil,
			[]string{"RequestHeader origin", "RequestHeaders", "SendReply 403 cors_request_rejected", "ResponseHeaders"},
		},
		{"off", `{"mode":"off"}`, req{":method": "GET", "origin": "https://a.example"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &Host{Unjoined: true}
			plugin := Start(t, c.configuration, h)
			Serve(plugin, h, c.request, c.upstream...) // the first asks for the log level
			h.Calls = nil
			Serve(plugin, h, c.request, c.upstream...)
			if !slices.Equal(h.Calls, c.want) {
				t.Errorf("calls %q\nwant %q", h.Calls, c.want)
			}
		})
	}
}
