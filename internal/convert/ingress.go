package convert

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// What the controllers that read an Ingress have in common: what stands in it. In
// which order they ask is each one's own.

func IsIngress(o *Object) bool {
	return o.Is("networking.k8s.io", "Ingress") || o.Is("extensions", "Ingress")
}

// Annotation returns an annotation's value and its node, or nil.
func (o *Object) Annotation(name string) (string, *yaml.Node) {
	node := document.Resolve(document.Child(document.Child(o.Root, "metadata"), "annotations"))
	node = document.Resolve(document.Child(node, name))
	return document.Scalar(node), node
}

// Spec returns a value below spec.
func (o *Object) Spec(keys ...string) *yaml.Node {
	return Child(o.Root, append([]string{"spec"}, keys...)...)
}

// Space is the object's namespace.
func (o *Object) Space() string {
	if o.Namespace == "" {
		return "default"
	}
	return o.Namespace
}

// controllers are the names of classes that are known to belong to one controller.
var controllers = []string{"alb", "azure-application-gateway", "cilium", "gce", "haproxy", "higress", "istio", "kong", "nginx", "openshift-default", "traefik"}

// Class is the name of an Ingress' class; empty where it has none. The annotation
// comes first, as in ingress-nginx.
func (o *Object) Class() string {
	if class, _ := o.Annotation("kubernetes.io/ingress.class"); class != "" {
		return class
	}
	return Text(o.Spec("ingressClassName"))
}

// Foreign reports whether the class of an Ingress is another controller's. An
// unknown name may be anybody's.
func (o *Object) Foreign(own ...string) bool {
	class := o.Class()
	return class != "" && !slices.Contains(own, class) && slices.Contains(controllers, class)
}

// Ingresses are those among objects whose class is none of another controller's, the
// oldest first.
func Ingresses(objects []*Object, own ...string) []*Object {
	all := slices.DeleteFunc(slices.Clone(objects), func(o *Object) bool { return !IsIngress(o) || o.Foreign(own...) })
	slices.SortStableFunc(all, byAge)
	return all
}

// IngressPath is a path of an Ingress, or its default backend.
type IngressPath struct {
	Object *Object
	Part   string
	Node   *yaml.Node
	Host   string // in lower case; empty is any
	// Kind is the pathType, "ImplementationSpecific" where there is none, and
	// "default" for the default backend.
	Kind    string
	Path    string
	At      Place
	Service string
	Port    string
}

func (p IngressPath) From() From { return p.Object.From(p.Part, p.Node) }

func (p *IngressPath) backend(node *yaml.Node) {
	p.Service, p.Port = Text(Child(node, "service", "name")), Text(Child(node, "service", "port", "number"))
	if p.Port == "" {
		p.Port = Text(Child(node, "service", "port", "name"))
	}
	if p.Service == "" { // extensions/v1beta1
		p.Service, p.Port = Text(Child(node, "serviceName")), Text(Child(node, "servicePort"))
	}
}

// IngressPaths are those of an Ingress, in its order.
func IngressPaths(o *Object) (paths []IngressPath) {
	for i, rule := range Elements(o.Spec("rules")) {
		for j, node := range Elements(Child(rule, "http", "paths")) {
			p := IngressPath{Object: o, Part: fmt.Sprintf("rules[%d].paths[%d]", i, j), Node: node, Host: strings.ToLower(Text(Child(rule, "host"))), Path: Text(Child(node, "path"))}
			p.At = o.At(node)
			if at := Child(node, "path"); at != nil {
				p.At = o.At(at)
			}
			if p.Kind = Text(Child(node, "pathType")); p.Kind == "" {
				p.Kind = "ImplementationSpecific"
			}
			p.backend(Child(node, "backend"))
			paths = append(paths, p)
		}
	}
	for _, key := range []string{"defaultBackend", "backend"} {
		if node := o.Spec(key); node != nil {
			p := IngressPath{Object: o, Part: key, Node: node, Kind: "default", At: o.At(node)}
			p.backend(node)
			paths = append(paths, p)
		}
	}
	return paths
}

// byAge is the order in which controllers ask objects that say the same: the
// oldest first, then by name.
func byAge(a, b *Object) int {
	if a.Created != b.Created && a.Created != "" && b.Created != "" {
		return strings.Compare(a.Created, b.Created)
	}
	return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
}
