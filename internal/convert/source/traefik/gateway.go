package traefik

import (
	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Routes of the Gateway API whose filters name Middlewares (loadMiddlewares of
// pkg/provider/kubernetes/gateway).

// traefikAttacher gives their rules the policy of those.
var traefikAttacher = &convert.Attacher{
	Reads: func(o *convert.Object) bool { return isTraefik(o) && o.Kind == "Middleware" },
	Attach: func(c *convert.Conversion, objects []*convert.Object) func(convert.GatewayTarget) (*convert.Policy, []convert.Change) {
		t := middlewaresOf(c, objects)
		return func(target convert.GatewayTarget) (*convert.Policy, []convert.Change) {
			a := t.gatewayRule(target.Object, target.Node)
			if a.cors == nil {
				return nil, nil
			}
			return a.cors.policy, a.changes
		}
	},
}

func isGatewayRoute(o *convert.Object) bool {
	return o.Is(convert.GatewayGroup, "HTTPRoute", "GRPCRoute")
}

// gatewayRule is a rule as a router, with the middlewares that its filters name.
func (t *traefik) gatewayRule(o *convert.Object, rule *yaml.Node) traefikRouter {
	a := traefikRouter{r: convert.Reader{Conversion: t.Conversion, Object: o}}
	for _, f := range convert.Elements(convert.Child(rule, "filters")) {
		ref := convert.Child(f, "extension_ref")
		if group := convert.Text(convert.Child(ref, "group")); group == "traefik.io" || group == "traefik.containo.us" {
			a.from = o.From("filters", ref)
			a.middlewares = append(a.middlewares, traefikKey(o.Space(), convert.Text(convert.Child(ref, "name"))))
		}
	}
	if t.cors && len(a.middlewares) > 0 {
		t.chain(&a)
	}
	return a
}
