package model

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawTraefikHeaders(t *rapid.T) traefikHeaders {
	h := traefikHeaders{
		Methods:     words(t, "methods", anyMethods, 3),
		Headers:     words(t, "headers", headerNames, 3),
		Expose:      words(t, "expose", exposed, 2),
		Credentials: chance(t, "credentials", 3),
		Vary:        chance(t, "vary", 2),
	}
	switch die(t, "origins", 6) {
	case 0:
		h.Regexes = some(
			t, "regexes", append([]string{`^https://([a-z0-9-]+\.)?shop\.example\.com$`, `^https?://localhost(:[0-9]+)?$`}, regexOrigins...), 1,
			2,
		)
	case 1:
		h.Origins = []string{"*"}
	case 2:
		h.Origins = some(t, "origins with more", append([]string{"*", "http://shop.example.com", "null"}, exactOrigins...), 1, 3)
		slices.Sort(h.Origins) // "*" first: behind an origin it makes no difference to a page
	case 3:
		h.Regexes = some(t, "regexes beside", []string{`^https://.*\.shop\.example\.com$`}, 0, 1)
		fallthrough
	default:
		h.Origins = some(t, "origins", exactOrigins, 1, 3)
	}
	if chance(t, "max age", 3) {
		n := 600
		h.MaxAge = &n
	}
	return h
}

func TestTraefik(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		tr := traefik{Middlewares: map[string]traefikHeaders{"cors": drawTraefikHeaders(rt)}}
		reasons := append(waivable(), reason{"one label of a host", `label|Host`}, reason{"* exposed with credentials", `expose`},
			reason{"routers of the same priority", `priority`})
		if chance(rt, "another", 2) {
			tr.Middlewares["other"] = drawTraefikHeaders(rt)
		}
		used := map[int]bool{}
		for i := range 1 + die(rt, "routes", 3) {
			r := traefikRoute{Hosts: some(rt, "hosts", append([]string{"*.shop.example.com"}, hostNames[:5]...), 0, 2)}
			switch die(rt, "paths", 4) {
			case 0:
				r.Prefixes = some(rt, "prefixes", pathTexts, 1, 2)
			case 1:
				r.Paths = some(rt, "exact", pathTexts, 1, 2)
			case 2:
				r.Prefixes = some(rt, "prefixes beside", pathTexts, 1, 1)
				r.Paths = some(rt, "exact beside", pathTexts, 1, 1)
			}
			if len(r.Hosts)+len(r.Paths)+len(r.Prefixes) == 0 {
				r.Prefixes = []string{"/"}
			}
			switch die(rt, "hard rule", 30) {
			case 0:
				r.Method = "GET"
				reasons = append(reasons, reason{"a method", `[Mm]ethod`})
			case 1:
				r.Hosts, r.HostExpr = nil, `^[a-z]+\.example\.com$`
				reasons = append(reasons, reason{"a regex of hosts", `HostRegexp|regex`})
			}
			if chance(rt, "priority", 4) {
				r.Priority = 10 + die(rt, "priority is", 90)
			}
			if used[r.priority()] { // which of two comes first, nothing says
				r.Priority = 200 + i
			}
			used[r.priority()] = true
			r.Middleware = pick(rt, "middleware", append([]string{"", "cors"}, sortedKeys(tr.Middlewares)...))
			if i == 0 {
				r.Middleware = "cors"
			}
			tr.Routes = append(tr.Routes, r)
		}
		if !slices.ContainsFunc(tr.Routes, func(r traefikRoute) bool { return r.Middleware == "other" }) {
			delete(tr.Middlewares, "other")
		}
		s.hold(rt, drawn{documents(rt, tr.written()...), []way{{tr.serve, tr.bare}}, reasons})
	})
	s.enough(t, 30)
}

func (h traefikHeaders) written() object {
	o := object{}
	given(o, "accessControlAllowOriginList", h.Origins)
	given(o, "accessControlAllowOriginListRegex", h.Regexes)
	given(o, "accessControlAllowMethods", h.Methods)
	given(o, "accessControlAllowHeaders", h.Headers)
	given(o, "accessControlExposeHeaders", h.Expose)
	given(o, "accessControlAllowCredentials", h.Credentials)
	given(o, "addVaryHeader", h.Vary)
	given(o, "accessControlMaxAge", h.MaxAge)
	return object{"headers": o}
}

func (t traefik) written() []object {
	routes := list(t.Routes, func(r traefikRoute) any {
		o := object{"kind": "Rule", "match": r.rule(), "services": []any{object{"name": "upstream", "port": 8080}}}
		given(o, "priority", r.Priority)
		if r.Middleware != "" {
			o["middlewares"] = []any{object{"name": r.Middleware}}
		}
		return o
	})
	out := []object{
		resource("traefik.io/v1alpha1", "IngressRoute", "shop", "shop", object{"entryPoints": []string{"websecure"}, "routes": routes}),
	}
	for _, name := range sortedKeys(t.Middlewares) {
		out = append(out, resource("traefik.io/v1alpha1", "Middleware", "shop", name, t.Middlewares[name].written()))
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
