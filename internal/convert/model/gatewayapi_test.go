package model

import (
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// The Gateway API's HTTPRoute, as in apis/v1/httproute_types.go at commit 4564255a
// and GEP-1767, which leave some answers to the gateway: gatewayChoices.

type gatewayMatch struct {
	// "" (no path), Exact, PathPrefix, RegularExpression; or GRPC, of which the value is the
	// path of a service's method, or of the service.
	Kind, Value string
	Method      string
	Headers     []envoyHeader
}

// matches is HTTPRouteMatch; PathPrefix goes by segments and ignores a trailing
// slash.
func (m gatewayMatch) matches(r request) bool {
	if m.Method != "" && m.Method != r.Method {
		return false
	}
	for _, h := range m.Headers {
		if r.header(h.Name) != h.Exact {
			return false
		}
	}
	switch m.Kind {
	case "Exact":
		return r.path() == m.Value
	case "RegularExpression":
		return stringMatcher{Kind: "safe_regex", Value: m.Value}.match(r.path())
	}
	rest, ok := strings.CutPrefix(r.path(), strings.TrimSuffix(m.Value, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// gatewayCORS is HTTPCORSFilter, and the cors of Envoy Gateway's SecurityPolicy.
type gatewayCORS struct {
	Origins, Methods, Headers, Expose []string
	Credentials                       *bool
	MaxAge                            int
}

// gatewayRule is HTTPRouteRule.
type gatewayRule struct {
	Name    string
	Matches []gatewayMatch
	CORS    *gatewayCORS
}

// httpRoute is an HTTPRoute or a GRPCRoute.
type httpRoute struct {
	GRPC            bool // a GRPCRoute, of which no rule has a filter
	Namespace, Name string
	Age             int // creationTimestamp, in days
	Hosts           []string
	Rules           []gatewayRule
}

// gatewayAPI is the HTTPRoutes of one listener that takes any host.
type gatewayAPI struct{ Routes []httpRoute }

// gatewayChoices are what the API leaves open.
type gatewayChoices struct {
	// Echo: "*" without credentials is answered with the request's own words, and
	// else with "*".
	Echo bool
	// Dot: a host that ends in a dot is another one than that without.
	Dot bool
	// Preflight: a rule with a filter takes preflights for requests of its methods, too.
	Preflight bool
	// Regex: a regex comes before a prefix, whatever the lengths.
	Regex bool
}

// gatewayPlace is where one match of a rule stands among all that apply.
type gatewayPlace struct {
	hostname string
	match    gatewayMatch
	rule     *gatewayRule
	route    *httpRoute
	order    int
	regex    bool // comes before a prefix
}

// hostMatches: "*." stands for one or more labels.
func hostMatches(pattern, host string) bool {
	if pattern == "*" || pattern == "" {
		return true
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return pattern == host
}

// before is the precedence of Hostnames and of HTTPRouteRule.matches.
func (a gatewayPlace) before(b gatewayPlace) int {
	if c := moreSpecific(a.hostname, b.hostname); c != 0 {
		return c
	}
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	length := func(m gatewayMatch) int {
		if m.Kind == "" {
			return 1
		}
		return len(m.Value)
	}
	for _, pair := range [][2]int{
		{flag(a.match.Kind == "Exact"), flag(b.match.Kind == "Exact")},
		{flag(a.regex), flag(b.regex)},
		{length(a.match), length(b.match)},
		{flag(a.match.Method != ""), flag(b.match.Method != "")},
		{len(a.match.Headers), len(b.match.Headers)},
		{a.route.Age, b.route.Age},
	} {
		if pair[0] != pair[1] {
			return pair[1] - pair[0]
		}
	}
	if c := strings.Compare(a.route.Namespace+"/"+a.route.Name, b.route.Namespace+"/"+b.route.Name); c != 0 {
		return c
	}
	return a.order - b.order
}

// moreSpecific compares hostnames: a name comes before a wildcard, a longer one
// before a shorter one.
func moreSpecific(a, b string) int {
	exact := func(h string) int {
		if h == "" || h[0] == '*' {
			return 0
		}
		return len(h)
	}
	if c := exact(b) - exact(a); c != 0 {
		return c
	}
	return len(b) - len(a)
}

// rule is the rule that a request goes to, or nil. Where no rule of the most
// specific hostname matches, no other is tried: the API does not say so, and the
// gateways that keep a table for each hostname do.
func (g gatewayAPI) rule(r request, choices gatewayChoices) *gatewayRule {
	var places []gatewayPlace
	requested := r.host()
	if !choices.Dot {
		requested = strings.TrimSuffix(requested, ".")
	}
	best := ""
	found := false
	for i := range g.Routes {
		route := &g.Routes[i]
		hosts := route.Hosts
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, h := range hosts {
			if !hostMatches(h, requested) {
				continue
			}
			if !found || moreSpecific(h, best) < 0 {
				best, found = h, true
			}
			order := 0
			for j := range route.Rules {
				matches := route.Rules[j].Matches
				if len(matches) == 0 {
					matches = []gatewayMatch{{Kind: "PathPrefix", Value: "/"}}
				}
				for _, m := range matches {
					order++
					if choices.Preflight && route.Rules[j].CORS != nil && m.Method != "" && r.preflight() {
						m.Method = "OPTIONS"
					}
					if m.matches(r) {
						places = append(places, gatewayPlace{h, m, &route.Rules[j], route, order, choices.Regex && m.Kind == "RegularExpression"})
					}
				}
			}
		}
	}
	places = slices.DeleteFunc(places, func(p gatewayPlace) bool { return p.hostname != best })
	if len(places) == 0 {
		return nil
	}
	return slices.MinFunc(places, gatewayPlace.before).rule
}

// originMatches is AllowOrigins: "*" stands for any text to its left, and alone
// for every origin.
func originMatches(pattern, origin string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == origin
	}
	if pattern == "*" {
		return true
	}
	rest, ok := strings.CutPrefix(origin, before)
	return ok && len(rest) > len(after) && strings.HasSuffix(rest, after)
}

func (g gatewayAPI) bare(choices gatewayChoices) proxy {
	return func(r request, upstream backend) browser.Response {
		if g.rule(r, choices) == nil {
			return notFound()
		}
		return upstream(r)
	}
}

func (g gatewayAPI) serve(choices gatewayChoices) proxy {
	return func(r request, upstream backend) browser.Response {
		rule := g.rule(r, choices)
		switch {
		case rule == nil:
			return notFound()
		case rule.CORS == nil || r.header("origin") == "":
			return upstream(r)
		}
		return rule.CORS.serve(r, upstream, choices.Echo)
	}
}

func (c *gatewayCORS) serve(r request, upstream backend, echo bool) browser.Response {
	origin := r.header("origin")
	credentials := c.Credentials != nil && *c.Credentials
	allowed := slices.ContainsFunc(c.Origins, func(p string) bool { return originMatches(p, origin) })
	setHeaders := func(response *browser.Response) {
		if slices.Contains(c.Origins, "*") && !credentials && !echo {
			origin = "*"
		}
		set(response, acao, origin)
		if credentials {
			set(response, acac, "true")
		}
	}
	if r.preflight() {
		answer := browser.Response{Status: 204}
		if !allowed {
			return answer
		}
		setHeaders(&answer)
		lists := func(name string, items []string, asked string) {
			value := strings.Join(items, ", ")
			if value == "*" && (credentials || echo) {
				value = r.header(asked)
			}
			if value != "" {
				set(&answer, name, value)
			}
		}
		lists(acam, c.Methods, "access-control-request-method")
		lists(acah, c.Headers, "access-control-request-headers")
		return answer
	}
	response := upstream(r)
	if allowed {
		setHeaders(&response)
		if len(c.Expose) > 0 && !(credentials && slices.Contains(c.Expose, "*")) {
			set(&response, aceh, strings.Join(c.Expose, ", "))
		}
	}
	return response
}
