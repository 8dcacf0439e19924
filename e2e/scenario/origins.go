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
		"https://pr-17.preview.example.evil.example", "https://xpr-17.preview.example", "https://pr-.preview.example", "https://pr-17xpreview.example",
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
	for _, origin := range []string{"https://example.com\r\nx-evil: 1", "https://example.com\x00", "https://exämple.com", "https://example.com\x7f"} {
		rows = append(rows, Scenario{
			Name: "kept out: control characters and letters beyond ASCII, " + strconv.QuoteToASCII(origin), Config: policy, Request: get("origin", origin),
			Want: Want{Headers: closed, Counters: requestDenied}, NotOverHTTP: true,
		})
	}
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
			Name:    "a prefix may be waived in, and the origin is still parsed",
			Config:  `{"allow_origins": [{"prefix": "https://app."}], "dangerously_tolerate": ["loose-origin-match"]}`,
			Request: get("origin", "https://app.example/evil"),
			Want:    Want{Headers: closed, Counters: requestDenied},
		},
	)
}()

// longest is an allowed origin as long as one may be.
var longest = "https://" + strings.Repeat("a", 512-len("https://")-len(".example.org")) + ".example.org"
