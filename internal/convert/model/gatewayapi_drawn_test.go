package model

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawGatewayCORS(t *rapid.T, origins []string) *gatewayCORS {
	c := &gatewayCORS{
		Methods: words(t, "methods", methodNames, 3), Headers: words(t, "headers", headerNames, 3), Expose: words(t, "expose", exposed, 2),
		Credentials: optional(t, "credentials"), MaxAge: pick(t, "max age", []int{0, 600}),
	}
	if c.Origins = some(t, "origins", origins, 1, 3); slices.Contains(c.Origins, "*") {
		c.Origins = []string{"*"} // validated: alone
	} else if chance(t, "every host", 20) {
		c.Origins = append(c.Origins, "https://*")
	}
	return c
}

var gatewayOrigins = append(
	[]string{"*", "https://*.shop.example.com", "https://*.example.com", "http://shop.example.com"}, exactOrigins...,
)

func drawGatewayMatch(t *rapid.T) gatewayMatch {
	m := gatewayMatch{Kind: pick(t, "type", []string{"PathPrefix", "PathPrefix", "Exact"}), Value: pick(t, "path", pathTexts)}
	switch die(t, "hard match", 40) {
	case 0:
		m.Method = pick(t, "of method", []string{"GET", "GET", "OPTIONS", "PUT"})
	case 1:
		m.Headers = []envoyHeader{{Name: "x-version", Exact: "2"}}
	case 2:
		m.Kind, m.Value = "RegularExpression", "/v[0-9]+/.*"
	case 3:
		m.Kind, m.Value = "", ""
	}
	return m
}

// drawRoutes draws HTTPRoutes; with is how many in n rules have a filter.
func drawRoutes(t *rapid.T, n int) (routes []httpRoute) {
	age := drawAges(t)
	for i := range 1 + die(t, "routes", 3) {
		route := httpRoute{Namespace: "shop", Name: "route-" + string(rune('a'+i)), Age: age(),
			Hosts: some(t, "hostnames", append(slices.Clone(hostNames[:5]), hostWilds[:2]...), 0, 2)}
		for j := range 1 + die(t, "rules", 3) {
			rule := gatewayRule{Name: "rule-" + string(rune('a'+j))}
			if chance(t, "filter", n) {
				rule.CORS = drawGatewayCORS(t, gatewayOrigins)
			}
			for range die(t, "matches", 3) {
				rule.Matches = append(rule.Matches, drawGatewayMatch(t))
			}
			route.Rules = append(route.Rules, rule)
		}
		routes = append(routes, route)
	}
	return routes
}

func routeReasons(routes []httpRoute) []reason {
	out := append(waivable(), reason{"* exposed with credentials", `expose`})
	for _, route := range routes {
		for _, rule := range route.Rules {
			for _, m := range rule.Matches {
				if m.Method != "" {
					out = append(out, reason{"a method", `method`})
				}
				if len(m.Headers) > 0 {
					out = append(out, reason{"a header match", `header`})
				}
			}
		}
	}
	return out
}

func TestGatewayAPI(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		g := gatewayAPI{drawRoutes(rt, 2)}
		var resources []object
		for _, r := range g.Routes {
			resources = append(resources, r.written())
		}
		var ways []way
		for _, echo := range []bool{false, true} {
			for _, dot := range []bool{false, true} {
				for _, preflight := range []bool{false, true} {
					for _, regex := range []bool{false, true} {
						c := gatewayChoices{echo, dot, preflight, regex}
						ways = append(ways, way{g.serve(c), g.bare(c)})
					}
				}
			}
		}
		s.hold(rt, drawn{documents(t, resources...), ways, routeReasons(g.Routes)})
	})
	s.enough(t, 30)
}

func (c *gatewayCORS) written() object {
	o := object{}
	given(o, "allowOrigins", c.Origins)
	given(o, "allowMethods", c.Methods)
	given(o, "allowHeaders", c.Headers)
	given(o, "exposeHeaders", c.Expose)
	given(o, "allowCredentials", c.Credentials)
	given(o, "maxAge", c.MaxAge)
	return o
}

func (route httpRoute) written() object {
	rules := list(route.Rules, func(r gatewayRule) any {
		o := object{"backendRefs": []any{object{"name": "upstream", "port": 8080}}}
		given(o, "name", r.Name)
		if len(r.Matches) > 0 {
			o["matches"] = list(r.Matches, gatewayMatch.written)
		}
		if r.CORS != nil {
			o["filters"] = []any{object{"type": "CORS", "cors": r.CORS.written()}}
		}
		return o
	})
	spec := object{"parentRefs": []any{object{"name": "public"}}, "rules": rules}
	given(spec, "hostnames", route.Hosts)
	out := resource("gateway.networking.k8s.io/v1", route.kind(), route.Namespace, route.Name, spec)
	if route.Age > 0 {
		out["metadata"].(object)["creationTimestamp"] = created(route.Age)
	}
	return out
}

// created is a creationTimestamp so many days before a fixed one.
func created(age int) string {
	return "2026-03-" + string(rune('0'+(28-age)/10)) + string(rune('0'+(28-age)%10)) + "T00:00:00Z"
}

func (m gatewayMatch) written() any {
	o := object{}
	if m.Kind == "GRPC" {
		service, method, _ := strings.Cut(m.Value[1:], "/")
		grpc := object{"service": service}
		given(grpc, "method", method)
		o["method"] = grpc
	} else if m.Kind != "" {
		o["path"] = object{"type": m.Kind, "value": m.Value}
	}
	given(o, "method", m.Method)
	if len(m.Headers) > 0 {
		o["headers"] = list(m.Headers, func(h envoyHeader) any { return object{"name": h.Name, "value": h.Exact} })
	}
	return o
}
