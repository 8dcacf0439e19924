package header

import "strings"

// NormalizeMethod upper-cases the methods that browsers upper-case (Fetch,
// section 2.2.1, "normalize a method") and leaves every other one as it is:
// methods are case-sensitive.
func NormalizeMethod(method string) string {
	for _, known := range [...]struct{ lower, upper string }{
		{"delete", "DELETE"}, {"get", "GET"}, {"head", "HEAD"}, {"options", "OPTIONS"}, {"post", "POST"}, {"put", "PUT"},
	} {
		if equalLower(method, known.lower) {
			return known.upper
		}
	}
	return method
}

// ForbiddenMethod reports whether browsers refuse to send the method whatever a
// server allows (Fetch, section 2.2.1, "forbidden method").
func ForbiddenMethod(method string) bool {
	return equalLower(method, "connect") || equalLower(method, "trace") || equalLower(method, "track")
}

// SafelistedMethod reports whether a cross-origin request with the method needs
// no listing in Access-Control-Allow-Methods (Fetch, section 2.2.1,
// "CORS-safelisted method").
func SafelistedMethod(method string) bool {
	return method == "GET" || method == "HEAD" || method == "POST"
}

// forbiddenRequestHeaders are the names that a page's script cannot set, by
// Fetch, section 2.2.2, "forbidden request-header"; the prefixes proxy- and
// sec- come on top.
var forbiddenRequestHeaders = setOf(
	"accept-charset", "accept-encoding", "access-control-request-headers",
	"access-control-request-method", "access-control-request-private-network",
	"connection", "content-length", "cookie", "cookie2", "date", "dnt", "expect",
	"host", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer",
	"transfer-encoding", "upgrade", "via",
)

// ForbiddenRequestHeader reports whether browsers keep scripts from setting the
// field, so that allowing it has no effect (Fetch, section 2.2.2, "forbidden
// request-header"). name must be in lower case.
func ForbiddenRequestHeader(name string) bool {
	return forbiddenRequestHeaders.Has(name) || strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "sec-")
}

// ForbiddenResponseHeader reports whether no script may read the field whatever
// is exposed (Fetch, section 2.2.2, "forbidden response-header name").
func ForbiddenResponseHeader(name string) bool {
	return name == "set-cookie" || name == "set-cookie2"
}

// SafelistedResponseHeader reports whether scripts may read the field without
// its being exposed (Fetch, section 2.2.2, "CORS-safelisted response-header
// name").
func SafelistedResponseHeader(name string) bool {
	switch name {
	case "cache-control", "content-language", "content-length", "content-type",
		"expires", "last-modified", "pragma":
		return true
	}
	return false
}

func setOf(names ...string) (s Set) {
	for _, name := range names {
		s.Add(name)
	}
	return s
}
