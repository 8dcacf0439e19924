package header

import (
	"strings"
	"testing"
)

func TestMethodsAreNormalizedAsBrowsersDo(t *testing.T) {
	for _, c := range []struct {
		name string
		want map[string]string
	}{
		{"six methods are upper-cased", map[string]string{
			"delete": "DELETE", "get": "GET", "head": "HEAD", "options": "OPTIONS", "post": "POST", "put": "PUT",
			"Delete": "DELETE", "gEt": "GET", "PUT": "PUT",
		}},
		{"every other one stays as it is", map[string]string{
			"patch": "patch", "PATCH": "PATCH", "Patch": "Patch", "propfind": "propfind", "chicken": "chicken",
			"": "", "get ": "get ", "gets": "gets", "connect": "connect",
		}},
		// U+017F folds to s in Unicode; bytes are what counts in HTTP.
		{"letters fold in ASCII only", map[string]string{"po\u017ft": "po\u017ft", "option\u017f": "option\u017f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for method, want := range c.want {
				if got := NormalizeMethod(method); got != want {
					t.Errorf("NormalizeMethod(%q) = %q, want %q", method, got, want)
				}
			}
		})
	}
}

// TestClassesOfFetch holds the lists of the Fetch standard; each name is asked
// for as the function wants it.
func TestClassesOfFetch(t *testing.T) {
	for _, c := range []struct {
		name    string
		is      func(string) bool
		accepts string
		rejects string
	}{
		{
			"forbidden methods, in any case", ForbiddenMethod,
			"CONNECT TRACE TRACK connect trace track Trace",
			"GET PATCH TRACES TRAC trac\u212a",
		},
		{
			"safelisted methods, case-sensitive", SafelistedMethod,
			"GET HEAD POST",
			"get head Post PUT DELETE OPTIONS PATCH",
		},
		{
			"forbidden request headers", ForbiddenRequestHeader,
			"accept-charset accept-encoding access-control-request-headers access-control-request-method " +
				"access-control-request-private-network connection content-length cookie cookie2 date dnt expect host keep-alive " +
				"origin referer set-cookie te trailer transfer-encoding upgrade via proxy- proxy-authorization sec- sec-fetch-site sec-gpc",
			"accept accept-language authorization content-type content-language user-agent range x-forwarded-for proxy sec " +
				"x-http-method-override cookies x-sec-foo origins",
		},
		{
			"forbidden response headers", ForbiddenResponseHeader,
			"set-cookie set-cookie2",
			"cookie set-cookie3 etag",
		},
		{
			"safelisted response headers", SafelistedResponseHeader,
			"cache-control content-language content-length content-type expires last-modified pragma",
			"etag date location x-request-id content-encoding authorization",
		},
		{
			"headers of responses", ResponseOnly,
			"access-control-allow-origin access-control-allow-private-network access-control-expose-headers access-control-max-age " +
				"etag vary location www-authenticate set-cookie retry-after server-timing strict-transport-security timing-allow-origin age allow",
			"authorization cookie content-type content-encoding content-location content-range accept range " +
				"cache-control date link x-request-id traceparent",
		},
		{
			"headers of requests", RequestOnly,
			"authorization cookie origin if-none-match range user-agent access-control-request-method " +
				"access-control-request-headers access-control-request-private-network",
			"accept accept-encoding content-type etag location cache-control pragma via x-request-id traceparent access-control-allow-origin",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range strings.Fields(c.accepts) {
				if !c.is(s) {
					t.Errorf("%q: false", s)
				}
			}
			for _, s := range append(strings.Fields(c.rejects), "") {
				if c.is(s) {
					t.Errorf("%q: true", s)
				}
			}
		})
	}
}
