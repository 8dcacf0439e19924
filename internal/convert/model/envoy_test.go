package model

import (
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// Envoy, for what Istio and Envoy Gateway make of their resources; its own are held to Envoy
// itself, in e2e/differential. As in source/extensions/filters/http/cors/cors_filter.cc at
// commit 001cbf14 and source/common/router/config_impl.cc at commit 002c8aae.

// stringMatcher is envoy.type.matcher.v3.StringMatcher
// (source/common/common/matchers.h, StringMatcherImpl): a regex matches the whole
// text, and ignore_case has no effect on it.
type stringMatcher struct {
	Kind, Value string // exact, prefix, suffix, contains, safe_regex
	IgnoreCase  bool
}

func (m stringMatcher) match(text string) bool {
	value := m.Value
	if m.Kind == "safe_regex" {
		return compiled(`\A(?:` + value + `)\z`).MatchString(text)
	}
	if m.IgnoreCase {
		value, text = strings.ToLower(value), strings.ToLower(text)
	}
	switch m.Kind {
	case "exact":
		return text == value
	case "prefix":
		return strings.HasPrefix(text, value)
	case "suffix":
		return strings.HasSuffix(text, value)
	}
	return strings.Contains(text, value)
}

// envoyCORS is envoy.extensions.filters.http.cors.v3.CorsPolicy.
type envoyCORS struct {
	Origins                          []stringMatcher
	Methods, Headers, Expose, MaxAge string
	Credentials, ForwardNotMatch     *bool
}

// envoyHeader is a match on a header's whole value, or on its presence.
type envoyHeader struct {
	Name, Exact string
	Present     bool
}

// envoyMatch is envoy.config.route.v3.RouteMatch.
type envoyMatch struct {
	Kind, Value string // prefix, path, path_separated_prefix, safe_regex
	AnyCase     bool   // case_sensitive: false
	Headers     []envoyHeader
}

// matches is config_impl.cc, the matches of the RouteEntryImpls: the path goes up
// to the query, and every kind but path_separated_prefix looks at the text alone.
func (m envoyMatch) matches(r request) bool {
	for _, h := range m.Headers {
		value := r.header(h.Name)
		if h.Name == ":method" {
			value = r.Method
		}
		if h.Present && value == "" || !h.Present && value != h.Exact {
			return false
		}
	}
	path, value := r.path(), m.Value
	if m.AnyCase {
		path, value = strings.ToLower(path), strings.ToLower(value)
	}
	switch m.Kind {
	case "path":
		return path == value
	case "path_separated_prefix":
		rest, ok := strings.CutPrefix(path, value)
		return ok && (rest == "" || rest[0] == '/')
	case "safe_regex":
		return stringMatcher{Kind: "safe_regex", Value: value}.match(path)
	}
	return strings.HasPrefix(path, value)
}

// envoyRoute is a route; Action is "" for one to a cluster, redirect or direct_response.
type envoyRoute struct {
	Name   string
	Match  envoyMatch
	Action string
	CORS   *envoyCORS
}

// envoyHost is a virtual host.
type envoyHost struct {
	Name    string
	Domains []string
	Routes  []envoyRoute
}

// envoy is a listener's route configuration.
type envoy struct {
	Hosts      []envoyHost
	IgnorePort bool
}

// host is RouteMatcher::findVirtualHost: the name itself, then the longest suffix
// behind a "*", then the longest prefix before one, then "*". A "*" stands for at
// least one character. The port belongs to the name, unless
// ignore_port_in_host_matching says otherwise.
func (e envoy) host(r request) *envoyHost {
	authority := strings.ToLower(r.Host)
	if e.IgnorePort {
		authority = r.host()
	}
	var suffix, prefix, any *envoyHost
	longestSuffix, longestPrefix := 0, 0
	for i := range e.Hosts {
		h := &e.Hosts[i]
		for _, d := range h.Domains {
			d = strings.ToLower(d)
			switch {
			case d == "*":
				any = h
			case d == authority:
				return h
			case d[0] == '*':
				if len(authority) >= len(d) && strings.HasSuffix(authority, d[1:]) && len(d) > longestSuffix {
					suffix, longestSuffix = h, len(d)
				}
			case d[len(d)-1] == '*':
				if len(authority) >= len(d) && strings.HasPrefix(authority, d[:len(d)-1]) && len(d) > longestPrefix {
					prefix, longestPrefix = h, len(d)
				}
			}
		}
	}
	switch {
	case suffix != nil:
		return suffix
	case prefix != nil:
		return prefix
	}
	return any
}

// route is VirtualHostImpl::getRouteFromRoutes; nil where none matches.
func (e envoy) route(r request) *envoyRoute {
	host := e.host(r)
	if host == nil {
		return nil
	}
	for i := range host.Routes {
		if host.Routes[i].Match.matches(r) {
			return &host.Routes[i]
		}
	}
	return nil
}

// bare is the proxy without the filter.
func (e envoy) bare(r request, upstream backend) browser.Response {
	route := e.route(r)
	switch {
	case route == nil:
		return notFound()
	case route.Action == "redirect":
		return browser.Response{Status: 301, Headers: []browser.Header{{Name: "location", Value: "https://elsewhere.example/"}}}
	case route.Action == "direct_response":
		return browser.Response{Status: 200, Headers: []browser.Header{{Name: "content-type", Value: "text/plain"}}}
	}
	return upstream(r)
}

// serve is the proxy with the filter, which does nothing where there is no route
// entry: for requests without a route, for redirects and direct responses.
func (e envoy) serve(r request, upstream backend) browser.Response {
	route := e.route(r)
	if route == nil || route.Action != "" || route.CORS == nil {
		return e.bare(r, upstream)
	}
	return route.CORS.serve(r, upstream)
}

// allowed is CorsFilter::isOriginAllowed. The text "*" is asked for first.
func (c *envoyCORS) allowed(origin string) bool {
	return slices.ContainsFunc(c.Origins, func(m stringMatcher) bool { return m.match("*") || m.match(origin) })
}

// serve is CorsFilter::decodeHeaders and CorsFilter::encodeHeaders.
func (c *envoyCORS) serve(r request, upstream backend) browser.Response {
	origin := r.header("origin")
	if origin == "" {
		return upstream(r)
	}
	allowed, credentials := c.allowed(origin), c.Credentials != nil && *c.Credentials
	if r.preflight() && (allowed || c.ForwardNotMatch != nil && !*c.ForwardNotMatch) {
		answer := browser.Response{Status: 200}
		if allowed {
			set(&answer, acao, origin)
		}
		if credentials {
			set(&answer, acac, "true")
		}
		echo := func(name, value, asked string) {
			if value == "*" {
				value = r.header(asked)
			}
			if value != "" {
				set(&answer, name, value)
			}
		}
		echo(acam, c.Methods, "access-control-request-method")
		echo(acah, c.Headers, "access-control-request-headers")
		echo(acma, c.MaxAge, "")
		return answer
	}
	response := upstream(r)
	if !allowed {
		return response
	}
	set(&response, acao, origin)
	if credentials {
		set(&response, acac, "true")
	}
	if c.Expose != "" {
		set(&response, aceh, c.Expose)
	}
	return response
}
