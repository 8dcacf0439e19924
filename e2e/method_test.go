package e2e

import (
	"strings"
	"testing"

	"corsfilter/internal/browser"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/explain"
)

// TestMethodsThatEnvoyDoesNotKnowInEnvoy: over HTTP/1 the codec answers them before any
// filter, without CORS headers, and corsctl explain says so.
func TestMethodsThatEnvoyDoesNotKnowInEnvoy(t *testing.T) {
	const policy, custom = `{"allow_origins": ["*"], "allow_methods": "*"}`, "custom methods"
	s := envoytest.Start(t, envoytest.Bootstrap{Listeners: []envoytest.Listener{
		{Policy: policy, Routes: direct},
		{Name: custom, Policy: policy, Routes: direct, Manager: "{http_protocol_options: {allow_custom_methods: true}}"},
	}}, envoy.Options{})
	for _, method := range strings.Fields("GET POST PUT DELETE OPTIONS PATCH ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY " +
		"MKCALENDAR MKCOL MOVE NOTIFY PROPFIND " +
		"PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE patch FOO M-SEARCH VIEW Purge PRI *") {
		explained, err := explain.Explain([]byte(policy), explain.Request{
			Request: browser.Request{Origin: "http://localhost:3000", Method: method}, Scheme: "http", Host: "localhost", Path: "/",
		})
		if err != nil {
			t.Fatal(err)
		}
		headers := "Origin: http://localhost:3000\r\n" + envoytest.Attempt + ": " + method + "\r\n"
		got := askRaw(t, s, "", method, "/", headers)
		if x := explained.Request.Exchange; got.status != x.Status || (got.allowedOrigin == "*") != explained.Allowed {
			t.Errorf("%s: %+v, and explain says %d: %s", method, got, x.Status, explained.Verdict)
		}
		if !explained.Allowed {
			if details := s.Logged(t, "").Details; details != explained.Request.Exchange.Details { // no header is read
				t.Errorf("%s: logged %q, and explain says %q", method, details, explained.Request.Exchange.Details)
			}
			if got := askRaw(t, s, custom, method, "/", headers); got.status != 200 && method != "PRI" {
				t.Errorf("%s with allow_custom_methods: %+v", method, got)
			}
		}
	}
	// What a QUERY needs differs between releases; without a content-type none takes it.
	if got := askRaw(t, s, "", "QUERY", "/", "Origin: http://localhost:3000\r\n"); got.status != 400 || got.allowedOrigin != "" {
		t.Errorf("QUERY: %+v", got)
	}
}
