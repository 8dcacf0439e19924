package convert

import (
	"go.yaml.in/yaml/v3"
)

// GatewayGroup is that of the Gateway API.
const GatewayGroup = "gateway.networking.k8s.io"

func IsHTTPRoute(o *Object) bool { return o.Is(GatewayGroup, "HTTPRoute") }

func IsService(o *Object) bool { return o.Is("v1", "Service") }

// Attacher gives routes policies that stand in other objects, such as Envoy
// Gateway's SecurityPolicy. A CORS filter of the route itself comes before them.
type Attacher struct {
	// Project is whose gateway it is, where its objects tell: one that takes a host with
	// a dot at its end for another host.
	Project string
	Reads   func(o *Object) bool
	// Attach looks at all objects once, and returns what gives one rule its policy:
	// nil for none, with what changes in place of one.
	Attach func(c *Conversion, objects []*Object) func(GatewayTarget) (*Policy, []Change)
}

// GatewayTarget is a rule of a route at a listener.
type GatewayTarget struct {
	Reader // of the rule, in its route
	// Rule is its name; empty: it has none. Node is the rule itself.
	Rule string
	Node *yaml.Node
	// Gateway is the namespace and name of the parent; section is its listener,
	// empty where routes do not tell listeners apart.
	Kind, Gateway, Section string
}
