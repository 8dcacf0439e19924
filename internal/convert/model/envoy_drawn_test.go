package model

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawEnvoyCORS(t *rapid.T) *envoyCORS {
	c := &envoyCORS{
		Methods: strings.Join(words(t, "methods", methodNames, 3), ", "), Headers: strings.Join(words(t, "headers", headerNames, 3), ","),
		Expose: strings.Join(some(t, "expose", exposed, 0, 2), ","), MaxAge: pick(t, "max age", []string{"", "600", "86400"}),
		Credentials: optional(t, "credentials"), ForwardNotMatch: optional(t, "forwards"), Enabled: drawPercent(t, "enabled"), Shadow: drawPercent(t, "shadow"),
	}
	if chance(t, "private network", 4) {
		c.PrivateNetwork = yes()
	}
	if chance(t, "any among others", 10) { // which Envoy sends as it stands
		c.Methods, c.Headers = "PUT, *", "x-a, *"
	}
	if !chance(t, "no origins", 5) {
		c.Origins = drawMatchers(t, true)
	}
	return c
}

func drawEnvoyMatch(t *rapid.T) envoyMatch {
	m := envoyMatch{Kind: pick(t, "match", []string{"prefix", "prefix", "path", "path_separated_prefix"}), Value: pick(t, "path", pathTexts)}
	if m.Kind == "path_separated_prefix" { // validated: no slash at the end (route_components.proto)
		if m.Value = strings.TrimSuffix(m.Value, "/"); m.Value == "" {
			m.Value = "/v1"
		}
	}
	switch die(t, "hard match", 60) {
	case 0:
		m.Kind, m.Value = "safe_regex", "/v[0-9]+/.*"
	case 1:
		m.AnyCase = true
	case 2:
		m.Headers = []envoyHeader{{Name: "x-version", Exact: "2"}}
	case 3:
		m.Headers = []envoyHeader{{Name: ":method", Exact: pick(t, "of method", []string{"GET", "OPTIONS", "PUT"})}}
	}
	return m
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

// drawEnvoy draws a route configuration.
func drawEnvoy(t *rapid.T) envoy {
	e := envoy{CORS: maybe(t, "on all hosts", 10, drawEnvoyCORS), IgnorePort: chance(t, "ignores ports", 2)}
	domains := some(t, "domains", append(slices.Clone(hostNames[:5]), hostWilds...), 1, 4)
	for len(domains) > 0 {
		n := 1 + die(t, "domains of a host", len(domains))
		h := envoyHost{Name: "host" + string(rune('0'+len(e.Hosts))), Domains: domains[:n]}
		domains = domains[n:]
		if chance(t, "a domain with a wildcard at its end", 100) {
			h.Domains = append(slices.Clone(h.Domains), "shop.example.*")
		}
		old := chance(t, "old fields", 4)
		if old {
			h.Old = maybe(t, "old on the host", 2, drawEnvoyCORS)
		} else {
			h.CORS = maybe(t, "on the host", 2, drawEnvoyCORS)
		}
		for range 1 + die(t, "routes", 3) {
			r := envoyRoute{Match: drawEnvoyMatch(t)}
			if len(h.Routes) > 0 || chance(t, "everything first", 3) {
				r.Match.Value = pick(t, "or everything", []string{"/", r.Match.Value})
			}
			if old {
				r.Old = maybe(t, "old on the route", 2, drawEnvoyCORS)
			} else {
				r.CORS = maybe(t, "on the route", 2, drawEnvoyCORS)
			}
			switch die(t, "action", 12) {
			case 0:
				r.Action = "redirect"
			case 1:
				r.Action = "direct_response"
			case 2:
				r.Action = "weighted"
				r.Cluster = maybe(t, "on the cluster", 2, drawEnvoyCORS)
			}
			if r.Match.Kind == "path_separated_prefix" && r.Match.Value == "/" {
				r.Match.Kind = "prefix"
			}
			if r.Match.Kind == "safe_regex" && r.Match.Value == "/" {
				r.Match.Value = "/.*"
			}
			h.Routes = append(h.Routes, r)
		}
		if len(e.Hosts) == 0 && h.CORS == nil && h.Old == nil {
			h.CORS = drawEnvoyCORS(t)
		}
		e.Hosts = append(e.Hosts, h)
	}
	return e
}

func TestEnvoy(t *testing.T) {
	var s shares
	rapid.Check(t, func(rt *rapid.T) {
		e := drawEnvoy(rt)
		s.hold(rt, drawn{documents(t, e.written()), []way{{e.serve, e.bare}}, e.reasons()})
	})
	s.enough(t, 30)
}

func (m stringMatcher) written() any {
	o := object{m.Kind: m.Value}
	if m.Kind == "safe_regex" {
		o[m.Kind] = object{"regex": m.Value}
	}
	given(o, "ignore_case", m.IgnoreCase)
	return o
}

func (c *envoyCORS) written(typed bool) object {
	if c == nil {
		return nil
	}
	o := object{}
	if len(c.Origins) > 0 {
		o["allow_origin_string_match"] = list(c.Origins, stringMatcher.written)
	}
	given(o, "allow_methods", c.Methods)
	given(o, "allow_headers", c.Headers)
	given(o, "expose_headers", c.Expose)
	given(o, "max_age", c.MaxAge)
	given(o, "allow_credentials", c.Credentials)
	given(o, "allow_private_network_access", c.PrivateNetwork)
	given(o, "forward_not_matching_preflights", c.ForwardNotMatch)
	fraction := func(key string, percent *int) {
		if percent != nil {
			o[key] = object{"default_value": object{"numerator": *percent, "denominator": "HUNDRED"}}
		}
	}
	fraction("filter_enabled", c.Enabled)
	fraction("shadow_enabled", c.Shadow)
	if typed {
		o["@type"] = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
	}
	return o
}

func (m envoyMatch) written() object {
	o := object{m.Kind: m.Value}
	if m.Kind == "safe_regex" {
		o[m.Kind] = object{"regex": m.Value}
	}
	if m.AnyCase {
		o["case_sensitive"] = false
	}
	if len(m.Headers) > 0 {
		o["headers"] = list(m.Headers, func(h envoyHeader) any {
			if h.Present {
				return object{"name": h.Name, "present_match": true}
			}
			return object{"name": h.Name, "string_match": object{"exact": h.Exact}}
		})
	}
	return o
}

func perFilter(c *envoyCORS) object {
	if c == nil {
		return nil
	}
	return object{"envoy.filters.http.cors": c.written(true)}
}

func (e envoy) written() object {
	routes := object{"name": "local_route", "virtual_hosts": list(e.Hosts, func(h envoyHost) any {
		o := object{"name": h.Name, "domains": h.Domains, "routes": list(h.Routes, func(r envoyRoute) any {
			o := object{"match": r.Match.written()}
			given(o, "name", r.Name)
			given(o, "typed_per_filter_config", perFilter(r.CORS))
			action := object{"cluster": "upstream"}
			switch r.Action {
			case "redirect":
				o["redirect"] = object{"host_redirect": "elsewhere.example"}
				return o
			case "direct_response":
				o["direct_response"] = object{"status": 200}
				return o
			case "weighted":
				cluster := object{"name": "upstream", "weight": 100}
				given(cluster, "typed_per_filter_config", perFilter(r.Cluster))
				action = object{"weighted_clusters": object{"clusters": []any{cluster}}}
			}
			given(action, "cors", r.Old.written(false))
			o["route"] = action
			return o
		})}
		given(o, "typed_per_filter_config", perFilter(h.CORS))
		given(o, "cors", h.Old.written(false))
		return o
	})}
	given(routes, "typed_per_filter_config", perFilter(e.CORS))
	given(routes, "ignore_port_in_host_matching", e.IgnorePort)
	filter := func(name, message string) any {
		return object{"name": name, "typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http." + message}}
	}
	manager := object{
		"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "ingress_http",
		"route_config": routes, "http_filters": []any{filter("envoy.filters.http.cors", "cors.v3.Cors"), filter("envoy.filters.http.router", "router.v3.Router")},
	}
	address := func(port int) object {
		return object{"socket_address": object{"address": "127.0.0.1", "port_value": port}}
	}
	return object{"static_resources": object{
		"listeners": []any{object{"name": "http", "address": address(10000), "filter_chains": []any{object{"filters": []any{
			object{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}}}}}},
		"clusters": []any{object{"name": "upstream", "type": "STATIC", "connect_timeout": "1s", "load_assignment": object{"cluster_name": "upstream",
			"endpoints": []any{object{"lb_endpoints": []any{object{"endpoint": object{"address": address(8080)}}}}}}}},
	}}
}

func drawMatchers(t *rapid.T, loose bool) (out []stringMatcher) {
	for range 1 + die(t, "matchers", 3) {
		switch die(t, "matcher", 12) {
		case 0:
			out = append(out, stringMatcher{Kind: "exact", Value: "*"})
		case 1, 2, 3:
			out = append(out, stringMatcher{Kind: "safe_regex", Value: pick(t, "regex", regexOrigins)})
		case 4:
			out = append(out, stringMatcher{Kind: "prefix", Value: pick(t, "prefix", []string{"https://shop.example.com", "https://shop", "*"})})
		case 5:
			if loose {
				out = append(out, stringMatcher{Kind: pick(t, "loose", []string{"suffix", "contains"}),
					Value: pick(t, "part", []string{".example.com", "shop.example"}), IgnoreCase: chance(t, "any case", 2)})
				continue
			}
			fallthrough
		case 6:
			out = append(out, stringMatcher{Kind: "exact", Value: pick(t, "rare origin", rareOrigins)})
		default:
			out = append(out, stringMatcher{Kind: "exact", Value: pick(t, "exact origin", exactOrigins)})
		}
	}
	return out
}

func drawPercent(t *rapid.T, label string) *int {
	switch die(t, label, 10) {
	case 0:
		n := 0
		return &n
	case 1:
		n := 100
		return &n
	}
	return nil
}

// maybe draws a policy once in n times.
func maybe[T any](t *rapid.T, label string, n int, draw func(*rapid.T) *T) *T {
	if !chance(t, label, n) {
		return nil
	}
	return draw(t)
}

var (
	rareOrigins  = []string{"http://shop.example.com", "null"}
	regexOrigins = []string{`https://.*\.shop\.example\.com`, `https://shop\.example\.com(:[0-9]+)?`, `https://pr-[0-9]+\.preview\.example\.com`, `https?://localhost:[0-9]+`,
		`https://([a-z0-9-]+\.)?shop\.example\.com`, `.*`, `https://.*example\.com`, `https://shop.example.com`, `https://[a-z]+\.example\.(com|org)`}
)
