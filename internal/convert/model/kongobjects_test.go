package model

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Kong's ingress controller 3.5.9: internal/dataplane/translator/subtranslator makes routes
// of Ingresses, internal/dataplane/kongstate gives them plugins by annotations.

// kongIngress is an Ingress with one host.
type kongIngress struct {
	Name, Host string
	Paths      []kongIngressPath
	CORS       *kongCORS // of the plugin that its annotation names
}

type kongIngressPath struct{ Kind, Path, Service string }

type kongKubernetes struct {
	Ingresses []kongIngress
	Services  map[string]*kongCORS // by their names
	CORS      *kongCORS            // of a KongClusterPlugin with the label global
}

// kong is what the controller configures: a route for each path, which a pathType makes a
// prefix, a regex of the whole path, or both.
func (k kongKubernetes) kong() (out kong) {
	out.CORS = k.CORS
	for name, cors := range k.Services {
		out.Services = append(out.Services, kongService{Name: name, CORS: cors})
	}
	for _, i := range k.Ingresses {
		for _, p := range i.Paths {
			r := kongRoute{Name: i.Name, CORS: i.CORS, Paths: []string{p.Path}}
			if i.Host != "" {
				r.Hosts = []string{i.Host}
			}
			switch stem := strings.Trim(p.Path, "/"); {
			case p.Kind == "Exact":
				r.Paths = []string{"~" + p.Path + "$"}
			case p.Kind == "Prefix" && stem != "":
				r.Paths = []string{"/" + stem + "/", "~/" + stem + "$"}
			}
			of := slices.IndexFunc(out.Services, func(s kongService) bool { return s.Name == p.Service })
			out.Services[of].Routes = append(out.Services[of].Routes, r)
		}
	}
	return out
}

func TestKongInKubernetes(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		k := kongKubernetes{CORS: maybe(rt, "on everything", 4, drawKongCORS), Services: map[string]*kongCORS{
			"a": maybe(rt, "on service a", 3, drawKongCORS), "b": nil,
		}}
		taken := map[string]bool{}
		for i := range 1 + die(rt, "ingresses", 3) {
			one := kongIngress{Name: "i" + string(rune('0'+i)), Host: pick(rt, "host", append([]string{"", "*.example.com"}, hostNames[:4]...)),
				CORS: maybe(rt, "on the ingress", 2, drawKongCORS)}
			for range 1 + die(rt, "paths", 3) {
				p := kongIngressPath{pick(rt, "kind", []string{"Prefix", "Exact", "ImplementationSpecific"}), pick(rt, "path", pathTexts), pick(rt,
					"service", []string{"a", "b"})}
				if key := one.Host + strings.TrimSuffix(p.Path, "/"); !taken[key] { // which of two comes first, their age says
					taken[key] = true
					one.Paths = append(one.Paths, p)
				}
			}
			if len(one.Paths) > 0 {
				k.Ingresses = append(k.Ingresses, one)
			}
		}
		made := k.kong()
		reasons := append(waivable(), reason{"preflight_continue", `preflight_continue`}, reason{"a name without a scheme", `scheme|origin`},
			reason{"a service that no ingress leads to", `no Ingress or HTTPRoute in the files leads to the Service`})
		s.hold(rt, drawn{documents(rt, k.written()...), []way{{made.serve, made.bare}}, reasons})
	})
	s.enough(t, 20)
}

// written are the objects, each plugin in one of its kinds.
func (k kongKubernetes) written() (all []object) {
	plugin := func(kind, name string, c *kongCORS) object {
		o := resource("configuration.konghq.com/v1", kind, "shop", name, object{})
		delete(o, "spec")
		own := c.written()[0].(object)
		o["plugin"], o["config"] = "cors", own["config"]
		if c.Disabled {
			o["disabled"] = true
		}
		return o
	}
	named := func(o object, kind, name string, c *kongCORS) object {
		if c != nil {
			all = append(all, plugin(kind, name, c))
			o["metadata"].(object)["annotations"] = object{"konghq.com/plugins": name}
		}
		return o
	}
	if k.CORS != nil {
		o := plugin("KongClusterPlugin", "everything", k.CORS)
		o["metadata"].(object)["labels"] = object{"global": "true"}
		all = append(all, o)
	}
	for _, name := range []string{"a", "b"} {
		all = append(all, named(resource("v1", "Service", "shop", name, object{"ports": []any{object{"port": 80}}}), "KongClusterPlugin",
			"of-"+name, k.Services[name]))
	}
	for _, i := range k.Ingresses {
		rule := object{"http": object{"paths": list(i.Paths, func(p kongIngressPath) any {
			return object{"path": p.Path, "pathType": p.Kind, "backend": object{"service": object{"name": p.Service, "port": object{"number": 80}}}}
		})}}
		given(rule, "host", i.Host)
		o := resource("networking.k8s.io/v1", "Ingress", "shop", i.Name, object{"ingressClassName": "kong", "rules": []any{rule}})
		all = append(all, named(o, "KongPlugin", "cors-"+i.Name, i.CORS))
	}
	return all
}
