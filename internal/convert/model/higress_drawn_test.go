package model

import (
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/browser"
)

func drawHigressCORS(t *rapid.T) higressCORS {
	c := higressCORS{
		Methods:     words(t, "methods", methodNames, 4),
		Headers:     words(t, "headers", headerNames, 3),
		Expose:      words(t, "expose", exposed, 2),
		Credentials: chance(t, "credentials", 3),
		MaxAge:      pick(t, "max age", []int{0, 0, 600}),
	}
	if !chance(t, "no origins", 8) {
		c.Origins = some(t, "origins", append([]string{"*", "http://shop.example.com", "https://app.example.org/"}, exactOrigins...), 0, 2)
		c.Patterns = some(
			t, "patterns",
			[]string{
				"https://*.shop.example.com", "https://*.example.com:[8080,8443]", "http://localhost:[*]", "*", "https://shop.example.com:[*]",
				"https://pr-*.preview.example.com",
			},
			0, 2,
		)
	}
	return c
}

func TestHigress(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		var h higress
		reasons := append(
			waivable(), reason{"* exposed with credentials", `expose`}, reason{"a pattern within a label", `pattern|\*`},
			reason{"any host of a scheme", `\bhosts?\b`},
			reason{"credentials without origins", `lets nobody in`},
		)
		if !chance(rt, "no default", 4) {
			c := drawHigressCORS(rt)
			h.Default = &c
			h.DefaultDisabled = chance(rt, "default disabled", 4)
		}
		for range die(rt, "rules", 4) {
			r := higressRule{CORS: drawHigressCORS(rt), Disabled: chance(rt, "disabled", 8)}
			r.Domains = some(rt, "domains", append([]string{"*.example.com", "*.shop.example.com", "*"}, hostNames[:5]...), 1, 2)
			switch die(rt, "hard rule", 30) {
			case 0:
				r.Ingresses = []string{"shop/api"}
				reasons = append(reasons, reason{"an Ingress", `ingress|Ingress|route`})
			case 1:
				r.Domains, r.Services = nil, []string{"api.shop.svc.cluster.local"}
				reasons = append(reasons, reason{"a service", `service`})
			case 2:
				r.Domains = append(r.Domains, pick(rt, "partly", []string{"shop.*", "*shop.example.com"}))
				reasons = append(reasons, reason{"a part of a label", `domain|host`})
			}
			h.Rules = append(h.Rules, r)
		}
		if h.Default == nil && len(h.Rules) == 0 {
			c := drawHigressCORS(rt)
			h.Default = &c
		}
		s.hold(rt, drawn{documents(rt, h.written()), []way{{h.serve, h.bare}}, reasons})
	})
	s.enough(t, 30)
}

func (c higressCORS) written() object {
	o := object{}
	given(o, "allow_origins", c.Origins)
	given(o, "allow_origin_patterns", c.Patterns)
	given(o, "allow_methods", c.Methods)
	given(o, "allow_headers", c.Headers)
	given(o, "expose_headers", c.Expose)
	given(o, "allow_credentials", c.Credentials)
	given(o, "max_age", c.MaxAge)
	return o
}

func (h higress) written() object {
	spec := object{"phase": "AUTHN", "url": "oci://registry.example/plugins/cors:2.0.2"}
	if h.Default != nil {
		spec["defaultConfig"] = h.Default.written()
	}
	given(spec, "defaultConfigDisable", h.DefaultDisabled)
	if len(h.Rules) > 0 {
		spec["matchRules"] = list(h.Rules, func(r higressRule) any {
			o := object{"config": r.CORS.written()}
			given(o, "configDisable", r.Disabled)
			given(o, "domain", r.Domains)
			given(o, "ingress", r.Ingresses)
			given(o, "service", r.Services)
			return o
		})
	}
	return resource("extensions.higress.io/v1alpha1", "WasmPlugin", "higress-system", "cors", spec)
}

func (h higress) bare(r request, upstream backend) browser.Response { return upstream(r) }
