package model

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawIstioCORS(t *rapid.T) *istioCORS {
	c := &istioCORS{
		Methods: some(t, "methods", anyMethods, 0, 3), Headers: some(t, "headers", headerNames, 0, 3), Expose: some(t, "expose", exposed, 0, 2),
		MaxAge: pick(t, "max age", []string{"", "600s", "86400s"}), Credentials: optional(t, "credentials"),
		Unmatched: pick(t, "unmatched", []string{"", "", "FORWARD", "IGNORE", "UNSPECIFIED"}),
	}
	switch die(t, "origins", 12) {
	case 0:
	case 1:
		c.Old = some(t, "old origins", append([]string{"*"}, exactOrigins...), 1, 2)
	default:
		c.Origins = drawMatchers(t, false)
	}
	return c
}

// drawIstioMatches draws matches that no other route has.
func drawIstioMatches(t *rapid.T, others []istioRoute) (all []istioMatch) {
	for range die(t, "matches", 3) {
		match := istioMatch{Kind: pick(t, "uri", []string{"prefix", "prefix", "exact"}), Value: pick(t, "path", pathTexts)}
		switch die(t, "hard match", 40) {
		case 0:
			match.Kind, match.Value = "regex", "/v[0-9]+/.*"
		case 1:
			match.AnyCase = true
		case 2:
			match.Headers = []envoyHeader{{Name: "x-version", Exact: "2"}}
		case 3:
			match.Method = pick(t, "of method", []string{"GET", "OPTIONS", "PUT"})
		case 4:
			match.Kind, match.Value = "regex", ".*"
		case 5:
			match.Kind = ""
		}
		if !slices.ContainsFunc(append(others, istioRoute{Matches: all}), func(r istioRoute) bool {
			return slices.ContainsFunc(r.Matches, func(m istioMatch) bool { return m.Kind == match.Kind && m.Value == match.Value })
		}) {
			all = append(all, match)
		}
	}
	return all
}

func drawIstio(t *rapid.T) (i istio) {
	names := []string{"a", "b", "c"}
	pool := append(slices.Clone(hostNames[:5]), hostWilds...)
	for n := range 1 + die(t, "services", 3) {
		v := virtualService{Namespace: "shop", Name: names[n], Hosts: some(t, "hosts", pool, 1, 2)}
		for m := range 1 + die(t, "routes", 3) {
			r := istioRoute{CORS: maybe(t, "policy", 2, drawIstioCORS)}
			if m == 0 && n == 0 && r.CORS == nil {
				r.CORS = drawIstioCORS(t)
			}
			r.Matches = drawIstioMatches(t, v.Routes)
			switch die(t, "action", 16) {
			case 0:
				r.Action = "redirect"
			case 1:
				r.Action = "direct_response"
			case 2, 3:
				for range 1 + die(t, "delegated", 2) {
					r.Delegate = append(r.Delegate, istioRoute{Matches: drawIstioMatches(t, r.Delegate), CORS: maybe(t, "the delegate's policy", 2,
						drawIstioCORS)})
				}
			}
			v.Routes = append(v.Routes, r)
		}
		i.Services = append(i.Services, v)
	}
	return i
}

func TestIstio(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		i := drawIstio(rt)
		var resources []object
		for _, v := range i.Services {
			resources = append(resources, v.written()...)
		}
		s.hold(rt, drawn{documents(t, resources...), []way{{i.serve, i.bare}}, i.envoy().reasons()})
	})
	s.enough(t, 30)
}

func (c *istioCORS) written() object {
	if c == nil {
		return nil
	}
	o := object{}
	if c.Origins != nil {
		o["allowOrigins"] = list(c.Origins, func(m stringMatcher) any {
			if m.Kind == "safe_regex" {
				return object{"regex": m.Value}
			}
			return object{m.Kind: m.Value}
		})
	}
	given(o, "allowOrigin", c.Old)
	given(o, "allowMethods", c.Methods)
	given(o, "allowHeaders", c.Headers)
	given(o, "exposeHeaders", c.Expose)
	given(o, "maxAge", c.MaxAge)
	given(o, "allowCredentials", c.Credentials)
	given(o, "unmatchedPreflights", c.Unmatched)
	return o
}

func (v virtualService) written() (all []object) {
	spec := object{"http": list(v.Routes, func(r istioRoute) any {
		o := object{}
		given(o, "name", r.Name)
		if len(r.Matches) > 0 {
			o["match"] = list(r.Matches, func(m istioMatch) any {
				o := object{}
				if m.Kind != "" {
					o["uri"] = object{m.Kind: m.Value}
				}
				given(o, "ignoreUriCase", m.AnyCase)
				if m.Method != "" {
					o["method"] = object{"exact": m.Method}
				}
				if len(m.Headers) > 0 {
					headers := object{}
					for _, h := range m.Headers {
						headers[h.Name] = object{"exact": h.Exact}
					}
					o["headers"] = headers
				}
				return o
			})
		}
		switch {
		case r.Delegate != nil:
			d := virtualService{Namespace: v.Namespace, Name: v.Name + "-" + string(rune('0'+len(all))), Routes: r.Delegate}
			o["delegate"] = object{"name": d.Name}
			all = append(all, d.written()...)
		case r.Action == "redirect":
			o["redirect"] = object{"authority": "elsewhere.example"}
		case r.Action == "direct_response":
			o["directResponse"] = object{"status": 200}
		default:
			o["route"] = []any{object{"destination": object{"host": "upstream.default.svc.cluster.local"}}}
		}
		given(o, "corsPolicy", r.CORS.written())
		return o
	})}
	if v.Hosts != nil {
		spec["hosts"], spec["gateways"] = v.Hosts, []string{"istio-system/public"}
	}
	return append(all, resource("networking.istio.io/v1", "VirtualService", v.Namespace, v.Name, spec))
}

func (e envoy) reasons() []reason {
	out := waivable()
	for _, h := range e.Hosts {
		for _, r := range h.Routes {
			out = append(out, r.Match.reasons()...)
		}
		if slices.ContainsFunc(h.Domains, func(d string) bool { return strings.HasSuffix(d, ".*") }) {
			out = append(out, reason{"a domain that ends in a wildcard", `domain|host|wildcard`})
		}
	}
	return out
}

func (m envoyMatch) reasons() (out []reason) {
	if len(m.Headers) > 0 {
		out = append(out, reason{"a header match", `header|method|condition`})
	}
	return out
}
