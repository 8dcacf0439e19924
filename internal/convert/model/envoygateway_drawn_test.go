package model

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestEnvoyGateway(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		e := envoyGateway{Routes: drawRoutes(rt, 6)}
		if chance(rt, "gRPC", 2) {
			e.Routes = append(e.Routes, drawGRPCRoute(rt))
		}
		age := drawAges(rt)
		for i := range 1 + die(rt, "policies", 3) {
			p := securityPolicy{Namespace: "shop", Name: "cors-" + string(rune('a'+i)), Age: age(),
				CORS: *drawGatewayCORS(rt, append([]string{"app://*.example.com", "http://*.shop.example.com:8443"}, gatewayOrigins...))}
			route := pick(rt, "target", e.Routes)
			p.Kind, p.Target = route.kind(), route.Name
			switch die(rt, "kind", 4) {
			case 0:
				p.Kind, p.Target = "Gateway", "public"
			case 1:
				p.Section = pick(rt, "rule", route.Rules).Name
			}
			e.Policies = append(e.Policies, p)
		}
		reasons := routeReasons(e.Routes)
		for i, p := range e.Policies {
			if slices.ContainsFunc(e.Policies[:i], func(o securityPolicy) bool {
				return o.Kind == p.Kind && o.Target == p.Target && o.Section == p.Section
			}) {
				reasons = append(reasons, reason{"two policies of unknown age for one target", `same target`})
			}
		}
		resources := []object{resource("gateway.networking.k8s.io/v1", "Gateway", "shop", "public", object{"gatewayClassName": "eg",
			"listeners": []any{object{"name": "http", "protocol": "HTTP", "port": 80}}})}
		for _, r := range e.Routes {
			resources = append(resources, r.written())
		}
		for _, p := range e.Policies {
			resources = append(resources, p.written())
		}
		made := e.envoy()
		s.hold(rt, drawn{documents(rt, resources...), []way{{made.serve, made.bare}}, reasons})
	})
	s.enough(t, 40)
}

// drawGRPCRoute draws a GRPCRoute. Its host is none of an HTTPRoute's: the Gateway API does
// not let the two share one.
func drawGRPCRoute(t *rapid.T) httpRoute {
	route := httpRoute{GRPC: true, Namespace: "shop", Name: "grpc", Hosts: []string{hostNames[5]}}
	for j := range 1 + die(t, "gRPC rules", 2) {
		rule := gatewayRule{Name: "rule-" + string(rune('a'+j))}
		for range die(t, "gRPC matches", 3) {
			rule.Matches = append(rule.Matches, gatewayMatch{Kind: "GRPC", Value: pick(t, "gRPC method", []string{"/v1", "/v1/orders", "/v2",
				"/v2/a"})})
		}
		route.Rules = append(route.Rules, rule)
	}
	return route
}

func (route httpRoute) kind() string {
	if route.GRPC {
		return "GRPCRoute"
	}
	return "HTTPRoute"
}

func (p securityPolicy) written() object {
	cors := p.CORS.written()
	delete(cors, "maxAge")
	if p.CORS.MaxAge > 0 {
		cors["maxAge"] = strconv.Itoa(p.CORS.MaxAge) + "s"
	}
	target := object{"group": "gateway.networking.k8s.io", "kind": p.Kind, "name": p.Target}
	given(target, "sectionName", p.Section)
	out := resource("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", p.Namespace, p.Name, object{"targetRefs": []any{target}, "cors": cors})
	if p.Age > 0 {
		out["metadata"].(object)["creationTimestamp"] = created(p.Age)
	}
	return out
}
