package model

import (
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/browser"
)

func drawKongCORS(t *rapid.T) *kongCORS {
	c := &kongCORS{
		Headers:          some(t, "headers", headerNames, 0, 3),
		Expose:           some(t, "expose", exposed, 0, 2),
		Credentials:      chance(t, "credentials", 3),
		PrivateNetwork:   chance(t, "private network", 5),
		PreflightForward: chance(t, "preflight_continue", 8),
		Disabled:         chance(t, "disabled", 12),
	}
	if chance(t, "methods", 2) {
		c.Methods = some(t, "methods are", append([]string{"TRACE", "CONNECT"}, methodNames...), 1, 5)
	}
	switch die(t, "origins", 6) {
	case 0:
	case 1:
		c.Origins = []string{"*"}
	case 2:
		c.Origins = some(
			t, "origins with regexes",
			append(
				[]string{
					`https?://.*\.shop\.example\.com`, `.*\.example\.com`, `https://shop\.example\.com(:[0-9]+)?`,
					`^https://pr-[0-9]+\.preview\.example\.com$`, "*",
				},
				exactOrigins...,
			),
			1, 3,
		)
	case 3:
		c.Origins = some(
			t, "plain origins",
			[]string{"http://shop.example.com", "shop.example.com", "https://shop.example.com:443", "https://app.example.org"}, 1, 2,
		)
	default:
		c.Origins = some(t, "origins", exactOrigins, 1, 3)
	}
	return c
}

func TestKong(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		k := kong{CORS: maybe(rt, "on everything", 4, drawKongCORS)}
		reasons := append(waivable(), reason{"preflight_continue", `preflight_continue`}, reason{"a name without a scheme", `scheme|origin`})
		used := map[[4]int]bool{}
		for i := range 1 + die(rt, "services", 2) {
			service := kongService{Name: "service-" + string(rune('a'+i)), CORS: maybe(rt, "on the service", 2, drawKongCORS)}
			for j := range 1 + die(rt, "routes", 2) {
				r := kongRoute{
					Name:  service.Name + "-route-" + string(rune('a'+j)),
					Hosts: some(rt, "hosts", append([]string{"*.example.com", "*.shop.example.com"}, hostNames[:5]...), 0, 2),
					Paths: some(rt, "paths", pathTexts, 0, 2),
					CORS:  maybe(rt, "on the route", 3, drawKongCORS),
				}
				switch die(rt, "hard route", 30) {
				case 0:
					r.Methods = some(rt, "methods of the route", methodNames, 1, 3)
					reasons = append(reasons, reason{"methods", `method`})
				case 1:
					r.Paths = []string{"~/v[0-9]+/"}
				case 2:
					r.Hosts = append(r.Hosts, "shop.example.*")
					reasons = append(reasons, reason{"a part of a host", `host`})
				}
				if len(r.Hosts)+len(r.Paths) == 0 {
					r.Paths = []string{"/"}
				}
				clash := false
				for _, p := range append([]string{""}, r.Paths...) {
					clash = clash || used[r.priority(p)] && (p != "" || len(r.Paths) == 0)
				}
				if clash && len(service.Routes)+len(k.Services) > 0 { // which of two comes first, their age says
					continue
				}
				for _, p := range r.Paths {
					used[r.priority(p)] = true
				}
				if len(r.Paths) == 0 {
					used[r.priority("")] = true
				}
				service.Routes = append(service.Routes, r)
			}
			if len(service.Routes) == 0 {
				continue
			}
			if len(k.Services) == 0 && service.CORS == nil {
				service.CORS = drawKongCORS(rt)
			}
			k.Services = append(k.Services, service)
		}
		s.hold(rt, drawn{documents(rt, k.written()), []way{{k.serve, k.bare}}, reasons})
	})
	s.enough(t, 20)
}

func (c *kongCORS) written() []any {
	config := object{}
	given(config, "origins", c.Origins)
	given(config, "methods", c.Methods)
	given(config, "headers", c.Headers)
	given(config, "exposed_headers", c.Expose)
	given(config, "credentials", c.Credentials)
	given(config, "private_network", c.PrivateNetwork)
	given(config, "preflight_continue", c.PreflightForward)
	plugin := object{"name": "cors", "config": config}
	if c.Disabled {
		plugin["enabled"] = false
	}
	return []any{plugin}
}

func (k kong) written() object {
	o := object{"_format_version": "3.0", "services": list(k.Services, func(s kongService) any {
		o := object{"name": s.Name, "url": "http://upstream:8080", "routes": list(s.Routes, func(r kongRoute) any {
			o := object{"name": r.Name}
			given(o, "hosts", r.Hosts)
			given(o, "paths", r.Paths)
			given(o, "methods", r.Methods)
			if r.CORS != nil {
				o["plugins"] = r.CORS.written()
			}
			return o
		})}
		if s.CORS != nil {
			o["plugins"] = s.CORS.written()
		}
		return o
	})}
	if k.CORS != nil {
		o["plugins"] = k.CORS.written()
	}
	return o
}

func (k kong) bare(q request, upstream backend) browser.Response {
	if _, route := k.route(q); route == nil {
		return notFound()
	}
	return upstream(q)
}
