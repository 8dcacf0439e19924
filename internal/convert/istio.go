package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// istioSource reads VirtualServices, and the Gateways that say which of their hosts
// are exposed. How Istio makes routes of them stands in its
// pilot/pkg/networking/core (gateway.go, route/route.go), read at commit 86c9f01f.
var istioSource = source{
	name: "Istio",
	reads: func(o *object) bool {
		return o.is("networking.istio.io", "VirtualService", "Gateway") || o.is("networking.istio.io", "EnvoyFilter") && mentions(o.root, "allow_origin_string_match")
	},
	tables: istioTables,
}

// istioService is a VirtualService.
type istioService struct {
	*object
	gateways []string // namespace/name, or mesh
	hosts    []*yaml.Node
	http     []*yaml.Node
}

// istioTables makes a table for each gateway: the filter is loaded there.
func istioTables(c *conversion, objects []*object) (tables []table) {
	exposed := map[string]*object{}
	var services []*istioService
	for _, o := range objects {
		switch o.kind {
		case "Gateway":
			exposed[qualified(o.name, o.namespace)] = o
			continue
		case "EnvoyFilter": // what it patches is known to the proxy alone
			c.problem(o.at(nil), o.String(), "patches policies of Envoy's own CORS filter into routes that are not here", "convert what the proxy has of them, out of its /config_dump")
			continue
		}
		spec := child(o.root, "spec")
		s := &istioService{object: o, hosts: elements(child(spec, "hosts")), http: elements(child(spec, "http"))}
		for _, g := range elements(child(spec, "gateways")) {
			s.gateways = append(s.gateways, istioGateway(text(g), o.namespace))
		}
		if len(s.gateways) == 0 {
			s.gateways = []string{mesh}
		}
		services = append(services, s)
	}
	// As Istio does: by age, then by name.
	slices.SortStableFunc(services, func(a, b *istioService) int {
		return cmp.Or(strings.Compare(a.created, b.created), strings.Compare(a.name, b.name), strings.Compare(a.namespace, b.namespace))
	})
	var gateways []string
	for _, s := range services {
		for _, g := range s.gateways {
			if !slices.Contains(gateways, g) {
				gateways = append(gateways, g)
			}
		}
	}
	for _, g := range gateways {
		name := "gateway " + g
		if c.wants(name) {
			scope := istioScope{conversion: c, gateway: g, exposed: exposed[g]}
			tables = append(tables, table{name: name, routes: scope.routes(services)})
		}
	}
	return tables
}

// mesh is what Istio calls all sidecars.
const mesh = "mesh"

func istioGateway(name, namespace string) string {
	if name == mesh {
		return name
	}
	return qualified(name, namespace)
}

// qualified is the name with its namespace, unless it has one or there is none.
func qualified(name, namespace string) string {
	if strings.Contains(name, "/") || namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// istioScope is one gateway in translation.
type istioScope struct {
	*conversion
	gateway string
	exposed *object // its Gateway; nil where that is not in the files
}

// istioOwner are the services that have a host, as one word: hosts of the same ones
// have the same routes.
type istioOwner string

func (s istioScope) routes(services []*istioService) (routes []route) {
	having := map[string][]*istioService{}
	var hosts []string
	short := map[string]Change{}
	for _, v := range services {
		if !slices.Contains(v.gateways, s.gateway) {
			continue
		}
		for _, node := range v.hosts {
			for _, host := range s.hosts(v, strings.ToLower(text(node)), short) {
				if _, known := having[host]; !known {
					hosts = append(hosts, host)
				}
				if !slices.Contains(having[host], v) {
					having[host] = append(having[host], v)
				}
			}
		}
	}
	owners := map[istioOwner][]*istioService{}
	var domains []domain
	for _, host := range hosts {
		var owner istioOwner
		for _, v := range having[host] {
			owner += istioOwner(fmt.Sprintf("%p ", v))
		}
		owners[owner] = having[host]
		domains = append(domains, domainOf(owner, host, nil))
	}
	for _, group := range orderDomains(domains) {
		made := s.virtualHost(group, owners[group[0].owner.(istioOwner)], short)
		if misspelled(domains, group) {
			spelled(made, hostSpelling("Istio", withDot)) // which sets ignore_port_in_host_matching
		}
		routes = append(routes, made...)
	}
	return routes
}

// hosts are those that a host of a service stands for at the gateway: what the
// Gateway exposes of it, and in the mesh every spelling of a Service's name.
func (s istioScope) hosts(v *istioService, host string, short map[string]Change) (all []string) {
	if host == "*" {
		host = ""
	}
	all = []string{host}
	name, rest, dotted := strings.Cut(host, ".")
	namespace, suffix, _ := strings.Cut(rest, ".")
	cluster := suffix == "svc.cluster.local"
	if host != "" && !dotted {
		namespace = v.namespace
	}
	switch full := name + "." + namespace + ".svc.cluster.local"; {
	case host == "" || dotted && !cluster:
	case namespace == "":
		short[host] = Change{ShortHost, fmt.Sprintf("the host %q is taken as it stands: the VirtualService has no namespace to complete it with", host)}
	case s.gateway != mesh:
		all = []string{full}
	default:
		all = []string{full, name + "." + namespace + ".svc", name + "." + namespace}
		if !dotted {
			all = append(all, name)
		}
		for _, h := range all {
			short[h] = Change{ShortHost, fmt.Sprintf("the Service %s in the namespace %s is taken by its name in these spellings: %s", name, namespace, strings.Join(all, ", "))}
		}
	}
	if s.exposed == nil {
		return all
	}
	var shown []string
	for _, server := range elements(child(s.exposed.root, "spec", "servers")) {
		for _, h := range elements(child(server, "hosts")) {
			pattern := strings.ToLower(text(h))
			if i := strings.IndexByte(pattern, '/'); i >= 0 {
				if of := pattern[:i]; of != "*" && of != v.namespace && !(of == "." && v.namespace == s.exposed.namespace) {
					continue
				}
				pattern = pattern[i+1:]
			}
			if pattern == "*" {
				pattern = ""
			}
			for _, host := range all {
				for _, both := range meet(host, pattern) {
					if !slices.Contains(shown, both) {
						shown = append(shown, both)
					}
				}
			}
		}
	}
	return shown
}

// meet returns the hosts that are in both patterns.
func meet(a, b string) []string {
	switch {
	case hostCovers(a, b):
		return []string{b}
	case hostCovers(b, a):
		return []string{a}
	}
	return nil
}

// virtualHost translates the routes of all services that have some hosts: one
// service after the other, and those that take everything last.
func (s istioScope) virtualHost(group []domain, services []*istioService, short map[string]Change) []route {
	var some, everything []route
	for _, v := range services {
		own := s.service(v)
		for _, r := range own {
			r.hosts = hostsOf(group)
			for _, d := range group {
				if change, ok := short[d.text]; ok && r.policy != nil && !slices.Contains(r.changes, change) {
					r.changes = append(r.changes, change)
				}
			}
			if len(services) > 1 && r.policy != nil {
				r.changes = append(r.changes, Change{OrderOfObjects, "several VirtualServices have the host, and are asked by age and name, as Istio does with creationTimestamp; files without it are taken to be of one age"})
			}
			if len(r.when) == 0 && (len(r.paths) == 0 || normal(r.paths[0]).kind == anyPath) {
				everything = append(everything, r)
			} else {
				some = append(some, r)
			}
		}
	}
	return append(append(some, everything...), route{from: services[0].from("", nil), hosts: hostsOf(group), replies: true})
}

var istioConditions = map[string]string{
	"scheme": "the scheme", "port": "the port", "source_labels": "the labels of the caller", "source_namespace": "the namespace of the caller",
	"stat_prefix": "", "name": "", "gateways": "", "ignore_uri_case": "", "uri": "",
}

// service translates the routes of one service for the gateway.
func (s istioScope) service(v *istioService) (routes []route) {
	for i, node := range v.http {
		part := fmt.Sprintf("http[%d]", i)
		r := reader{s.conversion, v.object, part}
		base := route{from: v.from(part, node)}
		base.replies = child(node, "redirect") != nil || child(node, "direct_response") != nil
		if delegate := child(node, "delegate"); delegate != nil {
			r.fail(delegate, "the routes of the delegate "+text(child(delegate, "name"))+" are not here", "write them in place of the delegate")
		}
		if cors := child(node, "cors_policy"); cors != nil && !base.replies {
			base.policy, base.changes = r.istioPolicy(cors)
			if base.policy != nil {
				base.changes = append(base.changes, besideThePolicy(r.o, "headers.response", AddedByIstio(child(node, "headers")))...)
				for _, destination := range elements(child(node, "route")) {
					base.changes = append(base.changes, besideThePolicy(r.o, "headers.response", AddedByIstio(child(destination, "headers")))...)
				}
			}
		}
		matches := elements(child(node, "match"))
		if len(matches) == 0 {
			return append(routes, base) // what follows is out of reach
		}
		for _, match := range matches {
			one, ok := s.match(r, v, base, match)
			if !ok {
				continue
			}
			routes = append(routes, one)
			if len(one.when) == 0 && (len(one.paths) == 0 || normal(one.paths[0]).kind == anyPath) {
				return routes
			}
		}
	}
	return routes
}

// match adds what a match asks for; it reports false where the gateway is none of
// its gateways.
func (s istioScope) match(r reader, v *istioService, made route, node *yaml.Node) (route, bool) {
	made.changes = slices.Clone(made.changes)
	if gateways := elements(child(node, "gateways")); len(gateways) > 0 && !slices.ContainsFunc(gateways, func(g *yaml.Node) bool {
		return istioGateway(text(g), v.namespace) == s.gateway
	}) {
		return made, false
	}
	when := func(node *yaml.Node, what string) {
		made.when = append(made.when, condition{what: what, at: r.o.at(node)})
	}
	anyCase, _ := r.boolean(child(node, "ignore_uri_case"), "ignoreUriCase")
	for _, m := range members(child(node, "uri")) {
		at := r.o.at(m.Value)
		one := func(kind pathKind) {
			made.paths = []path{{kind: kind, text: text(m.Value), anyCase: anyCase, at: at}}
		}
		switch m.Key.Value {
		case "exact":
			one(exactPath)
		case "prefix":
			one(prefixPath)
		case "regex":
			made.paths = r.regex(&made, text(m.Value), anyCase, at)
		default:
			r.fail(m.Key, m.Key.Value+" is no match of a uri", "write exact, prefix or regex")
		}
	}
	for _, m := range members(node) {
		key := snake(m.Key.Value)
		switch key {
		case "method":
			when(m.Value, "the method, and a preflight is OPTIONS")
		case "authority":
			when(m.Value, "the authority; write it among the hosts")
		case "headers", "without_headers":
			for _, h := range members(m.Value) {
				when(h.Key, fmt.Sprintf("the header %q, which a preflight does not carry", h.Key.Value))
			}
		case "query_params":
			for _, q := range members(m.Value) {
				when(q.Key, fmt.Sprintf("the query parameter %q", q.Key.Value))
			}
		default:
			what, known := istioConditions[key]
			if !known {
				what = m.Key.Value + ", which is not known here"
			}
			if what != "" {
				when(m.Value, what)
			}
		}
	}
	return made, true
}

var istioSettings = []string{
	"allow_origins", "allow_origin", "allow_methods", "allow_headers", "expose_headers", "max_age", "allow_credentials", "unmatched_preflights",
}

// istioPolicy reads a corsPolicy, which Istio makes a CorsPolicy of Envoy's.
func (r reader) istioPolicy(node *yaml.Node) (*policy, []Change) {
	p := &policy{}
	for _, m := range members(node) {
		if !slices.Contains(istioSettings, snake(m.Key.Value)) {
			r.fail(m.Key, fmt.Sprintf("%q is no setting of Istio's corsPolicy", m.Key.Value), "look for a typing mistake")
		}
	}
	origins := r.origins(p, child(node, "allow_origins"))
	if child(node, "allow_origins") == nil {
		for _, v := range r.list(child(node, "allow_origin"), "allowOrigin") {
			origins = append(origins, value{exactOrigin(p, v.text(), false), v.at})
		}
	}
	m := manner{project: "Istio", echoes: true, authorization: true, reflects: true, unmatched: "Istio forwards it", status: "200", keeps: true}
	if v := child(node, "unmatched_preflights"); v != nil {
		switch text(v) {
		case "FORWARD":
			p.set("unmatched_preflights", r.o.at(v), "forward")
		case "IGNORE":
			m.unmatched = "Istio answers it with 200 and no access-control-allow-origin"
			m.answers = true
		case "UNSPECIFIED":
		default:
			r.fail(v, fmt.Sprintf("unmatchedPreflights is no %q", text(v)), "write FORWARD or IGNORE")
		}
	}
	if len(origins) == 0 && m.answers {
		return nobody(r.o.at(node), m), nil
	}
	if len(origins) == 0 {
		return nil, []Change{{NoOrigins, "the policy allows no origin, and is off here: what upstream answers a preflight counts"}}
	}
	p.setList("allow_origins", origins[0].at, origins)
	for _, name := range []string{"allow_methods", "allow_headers", "expose_headers"} {
		if v := child(node, name); v != nil {
			items := r.list(v, document.Camel(name))
			p.setList(name, r.o.at(v), items)
		}
	}
	if v := child(node, "max_age"); v != nil {
		if d, err := time.ParseDuration(text(v)); err == nil {
			p.set("max_age", r.o.at(v), int64(d/time.Second))
		} else {
			r.fail(v, fmt.Sprintf("maxAge %q is no duration", text(v)), `write one such as "24h"`)
		}
	}
	if v := child(node, "allow_credentials"); v != nil {
		if on, _ := r.boolean(v, "allowCredentials"); on {
			p.set("allow_credentials", r.o.at(v), true)
		}
	}
	p.finish(m)
	p.change(EarlierInChain, "in phase AUTHN the filter stands before authentication and authorization: preflights are answered, and 401 and 403 carry CORS headers")
	return p, nil
}
