package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// traefikHeaders are the settings of the headers middleware that are about CORS.
var traefikHeaders = []string{
	"accessControlAllowCredentials", "accessControlAllowHeaders", "accessControlAllowMethods", "accessControlAllowOriginList",
	"accessControlAllowOriginListRegex", "accessControlExposeHeaders", "accessControlMaxAge", "addVaryHeader",
}

// traefikPolicy translates a headers middleware; cors says whether it has to do with
// CORS at all.
func (r reader) traefikPolicy(node *yaml.Node) (p *policy, changes []Change, cors bool) {
	p = &policy{}
	get := func(name string) *yaml.Node {
		if !slices.Contains(traefikHeaders, name) { // a typing mistake here
			panic(name)
		}
		return field(node, name)
	}
	list := func(name string) []value { return r.list(get(name), name) }
	flag := func(name string) bool {
		on, _ := r.boolean(get(name), name)
		return on
	}
	for _, m := range members(node) {
		known := slices.ContainsFunc(traefikHeaders, func(name string) bool { return strings.EqualFold(name, m.Key.Value) })
		if key := strings.ToLower(m.Key.Value); !known && strings.HasPrefix(key, "accesscontrol") {
			if key == "accesscontrolalloworigin" {
				r.fail(m.Key, "accessControlAllowOrigin is of Traefik 2.0 and ignored since", "write accessControlAllowOriginList")
			} else {
				r.fail(m.Key, fmt.Sprintf("%q is no setting of Traefik's headers middleware", m.Key.Value), "look for a typing mistake")
			}
		}
	}
	for _, m := range members(field(node, "customResponseHeaders")) {
		if !strings.HasPrefix(strings.ToLower(m.Key.Value), "access-control-") || text(m.Value) == "" {
			continue
		}
		r.fail(m.Key, "customResponseHeaders sends "+strings.ToLower(m.Key.Value)+" to everyone, whatever the request asks for", "write accessControlAllowOriginList and the like in place of it")
		cors = true
	}
	origins, regexes := list("accessControlAllowOriginList"), list("accessControlAllowOriginListRegex")
	methods, headers, expose := list("accessControlAllowMethods"), list("accessControlAllowHeaders"), list("accessControlExposeHeaders")
	credentials, vary, age := flag("accessControlAllowCredentials"), flag("addVaryHeader"), get("accessControlMaxAge")
	cors = cors || credentials || vary || age != nil || len(origins)+len(regexes)+len(methods)+len(headers)+len(expose) > 0
	if !cors {
		return nil, nil, false
	}
	m := manner{project: "Traefik", echoes: credentials, unmatched: "Traefik answers it with 200 and no access-control-allow-origin", status: "200", keeps: true, varies: vary}
	if len(origins)+len(regexes) == 0 {
		return nobody(r.o.at(node), m), nil, true
	}
	var allowed []value
	if any := slices.IndexFunc(origins, func(v value) bool { return v.json == "*" }); any >= 0 {
		allowed = []value{{"*", origins[any].at}}
		if credentials {
			p.change(AnyWithCredential, "any origin gets its visitors' data; Traefik before 3.6.22 and 3.7.6 sends `*` with credentials, which browsers refuse")
		}
	} else {
		for _, v := range origins {
			allowed = append(allowed, value{exactOrigin(p, v.text(), false), v.at})
		}
		for _, v := range regexes {
			allowed = append(allowed, r.traefikRegex(p, v))
		}
	}
	p.setList("allow_origins", allowed[0].at, allowed)
	for _, s := range []struct {
		name   string
		values []value
	}{{"allow_methods", methods}, {"allow_headers", headers}, {"expose_headers", expose}} {
		if star := slices.IndexFunc(s.values, func(v value) bool { return v.json == "*" }); star >= 0 && credentials {
			if s.name == "expose_headers" {
				p.change(LiteralStar, "expose_headers is left out: Traefik does not send it with credentials and `*` in it")
				continue
			}
			s.values = s.values[star : star+1] // what is asked for comes back
		}
		if len(s.values) > 0 {
			p.setList(s.name, s.values[0].at, s.values)
		}
	}
	if credentials {
		p.set("allow_credentials", r.o.at(get("accessControlAllowCredentials")), true)
	}
	if age != nil {
		if seconds, err := strconv.ParseInt(text(age), 10, 64); err != nil {
			r.fail(age, "accessControlMaxAge is no whole number", "write seconds, such as 600")
		} else {
			p.set("max_age", r.o.at(age), seconds)
		}
	}
	m.reflects = allowed[0].json != "*"
	p.finish(m)
	return p, nil, true
}

// traefikRegex is a regex of an origin, which is looked for anywhere in it.
func (r reader) traefikRegex(p *policy, v value) value {
	regex := wholeRegex(v.text(), false)
	if text, ok := literalRegex(regex); ok {
		return value{exactOrigin(p, text, false), v.at}
	}
	return value{jsonObject{{"regex", regex}}, v.at}
}
