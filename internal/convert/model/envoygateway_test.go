package model

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Envoy Gateway at commit d32f2829 (after release 1.9.0). What it makes of routes
// and policies is Envoy's configuration, and Envoy decides.

// securityPolicy is a SecurityPolicy with cors, for a route, one of its rules or
// the Gateway.
type securityPolicy struct {
	Namespace, Name string
	Age             int
	Kind, Target    string // HTTPRoute, GRPCRoute, Gateway
	Section         string // of a route: a rule's name
	CORS            gatewayCORS
}

type envoyGateway struct {
	Routes   []httpRoute
	Policies []securityPolicy
}

// policy is ProcessSecurityPolicies: the policy for the rule, else for the route,
// else for the Gateway; of several for the same target the oldest, then the first
// by name (internal/gatewayapi/resource/resource.go, Sort).
func (e envoyGateway) policy(route httpRoute, rule gatewayRule) *gatewayCORS {
	policies := slices.Clone(e.Policies)
	slices.SortStableFunc(policies, func(a, b securityPolicy) int {
		return cmp.Or(b.Age-a.Age, strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	for _, wanted := range []func(p securityPolicy) bool{
		func(p securityPolicy) bool {
			return p.Kind == route.kind() && p.Target == route.Name && p.Section != "" && p.Section == rule.Name
		},
		func(p securityPolicy) bool {
			return p.Kind == route.kind() && p.Target == route.Name && p.Section == ""
		},
		func(p securityPolicy) bool { return p.Kind == "Gateway" },
	} {
		if i := slices.IndexFunc(policies, wanted); i >= 0 {
			return &policies[i].CORS
		}
	}
	return nil
}

// envoy is processCORSFilter, buildCORS and the patchRoute of
// internal/xds/translator/cors.go. "*" in an origin is ".*", and a preflight of an
// origin that is not allowed is answered.
func (c *gatewayCORS) envoy(seconds string) *envoyCORS {
	if c == nil {
		return nil
	}
	words := func(items []string) string {
		if slices.Contains(items, "*") {
			return "*"
		}
		return strings.Join(items, ", ")
	}
	out := &envoyCORS{Methods: words(c.Methods), Headers: words(c.Headers), Expose: strings.Join(c.Expose, ", "), MaxAge: seconds,
		Credentials: no(), ForwardNotMatch: no()}
	if c.Credentials != nil {
		out.Credentials = c.Credentials
	}
	for _, o := range c.Origins {
		if strings.Contains(o, "*") {
			out.Origins = append(out.Origins, stringMatcher{Kind: "safe_regex", Value: strings.ReplaceAll(regexp.QuoteMeta(o), `\*`, ".*")})
		} else {
			out.Origins = append(out.Origins, stringMatcher{Kind: "exact", Value: o})
		}
	}
	return out
}

// envoy is the translation of routes (internal/gatewayapi/route.go) in the order
// of internal/gatewayapi/sort.go. A filter of the route goes before any policy. A
// rule with a filter and a method gets a route for its preflights beside, one with
// a policy does not.
func (e envoyGateway) envoy() envoy {
	out := envoy{IgnorePort: true}
	routes := slices.Clone(e.Routes)
	slices.SortStableFunc(routes, func(a, b httpRoute) int {
		return cmp.Or(b.Age-a.Age, strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	at := map[string]int{}
	for _, route := range routes {
		hosts := route.Hosts
		if len(hosts) == 0 {
			hosts = []string{"*"}
		}
		for _, h := range hosts {
			n, ok := at[h]
			if !ok {
				n = len(out.Hosts)
				at[h] = n
				out.Hosts = append(out.Hosts, envoyHost{Name: h, Domains: []string{h}})
			}
			for _, rule := range route.Rules {
				out.Hosts[n].Routes = append(out.Hosts[n].Routes, e.routes(route, rule)...)
			}
		}
	}
	for n := range out.Hosts {
		slices.SortStableFunc(out.Hosts[n].Routes, func(a, b envoyRoute) int {
			kind := map[string]int{"path": 3, "safe_regex": 2}
			return cmp.Or(
				kind[b.Match.Kind]-kind[a.Match.Kind], len(b.Name)-len(a.Name), len(b.Match.Headers)-len(a.Match.Headers),
				exactHeaders(b.Match)-exactHeaders(a.Match),
			)
		})
	}
	return out
}

func exactHeaders(m envoyMatch) (n int) {
	for _, h := range m.Headers {
		if !h.Present {
			n++
		}
	}
	return n
}

// routes are those of one rule. Their Name is the path as written, which the order
// goes by.
func (e envoyGateway) routes(route httpRoute, rule gatewayRule) (out []envoyRoute) {
	cors := e.policy(route, rule).envoy("")
	if rule.CORS != nil {
		cors = rule.CORS.envoy(strconv.Itoa(max(rule.CORS.MaxAge, 5)))
	}
	matches := rule.Matches
	if len(matches) == 0 {
		matches = []gatewayMatch{{Kind: "PathPrefix", Value: "/"}}
	}
	for _, m := range matches {
		if m.Kind == "" {
			m.Kind, m.Value = "PathPrefix", "/"
		}
		path := envoyMatch{Kind: "path_separated_prefix", Value: strings.TrimSuffix(m.Value, "/")}
		switch {
		case m.Kind == "Exact":
			path = envoyMatch{Kind: "path", Value: m.Value}
		case m.Kind == "GRPC" && strings.Count(m.Value, "/") == 2: // processGRPCRouteMethodExact
			path = envoyMatch{Kind: "path", Value: m.Value}
		case m.Kind == "RegularExpression":
			path = envoyMatch{Kind: "safe_regex", Value: m.Value}
		case m.Value == "/":
			path = envoyMatch{Kind: "prefix", Value: "/"}
		}
		own, preflight := path, path
		if m.Method != "" {
			own.Headers = append(own.Headers, envoyHeader{Name: ":method", Exact: m.Method})
		}
		own.Headers = append(own.Headers, m.Headers...)
		out = append(out, envoyRoute{Name: m.Value, Match: own, CORS: cors})
		if rule.CORS != nil && m.Method != "" && m.Method != "OPTIONS" {
			preflight.Headers = append(slices.Clone(m.Headers), envoyHeader{Name: ":method", Exact: "OPTIONS"},
				envoyHeader{Name: "origin", Present: true}, envoyHeader{Name: "access-control-request-method", Present: true})
			out = append(out, envoyRoute{Name: m.Value, Match: preflight, CORS: cors})
		}
	}
	return out
}
