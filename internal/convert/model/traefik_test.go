package model

import (
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// Traefik at commit fd5a576d (after release 3.7.9): pkg/middlewares/headers/header.go,
// pkg/muxer/http (mux.go, matcher.go) and pkg/muxer/muxer.go.

// traefikHeaders is the part of a headers middleware that is about CORS.
type traefikHeaders struct {
	Origins, Regexes, Methods, Headers, Expose []string
	Credentials, Vary                          bool
	MaxAge                                     *int
}

// traefikRoute is a router: one of the hosts and one of the paths, where given.
type traefikRoute struct {
	Hosts            []string
	Prefixes, Paths  []string
	Method, HostExpr string // Method(), HostRegexp()
	Priority         int    // 0: the length of the rule
	Middleware       string
}

// traefik is an IngressRoute and its Middlewares.
type traefik struct {
	Routes      []traefikRoute
	Middlewares map[string]traefikHeaders
}

// rule is the router's rule as it is written.
func (r traefikRoute) rule() string {
	alternatives := func(matchers ...string) string {
		if len(matchers) > 1 {
			return "(" + strings.Join(matchers, " || ") + ")"
		}
		return strings.Join(matchers, "")
	}
	var hosts, paths, parts []string
	for _, h := range r.Hosts {
		hosts = append(hosts, "Host(`"+h+"`)")
	}
	for _, p := range r.Paths {
		paths = append(paths, "Path(`"+p+"`)")
	}
	for _, p := range r.Prefixes {
		paths = append(paths, "PathPrefix(`"+p+"`)")
	}
	for _, group := range [][]string{hosts, paths} {
		if len(group) > 0 {
			parts = append(parts, alternatives(group...))
		}
	}
	if r.Method != "" {
		parts = append(parts, "Method(`"+r.Method+"`)")
	}
	if r.HostExpr != "" {
		parts = append(parts, "HostRegexp(`"+r.HostExpr+"`)")
	}
	return strings.Join(parts, " && ")
}

// matches is the matchers host (a name in any case, or one label for a leading
// "*"; the port and a dot at the end do not count), path and pathPrefix (text, and
// no segments).
func (r traefikRoute) matches(q request) bool {
	host := q.host()
	ok := len(r.Hosts) == 0 || slices.ContainsFunc(r.Hosts, func(expr string) bool {
		name := strings.TrimSuffix(host, ".")
		if expr[0] == '*' {
			_, rest, _ := strings.Cut(name, ".")
			return strings.EqualFold(expr, "*."+rest)
		}
		return strings.EqualFold(expr, name)
	})
	if len(r.Paths)+len(r.Prefixes) > 0 {
		ok = ok && (slices.Contains(r.Paths, q.path()) || slices.ContainsFunc(
			r.Prefixes, func(p string) bool { return strings.HasPrefix(q.path(), p) },
		))
	}
	if r.HostExpr != "" {
		ok = ok && compiled(r.HostExpr).MatchString(host)
	}
	return ok && (r.Method == "" || r.Method == q.Method)
}

// priority is GetRulePriority where none is given.
func (r traefikRoute) priority() int {
	if r.Priority != 0 {
		return r.Priority
	}
	return len(r.rule())
}

// route is the router of the highest priority (Muxer.AddRoute).
func (t traefik) route(q request) *traefikRoute {
	routes := slices.Clone(t.Routes)
	slices.SortStableFunc(routes, func(a, b traefikRoute) int { return b.priority() - a.priority() })
	for i := range routes {
		if routes[i].matches(q) {
			return &routes[i]
		}
	}
	return nil
}

func (t traefik) bare(q request, upstream backend) browser.Response {
	if t.route(q) == nil {
		return notFound()
	}
	return upstream(q)
}

func (t traefik) serve(q request, upstream backend) browser.Response {
	r := t.route(q)
	if r == nil || r.Middleware == "" {
		return t.bare(q, upstream)
	}
	return t.Middlewares[r.Middleware].serve(q, upstream)
}

// matchOrigin compares text, then searches for each regex, which nothing holds to
// the whole origin.
func (h traefikHeaders) matchOrigin(origin string) string {
	for _, o := range h.Origins {
		if o == origin {
			return o
		}
		if o == "*" {
			if h.Credentials {
				return origin
			}
			return "*"
		}
	}
	for _, expr := range h.Regexes {
		if compiled(expr).MatchString(origin) {
			return origin
		}
	}
	return ""
}

// serve is processCorsHeaders and PostRequestModifyResponseHeaders. Every
// preflight is answered; what upstream sends stays for an origin that is not
// allowed.
func (h traefikHeaders) serve(q request, upstream backend) browser.Response {
	defined := h.Credentials || h.Vary || h.MaxAge != nil || len(h.Origins)+len(h.Regexes)+len(h.Methods)+len(h.Headers)+len(h.Expose) > 0
	if !defined {
		return upstream(q)
	}
	allowed := h.matchOrigin(q.header("origin"))
	common := func(response *browser.Response) {
		if allowed != "" {
			set(response, acao, allowed)
		}
		if h.Credentials {
			set(response, acac, "true")
		}
		if len(h.Expose) > 0 && !(slices.Contains(h.Expose, "*") && h.Credentials) {
			set(response, aceh, strings.Join(h.Expose, ","))
		}
	}
	if !q.preflight() {
		response := upstream(q)
		common(&response)
		if h.Vary {
			set(&response, "vary", "Origin")
		}
		return response
	}
	answer := browser.Response{Status: 200}
	lists := func(name string, items []string, asked string) {
		value := strings.Join(items, ",")
		if slices.Contains(items, "*") && h.Credentials {
			value = asked
		}
		if value != "" {
			set(&answer, name, value)
		}
	}
	lists(acah, h.Headers, q.header("access-control-request-headers"))
	lists(acam, h.Methods, q.header("access-control-request-method"))
	common(&answer)
	return answer
}
