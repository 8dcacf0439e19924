package model

import (
	"testing"

	"pgregory.net/rapid"
)

func TestIngressNginx(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		var n nginx
		reasons := append(
			waivable(), reason{"an annotation that is not valid", `does not accept|ignores the origin|as one origin`},
			reason{"annotations that nothing comes to", `has no effect`}, reason{"one label of a host", `one label`},
			reason{"the same path twice", `do not say which|same location`}, reason{"what the default backend answers", `default backend`},
		)
		age := drawAges(rt)
		for i := range 1 + die(rt, "ingresses", 3) {
			in := ingress{Namespace: "shop", Name: "ingress-" + string(rune('a'+i)), Age: age(), Annotations: map[string]string{}}
			if i == 0 || chance(rt, "CORS", 2) {
				in.Annotations["enable-cors"] = pick(rt, "enabled", []string{"true", "true", "true", "true", "true", "true", "false"})
			}
			annotate := func(name string, n int, values ...string) {
				if chance(rt, name, n) {
					in.Annotations[name] = pick(rt, name+" is", values)
				}
			}
			annotate("cors-allow-credentials", 2, "true", "false")
			annotate(
				"cors-allow-origin", 2, "*", "https://shop.example.com", "https://shop.example.com, https://app.example.org",
				"https://*.shop.example.com", "https://*.example.com:8443",
				"http://localhost:3000,https://shop.example.com",
				"https://shop.example.com,*", "http://shop.example.com",
			)
			annotate("cors-allow-origin", 30, "null", "https://shop.example.com/")
			annotate("cors-allow-methods", 3, "GET, PUT", "PUT", "GET,POST,DELETE,PATCH", "get,put")
			annotate("cors-allow-headers", 3, "content-type", "X-B, authorization", "x-a,Content-Type,Authorization")
			annotate("cors-allow-headers", 30, "*")
			annotate("cors-expose-headers", 3, "x-total", "etag, x-total", "*")
			annotate("cors-max-age", 4, "600", "0")
			if chance(rt, "regex", 5) {
				in.Annotations["use-regex"] = "true"
			}
			for range 1 + die(rt, "rules", 2) {
				rule := nginxRule{Host: pick(rt, "host", append([]string{"", "*.example.com", "*.shop.example.com"}, hostNames[:5]...))}
				for range 1 + die(rt, "paths", 2) {
					rule.Paths = append(
						rule.Paths,
						nginxPath{pick(rt, "path", pathTexts), pick(rt, "type", []string{"Prefix", "Prefix", "Prefix", "ImplementationSpecific", "Exact"})},
					)
				}
				in.Rules = append(in.Rules, rule)
			}
			n.Ingresses = append(n.Ingresses, in)
		}
		var resources []object
		for _, i := range n.Ingresses {
			resources = append(resources, i.written())
		}
		s.hold(rt, drawn{documents(rt, resources...), []way{{n.serve, n.bare}}, reasons})
	})
	s.enough(t, 30)
}

func (i ingress) written() object {
	rules := list(i.Rules, func(r nginxRule) any {
		o := object{"http": object{"paths": list(r.Paths, func(p nginxPath) any {
			return object{
				"path":     p.Path,
				"pathType": p.Type,
				"backend":  object{"service": object{"name": "upstream", "port": object{"number": 8080}}},
			}
		})}}
		given(o, "host", r.Host)
		return o
	})
	out := resource("networking.k8s.io/v1", "Ingress", i.Namespace, i.Name, object{"ingressClassName": "nginx", "rules": rules})
	annotations := object{}
	for k, v := range i.Annotations {
		annotations["nginx.ingress.kubernetes.io/"+k] = v
	}
	metadata := out["metadata"].(object)
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	if i.Age > 0 {
		metadata["creationTimestamp"] = created(i.Age)
	}
	return out
}
