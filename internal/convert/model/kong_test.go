package model

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// Kong at commit 22246ef2 (3.9): kong/plugins/cors (handler.lua, schema.lua),
// kong/router/transform.lua for the flavor traditional_compatible, which is the
// default, and kong/runloop/plugins_iterator.lua, lookup_cfg.

// kongCORS is the plugin's config.
type kongCORS struct {
	Origins, Methods, Headers, Expose             []string
	Credentials, PrivateNetwork, PreflightForward bool
	Disabled                                      bool // enabled: false
}

// kongRoute is a route of a service. A path that begins with "~" is a regex.
type kongRoute struct {
	Name                  string
	Hosts, Paths, Methods []string
	CORS                  *kongCORS
}

type kongService struct {
	Name   string
	Routes []kongRoute
	CORS   *kongCORS
}

type kong struct {
	Services []kongService
	CORS     *kongCORS // of everything
}

// matches is get_expression: "*" at one end of a host is any text, a path is the
// beginning of the request's. A "^=" of a path knows no segments.
func (r kongRoute) matches(q request, path string) bool {
	ok := len(r.Methods) == 0 || slices.Contains(r.Methods, q.Method)
	if len(r.Hosts) > 0 {
		host := q.host()
		ok = ok && slices.ContainsFunc(r.Hosts, func(h string) bool {
			suffix, isSuffix := strings.CutPrefix(h, "*")
			prefix, isPrefix := strings.CutSuffix(h, "*")
			return isSuffix && strings.HasSuffix(host, suffix) || !isSuffix && isPrefix && strings.HasPrefix(host, prefix) || h == host
		})
	}
	if expr, ok2 := strings.CutPrefix(path, "~"); ok2 {
		return ok && compiled("^(?:"+expr+")").MatchString(q.path())
	}
	return ok && strings.HasPrefix(q.path(), path)
}

// priority is get_priority: how many fields are given, then whether all hosts are
// plain, then regexes before prefixes, then the longer prefix.
func (r kongRoute) priority(path string) (p [4]int) {
	for _, given := range []bool{len(r.Methods) > 0, len(r.Hosts) > 0, path != ""} {
		if given {
			p[0]++
		}
	}
	if len(r.Hosts) > 0 && !slices.ContainsFunc(r.Hosts, func(h string) bool { return strings.Contains(h, "*") }) {
		p[1] = 1
	}
	if strings.HasPrefix(path, "~") {
		p[2] = 1
	} else {
		p[3] = len(path)
	}
	return p
}

// route is the route of the highest priority, each path on its own
// (split_routes_and_services_by_path).
func (k kong) route(q request) (service *kongService, route *kongRoute) {
	best := [4]int{-1}
	for i := range k.Services {
		for j := range k.Services[i].Routes {
			r := &k.Services[i].Routes[j]
			paths := r.Paths
			if len(paths) == 0 {
				paths = []string{""}
			}
			for _, path := range paths {
				p := r.priority(path)
				if slices.Compare(p[:], best[:]) > 0 && r.matches(q, path) {
					service, route, best = &k.Services[i], r, p
				}
			}
		}
	}
	return service, route
}

func (k kong) serve(q request, upstream backend) browser.Response {
	service, route := k.route(q)
	if route == nil {
		return notFound()
	}
	for _, c := range []*kongCORS{route.CORS, service.CORS, k.CORS} {
		if c != nil && !c.Disabled {
			return c.serve(q, upstream)
		}
	}
	return upstream(q)
}

var kongPlain = regexp.MustCompile(`^[A-Za-z0-9.:/-]+$`)

// kongOrigin is normalize_origin: the origin without a default port, and its host.
func kongOrigin(text string) (domain, host string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text, text
	}
	domain = u.Scheme + "://" + u.Hostname()
	if p := u.Port(); p != "" && !(u.Scheme == "http" && p == "80") && !(u.Scheme == "https" && p == "443") {
		domain += ":" + p
	}
	return domain, u.Hostname()
}

// allowOrigin is configure_origin: the header's value, and whether it is any
// origin. A single plain entry is sent whatever the request's origin; an entry
// with other characters is a regex of the whole origin, or of the host alone where
// it has no colon.
func (c kongCORS) allowOrigin(origin string) (value string, any bool) {
	switch {
	case len(c.Origins) == 0 || slices.Equal(c.Origins, []string{"*"}):
		return "*", true
	case len(c.Origins) == 1 && kongPlain.MatchString(c.Origins[0]):
		return c.Origins[0], false
	}
	domain, host := kongOrigin(origin)
	for _, entry := range c.Origins {
		if entry == "*" {
			return "*", true
		}
	}
	for _, entry := range c.Origins {
		if kongPlain.MatchString(entry) {
			if plain, _ := kongOrigin(entry); plain == domain {
				return domain, false
			}
			continue
		}
		subject := domain
		if !strings.Contains(entry, ":") {
			subject = host
		}
		// An alternative of the regex that is not the last one is not held to the
		// end: "$" is put behind the text.
		if !strings.HasSuffix(entry, "$") {
			entry += "$"
		}
		entry = strings.TrimPrefix(entry, "^")
		if at := compiled(entry).FindStringIndex(subject); at != nil && at[0] == 0 {
			return domain, false
		}
	}
	return "", false
}

// setHeaders is configure_origin and configure_credentials.
func (c kongCORS) setHeaders(response *browser.Response, origin string) {
	value, any := c.allowOrigin(origin)
	if len(c.Origins) > 1 || len(c.Origins) == 1 && c.Origins[0] != "*" || c.Credentials {
		set(response, "vary", "Origin")
	}
	if value == "" {
		remove(response, acao)
	} else {
		set(response, acao, value)
	}
	switch {
	case c.Credentials && any && origin != "":
		set(response, acao, origin)
		set(response, acac, "true")
	case c.Credentials && !any:
		set(response, acac, "true")
	}
}

// serve is access and header_filter.
func (c kongCORS) serve(q request, upstream backend) browser.Response {
	origin := q.header("origin")
	if q.preflight() {
		if c.PreflightForward {
			return upstream(q)
		}
		answer := browser.Response{Status: 200}
		c.setHeaders(&answer, origin)
		headers := strings.Join(c.Headers, ",")
		if headers == "" {
			headers = q.header("access-control-request-headers")
		}
		if headers != "" {
			set(&answer, acah, headers)
		}
		methods := "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"
		if len(c.Methods) > 0 {
			methods = strings.Join(c.Methods, ",")
		}
		set(&answer, acam, methods)
		if c.PrivateNetwork && q.header("access-control-request-private-network") == "true" {
			set(&answer, acapn, "true")
		}
		return answer
	}
	response := upstream(q)
	c.setHeaders(&response, origin) // without an Origin as well: allow_origin_absent is true by default
	if len(c.Expose) > 0 {
		set(&response, aceh, strings.Join(c.Expose, ","))
	}
	return response
}
