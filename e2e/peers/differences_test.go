package peers

import (
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// difference is something that the two do differently. mend removes it from one of
// them: an entry explains a disagreement if both agree once it is mended.
type difference struct {
	name    string
	reason  string
	section string
	applies func(p policy, r browser.Request) bool
	mend    func(p *policy, r browser.Request)
}

// origin is a difference over values of Origin that rs/cors treats as origins.
func origin(name, reason, section string, is func(origin string) bool) difference {
	return difference{name, reason, section,
		func(p policy, r browser.Request) bool {
			anyone := slices.Contains(p.origins, "*") && !p.ours.Credentials // both send "*" then, whoever asks
			return !anyone && is(strings.ToLower(r.Origin))
		},
		func(p *policy, r browser.Request) {
			p.theirs.AllowOriginFunc = func(string) bool { return false }
		}}
}

// hostAndPort are the parts of a value that begins as an origin of https does.
func hostAndPort(origin string) (host, port string, hasPort bool) {
	rest := strings.TrimPrefix(strings.TrimPrefix(origin, "https://"), "http://")
	if strings.HasPrefix(rest, "[") {
		return rest, "", false
	}
	return strings.Cut(rest, ":")
}

// differences are all there are.
var differences = append(malformed, []difference{
	{
		"GET, HEAD and POST need no listing",
		"rs/cors sends no CORS headers for a safelisted method that its list lacks; a browser never asks whether " +
			"it is listed, so the request has its effect anyway",
		"Fetch, 4.8, CORS-preflight fetch, step 7.5",
		func(p policy, r browser.Request) bool {
			m := r.NormalizedMethod()
			return len(p.methods) > 0 && !slices.Contains(p.methods, m) && (m == "GET" || m == "HEAD" || m == "POST")
		},
		func(p *policy, _ browser.Request) {
			p.theirs.AllowedMethods = append(p.theirs.AllowedMethods, "GET", "HEAD", "POST")
		},
	},
	{
		"OPTIONS needs listing",
		"rs/cors allows the method OPTIONS whatever its list says; it is not safelisted, so it is allowed only if the policy lists it",
		"Fetch, 2.2.1, CORS-safelisted method",
		func(p policy, r browser.Request) bool {
			return r.NormalizedMethod() == "OPTIONS" && !slices.Contains(p.methods, "OPTIONS")
		},
		func(p *policy, _ browser.Request) { p.ours.Methods = append(slices.Clone(p.ours.Methods), "OPTIONS") },
	},
	{
		"* stands for every method",
		"rs/cors treats it as a method of that name",
		"Fetch, 3.3.3, HTTP responses, on `*`",
		func(p policy, _ browser.Request) bool { return slices.Contains(p.methods, "*") },
		func(p *policy, r browser.Request) {
			p.theirs.AllowedMethods = append(p.theirs.AllowedMethods, r.NormalizedMethod(), "GET", "HEAD", "POST")
		},
	},
	{
		"methods of the policy are normalized",
		"a browser sends PUT if a script says put, and rs/cors compares that with its unchanged list",
		"Fetch, 2.2.1, normalize a method",
		func(p policy, _ browser.Request) bool { return slices.Contains(p.methods, "put") },
		func(p *policy, _ browser.Request) { p.theirs.AllowedMethods = append(p.theirs.AllowedMethods, "PUT") },
	},
	{
		"no headers are allowed unless they are listed",
		"rs/cors without a list allows accept, content-type and x-requested-with",
		"Fetch, 4.8, CORS-preflight fetch, step 7.7",
		func(p policy, _ browser.Request) bool { return len(p.headers) == 0 },
		func(p *policy, _ browser.Request) { p.theirs.AllowedHeaders = []string{"x-none-of-these"} },
	},
	{
		"* does not cover authorization",
		"rs/cors sends the request's own list back, so it allows credentials that nobody " +
			"listed; the standard excepts authorization from `*`",
		"Fetch, 2.2.2, CORS non-wildcard request-header name",
		func(p policy, r browser.Request) bool {
			return !p.ours.Credentials && slices.Contains(p.headers, "*") && !slices.Contains(p.headers, "authorization") &&
				slices.Contains(r.UnsafeHeaderNames(), "authorization")
		},
		func(p *policy, _ browser.Request) {
			p.ours.Headers = append(slices.Clone(p.ours.Headers), "authorization")
		},
	},
	{
		"a list of more than 4,096 bytes is not sent back",
		"with credentials `*` means the request's own list, which the filter bounds; rs/cors sends back a list of any length",
		"Fetch, 3.3.3, HTTP responses, on `*` with credentials",
		func(p policy, r browser.Request) bool {
			return p.ours.Credentials && slices.Contains(p.headers, "*") && len(strings.Join(r.UnsafeHeaderNames(), ",")) > 4096
		},
		func(p *policy, _ browser.Request) { p.theirs.AllowedHeaders = []string{"x-none-of-these"} },
	},
	{
		"any origin with credentials",
		"rs/cors sends `*` beside Access-Control-Allow-Credentials, which no browser accepts; the filter refuses the " +
			"policy unless it is waived, and then sends the origin",
		"Fetch, 4.10, CORS check, steps 3 and 4",
		func(p policy, _ browser.Request) bool { return p.ours.Credentials && slices.Contains(p.origins, "*") },
		func(p *policy, r browser.Request) {
			p.theirs.AllowedOrigins = nil
			p.theirs.AllowOriginFunc = func(string) bool { return wellFormed(r.Origin) }
		},
	},
	{
		"an answer that must not be cached says so",
		"rs/cors omits Access-Control-Max-Age for 0, and a browser then caches the answer for five seconds",
		"Fetch, 4.8, CORS-preflight fetch, step 7.8",
		func(p policy, _ browser.Request) bool { return p.ours.MaxAge != nil && *p.ours.MaxAge == 0 },
		func(p *policy, _ browser.Request) { p.theirs.MaxAge = -1 },
	},
	{
		"any port includes the default one",
		"a browser sends no default port; rs/cors requires the colon before the `*`",
		"URL, 4.2, special scheme; HTML, 7.1.1, serialization of an origin",
		func(p policy, r browser.Request) bool {
			return slices.Contains(p.origins, "https://example.com:*") && r.Origin == "https://example.com" ||
				slices.Contains(p.origins, "http://localhost:*") && r.Origin == "http://localhost"
		},
		func(p *policy, r browser.Request) {
			p.theirs.AllowedOrigins = append(p.theirs.AllowedOrigins, r.Origin)
		},
	},
}...)

// malformed are differences over values that the filter does not accept as an origin.
var malformed = []difference{
	origin("an explicit default port", "no browser serializes an origin like this; `:*` of rs/cors lets it through",
		"HTML, 7.1.1, serialization of an origin; URL, 4.4, port state",
		func(o string) bool {
			return strings.HasPrefix(o, "https:") && strings.HasSuffix(o, ":443") || o == "http://localhost:80"
		}),
	origin("an invalid port", "`:*` of rs/cors is any text, including the rest of an unlisted origin's host",
		"URL, 4.4, port state",
		func(o string) bool {
			_, port, has := hostAndPort(o)
			return has && (strings.Trim(port, "0123456789") != "" || port == "" || len(port) > 4 && port > "65535") &&
				!strings.ContainsAny(port, "@/,")
		}),
	origin("user info", "`*` of rs/cors is any text, and user info before a listed host is not part of an origin",
		"URL, 4.4, authority state; HTML, 7.1.1", func(o string) bool { return strings.Contains(o, "@") }),
	origin("two values", "`*` of rs/cors spans the comma between an unlisted and a listed origin",
		"Fetch, 3.1, Origin header", func(o string) bool { return strings.Contains(o, ",") }),
	origin(
		"a path, a query or a fragment", "`*` of rs/cors spans the end of the host, so an unlisted host can come before it",
		"URL, 4.4, host state", func(o string) bool {
			host, _, _ := hostAndPort(o)
			return strings.ContainsAny(host, "/?#")
		},
	),
	origin(
		"code points that no host has", "`*` of rs/cors spans spaces, control characters, bytes outside ASCII, percent signs and brackets",
		"URL, 3.1, forbidden domain code point",
		func(o string) bool {
			host, _, _ := hostAndPort(o)
			return strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '%' }) || strings.Contains(host, "].")
		},
	),
	origin(
		"~ in a host",
		"the standard allows it; no DNS name has it, and the filter accepts letters, digits, hyphens and underscores",
		"URL, 3.1; RFC 1035, 2.3.1", func(o string) bool { return strings.Contains(o, "~") },
	),
	origin("an empty label", "`*` of rs/cors may be empty or end in a dot; the filter accepts one or more labels, like the DNS",
		"RFC 1035, 2.3.1", func(o string) bool {
			host, _, _ := hostAndPort(o)
			return strings.HasPrefix(host, ".") || strings.Contains(host, "..")
		}),
	origin("an origin of more than 512 bytes", "a host has at most 253 bytes, and the filter bounds what it reads",
		"RFC 1035, 2.3.4", func(o string) bool { return len(o) > 512 }),
}

// wellFormed reports whether no entry of malformed applies.
func wellFormed(o string) bool {
	if o == "null" {
		return true
	}
	scheme, host, found := strings.Cut(o, "://")
	return found && scheme != "" && (host != "" || scheme == "file") &&
		!slices.ContainsFunc(malformed, func(d difference) bool { return d.applies(policy{}, browser.Request{Origin: o}) })
}
