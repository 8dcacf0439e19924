package scenario

import (
	"strconv"
	"strings"
)

// origins are rows about who is let in: a row for each origin of a policy that
// holds every form of pattern.
var origins = func() (rows []Scenario) {
	const policy = `{
	  "allow_origins": [
	    "https://example.com", "https://*.example.org", "https://ports.example:*", "https://two.example:[8080,8443]",
	    "http://localhost:3000", "http://[::1]:8080", "http://127.0.0.1", "chrome-extension://abcdefghijklmnop", "capacitor://localhost",
	    {"regex": "https://pr-[0-9]+\\.preview\\.example"}, {"exact": "https://exact.example"}
	  ]
	}`
	for _, origin := range []string{
		"https://example.com", "https://a.example.org", "https://a.b.example.org", "https://ports.example",
		"https://ports.example:1", "https://ports.example:65535", "https://two.example:8080", "https://two.example:8443",
		"http://localhost:3000", "http://[::1]:8080", "http://127.0.0.1", "chrome-extension://abcdefghijklmnop",
		"capacitor://localhost", "https://pr-17.preview.example", "https://exact.example", "HTTPS://EXAMPLE.COM",
	} {
		rows = append(rows, Scenario{
			Name: "let in: " + origin, Config: policy, Request: get("origin", origin),
			Want: Want{Headers: H{acao: origin, vary: "origin"}, Counters: requestAllowed},
		})
	}
	for _, origin := range []string{
		// Neighbours of what is allowed.
		"http://example.com", "https://example.com:8443", "https://www.example.com", "https://example.org", "https://aexample.org",
		"https://barexample.com", "https://example.com.evil.example", "https://two.example", "https://two.example:8081",
		"http://localhost:3001", "http://localhost", "http://[::1]", "http://127.0.0.2", "chrome-extension://abcdefghijklmno",
		"https://pr-17.preview.example.evil.example", "https://xpr-17.preview.example", "https://pr-.preview.example",
		"https://pr-17xpreview.example",
		"null", "NULL", "file://",
		// What no browser sends.
		"https://example.com/", "https://example.com/path", "https://example.com?query", "https://example.com#fragment",
		"https://user@example.com", "https://example.com:443", "https://example.com:0", "https://example.com:65536", "https://example.com:08443",
		"https://example.com https://a.example.org", "https://example.com,https://a.example.org", "https://example.com, https://example.com",
		"https://", "://example.com", "example.com", "https:example.com", "https://.example.org", "https://a..example.org",
		"https://*.example.org", "https://%65xample.com", "*", ",", "https://exa mple.com", "https://exa\tmple.com",
		"https://" + strings.Repeat("a", 496) + ".example.org",
	} {
		rows = append(rows, Scenario{
			Name: "kept out: " + origin, Config: policy, Request: get("origin", origin),
			Want: Want{Headers: closed, Counters: requestDenied},
		})
	}
	for _, origin := range []string{
		"https://example.com\r\nx-evil: 1", "https://example.com\x00", "https://exämple.com", "https://example.com\x7f",
	} {
		rows = append(rows, Scenario{
			Name: "kept out: control characters and letters beyond ASCII, " + strconv.QuoteToASCII(origin), Config: policy,
			Request: get("origin", origin),
			Want:    Want{Headers: closed, Counters: requestDenied}, NotOverHTTP: true,
		})
	}
	rows = append(rows, others()...)
	return append(rows,
		Scenario{
			Name:    "an origin of 512 bytes still matches",
			Config:  `{"allow_origins": ["https://*.example.org"]}`,
			Request: get("origin", longest),
			Want:    Want{Headers: H{acao: longest, vary: "origin"}, Counters: requestAllowed},
		},
		Scenario{
			Name:    "an origin of 513 bytes matches nothing",
			Config:  `{"allow_origins": ["https://*.example.org"]}`,
			Request: get("origin", strings.Replace(longest, "a", "aa", 1)),
			Want:    Want{Headers: closed, Counters: requestDenied},
		},
		Scenario{
			Name:    "a regex of a literal star is any origin, as in Envoy's example",
			Config:  `{"allow_origin_string_match": [{"safe_regex": {"regex": "\\*"}}], "expose_headers": "x-total"}`,
			Request: get("origin", "https://evil.example"),
			Want:    Want{Headers: H{acao: "*", aceh: "x-total"}, Counters: requestAllowed},
		},
		Scenario{
			Name:    "a malformed origin still gets the star of a policy for everyone",
			Config:  anyone,
			Request: get("origin", "https://evil.example/path, x"),
			Want:    Want{Headers: H{acao: "*", aceh: "x-total"}, Counters: requestAllowed},
		},
		Scenario{
			Name:    "a malformed origin is never echoed",
			Config:  `{"allow_origins": ["*"], "allow_credentials": true, "dangerously_tolerate": ["any-origin-with-credentials"]}`,
			Request: get("origin", "https://evil.example/"),
			Want:    Want{Headers: closed, Counters: requestDenied},
		},
		Scenario{
			Name:    "any origin includes null",
			Config:  `{"allow_origins": ["*"], "allow_credentials": true, "dangerously_tolerate": ["any-origin-with-credentials"]}`,
			Request: get("origin", "null"),
			Want:    Want{Headers: H{acao: "null", acac: "true", vary: "origin"}, Counters: requestAllowed},
		},
		Scenario{
			Name:    "the origin null may be waived in",
			Config:  `{"allow_origins": ["null"], "dangerously_tolerate": ["null-origin"]}`,
			Request: get("origin", "null"),
			Want:    Want{Headers: H{acao: "null", vary: "origin"}, Counters: requestAllowed},
		},
		Scenario{
			Name:    "a waiver of one entry lets that entry in",
			Config:  `{"allow_origins": [{"origin": "null", "dangerously_tolerate": ["null-origin"]}], "allow_credentials": true}`,
			Request: get("origin", "null"),
			Want:    Want{Headers: H{acao: "null", acac: "true", vary: "origin"}, Counters: requestAllowed},
		},
		Scenario{
			Name:    "a regex that accepts the text null accepts the origin null",
			Config:  `{"allow_origins": [{"regex": "https://shop\\.example\\.com|null", "dangerously_tolerate": ["null-origin"]}]}`,
			Request: get("origin", "null"),
			Want:    Want{Headers: H{acao: "null", vary: "origin"}, Counters: requestAllowed},
		},
		Scenario{
			Name:     "nobody may read, whatever upstream opens",
			Config:   nobody,
			Request:  get("origin", shop),
			Upstream: careless,
			Want:     Want{Headers: closed, Counters: requestDenied},
		},
		Scenario{
			Name:     "nobody may read, and what has no Origin closes as well",
			Config:   nobody,
			Request:  get(),
			Upstream: careless,
			Want:     Want{Headers: closed},
		},
		Scenario{
			Name:    "nobody's preflight is answered with 403",
			Config:  nobody,
			Request: preflight(shop, "PUT"),
			Want:    denied,
		},
		Scenario{
			Name:    "a prefix may be waived in, and the origin is still parsed",
			Config:  `{"allow_origins": [{"prefix": "https://app."}], "dangerously_tolerate": ["loose-origin-match"]}`,
			Request: get("origin", "https://app.example/evil"),
			Want:    Want{Headers: closed, Counters: requestDenied},
		},
	)
}()

// others are origins of files, extensions and apps, and patterns for every host.
func others() (rows []Scenario) {
	const (
		uuid = "moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab"
		apps = `{"allow_origins": ["app://.", "qrc://", "capacitor://localhost", "ionic://My_App~1!", ` +
			`"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "app://*.tail:*"], "allow_credentials": true, "debug": true}`
		files   = `{"allow_origins": ["file://"], "allow_credentials": true, "dangerously_tolerate": ["null-origin"], "debug": true}`
		anyHost = `{"allow_origins": ["moz-extension://*", "https://*", "http://*:8080"], "debug": true}`
		anyExt  = `{"allow_origins": ["https://shop.example.com", "moz-extension://*"], "allow_methods": ["PUT"], ` +
			`"allow_credentials": true, "dangerously_tolerate": ["any-origin-with-credentials"]}`
		denied   = "denied; reason=origin"
		mistaken = "denied; reason=malformed-origin"
	)
	for _, p := range []struct{ config, allowed, denied, malformed string }{
		{
			apps,
			"app://. APP://. qrc:// capacitor://localhost Capacitor://LocalHost ionic://my_app~1! ionic://My_App~1! " +
				"chrome-extension://abcdefghijklmnopabcdefghijklmnop app://a.tail app://..Tail:8080",
			"app:// app://.. app://.:80 app://.tail qrc://. capacitor:// ionic://my_app~1 file:// null " + uuid,
			"app://./ qrc:/// qrc:///index.html qrc://:80 app://.,app://. ionic://my,app app://* app://{.} app://u@. app://.?q app://.#f",
		},
		{
			files, "file:// FILE://", "null app:// qrc:// http://localhost",
			"file:/// file:///home/me/index.html file://localhost file://. file://:80 file://* file:",
		},
		{
			anyHost,
			uuid + " moz-extension://A_B https://x https://a.b.example https://192.0.2.1 https://[2001:db8::1] http://x:8080 http://[::1]:8080",
			"null http://x https://x:8443 http://x:8081 chrome-extension://abc file:// app://.",
			"https://* https:// http://*:8080 moz-extension://* https://a_b~c https://x/",
		},
	} {
		credentials := strings.Contains(p.config, "allow_credentials")
		for _, o := range strings.Fields(p.allowed) {
			want := H{acao: o, vary: "origin", said: "allowed"}
			if credentials {
				want[acac] = "true"
			}
			rows = append(
				rows,
				Scenario{
					Name:    "let in: " + o + " by " + p.config,
					Config:  p.config,
					Request: get("origin", o),
					Want:    Want{Headers: want, Counters: requestAllowed},
				},
			)
		}
		for i, list := range []string{p.denied, p.malformed} {
			for _, o := range strings.Fields(list) {
				rows = append(rows, Scenario{Name: "kept out: " + o + " by " + p.config, Config: p.config, Request: get("origin", o),
					Want: Want{Headers: H{vary: "origin", said: []string{denied, mistaken}[i]}, Counters: requestDenied}})
			}
		}
	}
	return append(rows,
		Scenario{
			Name: "an extension asks first, where all of them are waived in", Config: anyExt, Request: preflight(uuid, "PUT"),
			Want: preflightFor(preflightAllowed, H{acao: uuid, acac: "true", acam: "PUT"}),
		},
		Scenario{
			Name: "a page asks first, where all extensions are waived in", Config: anyExt, Request: preflight("https://evil.example", "PUT"),
			Want: Want{Reply: 403, Details: "cors_origin_denied", Headers: H{vary: varyPreflight}, Counters: preflightDenied},
		},
		Scenario{
			Name: "a file asks first, and is not listed", Config: anyExt, Request: preflight("file://", "PUT"),
			Want: Want{Reply: 403, Details: "cors_origin_denied", Headers: H{vary: varyPreflight}, Counters: preflightDenied},
		},
		Scenario{
			Name: "an app of the server's own host is not of its own origin", Config: rejecting,
			Request: get("origin", "capacitor://api.example.com", "sec-fetch-site", "cross-site"),
			Want:    rejected,
		},
		Scenario{
			Name: "an origin without a host is nobody's own", Config: rejecting, Request: get("origin", "https://"), Want: rejected,
		},
	)
}

// nobody is a policy that closes what upstream opens.
const nobody = `{"allow_origins": []}`

// longest is an allowed origin as long as one may be.
var longest = "https://" + strings.Repeat("a", 512-len("https://")-len(".example.org")) + ".example.org"
