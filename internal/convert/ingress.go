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

func isIngress(o *object) bool {
	return o.is("networking.k8s.io", "Ingress") || o.is("extensions", "Ingress")
}

// annotation returns an annotation's value and its node, or nil.
func (o *object) annotation(name string) (string, *yaml.Node) {
	node := document.Resolve(document.Child(document.Child(o.root, "metadata"), "annotations"))
	node = document.Resolve(document.Child(node, name))
	return document.Scalar(node), node
}

// spec returns a value below spec.
func (o *object) spec(keys ...string) *yaml.Node {
	return child(o.root, append([]string{"spec"}, keys...)...)
}

// space is the object's namespace.
func (o *object) space() string {
	if o.namespace == "" {
		return "default"
	}
	return o.namespace
}

// controllers are the names of classes that are known to belong to one controller.
var controllers = []string{"alb", "azure-application-gateway", "cilium", "gce", "haproxy", "higress", "istio", "kong", "nginx", "openshift-default", "traefik"}

// class is the name of an Ingress' class; empty where it has none. The annotation
// comes first, as in ingress-nginx.
func (o *object) class() string {
	if class, _ := o.annotation("kubernetes.io/ingress.class"); class != "" {
		return class
	}
	return text(o.spec("ingressClassName"))
}

// foreign reports whether the class of an Ingress is another controller's. An
// unknown name may be anybody's.
func (o *object) foreign(own ...string) bool {
	class := o.class()
	return class != "" && !slices.Contains(own, class) && slices.Contains(controllers, class)
}

// ingressPath is a path of an Ingress, or its default backend.
type ingressPath struct {
	o    *object
	part string
	node *yaml.Node
	host string // in lower case; empty is any
	// kind is the pathType, "ImplementationSpecific" where there is none, and
	// "default" for the default backend.
	kind    string
	path    string
	at      Place
	service string
	port    string
}

func (p ingressPath) from() From { return p.o.from(p.part, p.node) }

func (p *ingressPath) backend(node *yaml.Node) {
	p.service, p.port = text(child(node, "service", "name")), text(child(node, "service", "port", "number"))
	if p.port == "" {
		p.port = text(child(node, "service", "port", "name"))
	}
	if p.service == "" { // extensions/v1beta1
		p.service, p.port = text(child(node, "serviceName")), text(child(node, "servicePort"))
	}
}

// ingressPaths are those of an Ingress, in its order.
func ingressPaths(o *object) (paths []ingressPath) {
	for i, rule := range elements(o.spec("rules")) {
		for j, node := range elements(child(rule, "http", "paths")) {
			p := ingressPath{o: o, part: fmt.Sprintf("rules[%d].paths[%d]", i, j), node: node, host: strings.ToLower(text(child(rule, "host"))), path: text(child(node, "path"))}
			p.at = o.at(node)
			if at := child(node, "path"); at != nil {
				p.at = o.at(at)
			}
			if p.kind = text(child(node, "pathType")); p.kind == "" {
				p.kind = "ImplementationSpecific"
			}
			p.backend(child(node, "backend"))
			paths = append(paths, p)
		}
	}
	for _, key := range []string{"defaultBackend", "backend"} {
		if node := o.spec(key); node != nil {
			p := ingressPath{o: o, part: key, node: node, kind: "default", at: o.at(node)}
			p.backend(node)
			paths = append(paths, p)
		}
	}
	return paths
}

// byAge is the order in which controllers ask objects that say the same: the
// oldest first, then by name.
func byAge(a, b *object) int {
	if a.created != b.created && a.created != "" && b.created != "" {
		return strings.Compare(a.created, b.created)
	}
	return strings.Compare(a.namespace+"/"+a.name, b.namespace+"/"+b.name)
}
