package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// envoySource reads Envoy's own CORS filter: its policies on route configurations,
// virtual hosts, routes and weighted clusters, in a bootstrap, in resources of xDS
// or in a route configuration by itself. How Envoy decides stands in
// source/extensions/filters/http/cors/cors_filter.cc and
// source/common/router/config_impl.cc, read at commit 001cbf14.
var envoySource = source{
	name:   "Envoy",
	reads:  func(o *object) bool { return o.kind == "" && mentions(o.root, "virtual_hosts") },
	tables: envoyTables,
}

// mentions reports whether a key stands anywhere below a node.
func mentions(node *yaml.Node, key string) bool {
	node = document.Resolve(node)
	if node == nil {
		return false
	}
	if node.Kind == yaml.SequenceNode {
		return slices.ContainsFunc(node.Content, func(n *yaml.Node) bool { return mentions(n, key) })
	}
	return slices.ContainsFunc(members(node), func(m document.Member) bool { return snake(m.Key.Value) == key || mentions(m.Value, key) })
}

// envoyManager is an HTTP connection manager, or what is assumed of one where a
// route configuration stands alone.
type envoyManager struct {
	o    *object
	node *yaml.Node
	// filters are the names of the CORS filter in its chain, and whether it is
	// disabled unless a route says otherwise.
	filters  map[string]bool
	has      bool // a chain of filters is there
	ports    bool // a port in Host counts
	dots     bool // a dot at its end does
	rds      string
	consumed bool
}

type envoyFinder struct {
	*conversion
	managers []*envoyManager
	// alone are route configurations outside of managers.
	alone []envoyRoutes
}

type envoyRoutes struct {
	o    *object
	node *yaml.Node
}

func envoyTables(c *conversion, objects []*object) (tables []table) {
	f := &envoyFinder{conversion: c}
	for _, o := range objects {
		f.find(o, o.root)
	}
	for _, m := range f.managers {
		if routes := child(m.node, "route_config"); routes != nil {
			tables = append(tables, c.envoyTable(m, m.o, routes))
			continue
		}
		for i := range f.alone {
			if r := &f.alone[i]; m.rds != "" && text(child(r.node, "name")) == m.rds {
				tables = append(tables, c.envoyTable(m, r.o, r.node))
				m.consumed = true
			}
		}
		if !m.consumed && len(m.filters) > 0 {
			c.problem(m.o.at(m.node), "HTTP connection manager "+text(child(m.node, "stat_prefix")), "its routes are not in the files", "add the route configuration, for example out of Envoy's /config_dump")
		}
	}
	for _, r := range f.alone {
		name := text(child(r.node, "name"))
		if slices.ContainsFunc(f.managers, func(m *envoyManager) bool { return m.consumed && m.rds == name }) {
			continue
		}
		tables = append(tables, c.envoyTable(&envoyManager{o: r.o, ports: true, dots: true}, r.o, r.node))
	}
	return tables
}

// find looks for managers and route configurations anywhere in a document.
func (f *envoyFinder) find(o *object, node *yaml.Node) {
	node = document.Resolve(node)
	switch {
	case node == nil:
	case node.Kind == yaml.SequenceNode:
		for _, e := range node.Content {
			f.find(o, e)
		}
	case node.Kind != yaml.MappingNode:
	case child(node, "http_filters") != nil || child(node, "route_config") != nil && child(node, "route_config", "virtual_hosts") != nil && child(node, "stat_prefix") != nil:
		f.managers = append(f.managers, f.manager(o, node))
	case child(node, "virtual_hosts") != nil:
		f.alone = append(f.alone, envoyRoutes{o, node})
	default:
		for _, m := range members(node) {
			f.find(o, m.Value)
		}
	}
}

// envoyCorsFilters are the names and types of the filter, old ones included.
var envoyCorsFilters = []string{"envoy.filters.http.cors", "envoy.cors"}

func (f *envoyFinder) manager(o *object, node *yaml.Node) *envoyManager {
	m := &envoyManager{o: o, node: node, filters: map[string]bool{}, has: true, rds: text(child(node, "rds", "route_config_name"))}
	r := reader{f.conversion, o, "HTTP connection manager"}
	for _, filter := range elements(child(node, "http_filters")) {
		name, kind := text(child(filter, "name")), text(child(filter, "typed_config", "@type"))
		if strings.HasSuffix(kind, "filters.http.cors.v3.Cors") || strings.HasSuffix(kind, "filter.http.cors.v2.Cors") || kind == "" && slices.Contains(envoyCorsFilters, name) {
			m.filters[name], _ = r.boolean(child(filter, "disabled"), "disabled")
		}
	}
	if len(m.filters) > 1 {
		r.fail(node, "several CORS filters are in the chain", "keep one")
	}
	strip, _ := r.boolean(child(node, "strip_any_host_port"), "strip_any_host_port")
	m.ports = !strip
	strip, _ = r.boolean(child(node, "strip_trailing_host_dot"), "strip_trailing_host_dot")
	m.dots = !strip
	return m
}

// envoyScope is one route configuration in translation.
type envoyScope struct {
	reader
	manager *envoyManager
	config  *yaml.Node
	name    string
	inert   *yaml.Node // a policy that no filter reads
	routes  []route
}

func (c *conversion) envoyTable(m *envoyManager, o *object, config *yaml.Node) table {
	s := &envoyScope{reader: reader{c, o, ""}, manager: m, config: config}
	s.name = "route configuration " + text(child(config, "name"))
	if text(child(config, "name")) == "" {
		s.name = fmt.Sprintf("route configuration in line %d", config.Line)
	}
	if !c.wants(s.name) {
		return table{name: s.name}
	}
	s.part = s.name
	if vhds := child(config, "vhds"); vhds != nil {
		s.fail(vhds, "virtual hosts come from VHDS", "add them to the route configuration, for example out of Envoy's /config_dump")
	}
	ignored, _ := s.boolean(child(config, "ignore_port_in_host_matching"), "ignore_port_in_host_matching")
	switch ports := m.ports && !ignored; {
	case ports && m.dots:
		s.virtualHosts(withBoth)
	case ports:
		s.virtualHosts(withPort)
	case m.dots:
		s.virtualHosts(withDot)
	default:
		s.virtualHosts("")
	}
	if s.inert != nil {
		what := "envoy.filters.http.cors is not among the http_filters"
		if len(m.filters) > 0 {
			what = "the CORS filter among the http_filters has another name"
		}
		s.fail(s.inert, "the policy has no effect: "+what, "add the filter where the policy is meant, or take the policy out")
	} else if m.has && len(m.filters) == 0 { // the filter is not meant for this chain
		return table{name: s.name}
	}
	return table{name: s.name, routes: s.routes}
}

// virtualHosts translates them in the order in which Envoy asks: exact domains, the
// longest suffix, the longest prefix, any. The spelling of a host is what makes another host of it.
func (s *envoyScope) virtualHosts(spelling string) {
	var domains []domain
	for _, vhost := range elements(child(s.config, "virtual_hosts")) {
		named := map[string]bool{}
		for _, d := range elements(child(vhost, "domains")) {
			named[strings.ToLower(text(d))] = true
		}
		for _, d := range elements(child(vhost, "domains")) {
			one := domainOf(vhost, text(d), d)
			if host, port, ok := cutPort(one.text); ok {
				if named[host] { // the host without a port stands beside it, or with another
					continue
				}
				named[host] = true
				one.text, one.port, one.rank = host, port, 0
			}
			domains = append(domains, one)
		}
		if len(elements(child(vhost, "domains"))) == 0 {
			s.fail(vhost, "a virtual host has no domains", "write them")
		}
	}
	for _, group := range orderDomains(domains) {
		s.virtualHost(domains, group, spelling)
	}
}

// cutPort cuts the port off a domain; that of "a.example:*" is "*".
func cutPort(domain string) (host, port string, ok bool) {
	i := strings.LastIndexByte(domain, ':')
	if i < 0 || strings.HasSuffix(domain, "]") {
		return domain, "", false
	}
	port = domain[i+1:]
	if _, err := strconv.Atoi(port); err != nil && port != "*" {
		return domain, "", false
	}
	return domain[:i], port, true
}

// virtualHost adds the routes of one virtual host, for some of its domains.
func (s *envoyScope) virtualHost(domains, own []domain, spelling string) {
	d := own[0]
	vhost := d.owner.(*yaml.Node)
	name := text(child(vhost, "name"))
	here := s.reader
	here.part = "virtual host " + name
	source := "virtual host " + name
	var hosts []string
	var when []condition
	var changes []Change
	at := s.o.at(d.node)
	switch {
	case d.rank == 3:
		if spelling != "" && misspelled(domains, own) {
			changes = append(changes, hostSpelling("Envoy", spelling))
		}
	case d.port != "":
		hosts = []string{d.text}
		others := slices.ContainsFunc(domains, func(o domain) bool {
			return o.owner != d.owner && (o.rank == 0 && o.text == d.text || o.rank > 0)
		})
		if others {
			when = append(when, condition{what: "the port " + d.port + " of the host", at: at, remedy: "write the domain " + d.text + " without it, where the listener has one port"})
		} else {
			changes = append(changes, Change{HostSpelling, d.text + " stands for the host with any port, or none; Envoy takes it with " + d.port + " alone"})
		}
	case !d.plain():
		hosts = hostList(d.region())
		when = append(when, condition{what: "the domain " + d.text + ", a part of a label", at: at, remedy: "write the hosts, or whole labels such as *.example.com"})
	default:
		hosts = hostsOf(own)
		if spelling != "" && misspelled(domains, own) {
			changes = append(changes, hostSpelling("Envoy", spelling))
		}
	}
	if tls := text(child(vhost, "require_tls")); tls != "" && tls != "NONE" {
		changes = append(changes, Change{MoreResponses, "the redirect to https that require_tls makes carries CORS headers as well"})
	}
	if matcher := child(vhost, "matcher"); matcher != nil {
		here.fail(matcher, "a tree of matchers can not be carried over", "write routes")
	}
	for n, node := range elements(child(vhost, "routes")) {
		part := fmt.Sprintf("routes[%d]", n)
		if named := text(child(node, "name")); named != "" {
			part = "route " + named
		}
		here.part = source + " " + part
		for _, r := range s.route(here, vhost, node, From{source, part, s.o.at(node)}) {
			r.hosts = hosts
			r.when = append(slices.Clone(when), r.when...)
			if r.policy != nil {
				r.changes = append(r.changes, changes...)
			}
			s.routes = append(s.routes, r)
		}
	}
	s.routes = append(s.routes, route{from: From{Source: source, Place: s.o.at(vhost)}, hosts: hosts, when: when, replies: true})
}

// envoyConditions are the keys of a match that ask for something else than the path.
var envoyConditions = map[string]string{
	"grpc": "gRPC, which a preflight is not", "tls_context": "the TLS connection", "dynamic_metadata": "metadata",
	"filter_state": "the state of a filter", "path_match_policy": "a template of the path", "runtime": "the runtime",
}

// route translates one route; weighted clusters with policies of their own make
// several of it, and a CONNECT makes none: no browser sends it.
func (s *envoyScope) route(r reader, vhost, node *yaml.Node, from From) (routes []route) {
	match := child(node, "match")
	made := route{from: from}
	anyCase := false
	if sensitive, given := r.boolean(child(match, "case_sensitive"), "case_sensitive"); given {
		anyCase = !sensitive
	}
	when := func(node *yaml.Node, what, remedy string) {
		made.when = append(made.when, condition{what, r.o.at(node), remedy})
	}
	for _, m := range members(match) {
		at := r.o.at(m.Value)
		one := func(kind pathKind) {
			made.paths = []path{{kind: kind, text: text(m.Value), anyCase: anyCase, at: at}}
		}
		switch key := snake(m.Key.Value); key {
		case "prefix":
			one(prefixPath)
		case "path":
			one(exactPath)
		case "path_separated_prefix":
			one(belowPath)
		case "safe_regex", "regex":
			regex := text(m.Value)
			if key == "safe_regex" {
				regex = text(child(m.Value, "regex"))
			}
			made.paths = r.regex(&made, regex, anyCase, at)
		case "connect_matcher":
			return nil
		case "case_sensitive":
		case "headers":
			for _, h := range elements(m.Value) {
				name := text(child(h, "name"))
				if strings.EqualFold(name, ":method") {
					when(h, "the method, and a preflight is OPTIONS", "")
				} else {
					when(h, fmt.Sprintf("the header %q, which a preflight does not carry", name), "")
				}
			}
		case "query_parameters":
			for _, q := range elements(m.Value) {
				when(q, fmt.Sprintf("the query parameter %q", text(child(q, "name"))), "")
			}
		case "cookies":
			when(m.Value, "a cookie, which a preflight does not carry", "")
		case "runtime_fraction":
			if of, key := r.fraction(m.Value); of != shareAll || key != "" {
				when(m.Value, "a share of the requests", "")
			}
		default:
			what, known := envoyConditions[key]
			if !known {
				what = m.Key.Value + ", which is not known here"
			}
			when(m.Value, what, "")
		}
	}
	action := child(node, "route")
	if action == nil { // redirects and direct responses are none of the filter's business
		made.replies = true
		return []route{made}
	}
	if match == nil {
		r.fail(node, "a route has no match", "write one")
	}
	levels := []*yaml.Node{node, vhost, s.config}
	var clusters []*yaml.Node
	for _, c := range elements(child(action, "weighted_clusters", "clusters")) {
		if text(child(c, "weight")) != "0" {
			clusters = append(clusters, c)
		}
	}
	if !slices.ContainsFunc(clusters, func(c *yaml.Node) bool { _, _, own := s.perFilter(r, c); return own }) {
		made.policy, made.changes = s.policy(r, levels, action, vhost)
		made.changes = append(made.changes, s.added(made.policy, append(clusters, levels...))...)
		return []route{made}
	}
	for i, c := range clusters {
		one := made
		one.when = slices.Clone(made.when)
		here := r
		here.part = r.part + " cluster " + text(child(c, "name"))
		one.from = From{from.Source, from.Part + " cluster " + text(child(c, "name")), r.o.at(c)}
		own := append([]*yaml.Node{c}, levels...)
		one.policy, one.changes = s.policy(here, own, action, vhost)
		one.changes = append(one.changes, s.added(one.policy, own)...)
		if i < len(clusters)-1 {
			one.when = append(one.when, condition{"a share of the requests, by the weight of the cluster " + text(child(c, "name")), r.o.at(c), "give the clusters the same policy"})
		}
		routes = append(routes, one)
	}
	return routes
}

// added says which CORS headers Envoy adds to what a policy covers.
func (s *envoyScope) added(p *policy, levels []*yaml.Node) (changes []Change) {
	if p == nil {
		return nil
	}
	for _, level := range levels {
		changes = append(changes, besideThePolicy(s.o, "response_headers_to_add", AddedHeaders(child(level, "response_headers_to_add")))...)
	}
	for _, mapper := range elements(child(s.manager.node, "local_reply_config", "mappers")) {
		changes = append(changes, besideThePolicy(s.manager.o, "local_reply_config", AddedHeaders(child(mapper, "headers_to_add")))...)
	}
	return changes
}

// regex writes a regex of the path as paths, or as a condition.
func (r reader) regex(made *route, regex string, anyCase bool, at Place) []path {
	if paths, ok := regexPaths(regex); ok {
		for i := range paths {
			paths[i].at, paths[i].anyCase = at, anyCase
		}
		return paths
	}
	made.when = append(made.when, condition{fmt.Sprintf("the regex %q of the path", regex), at, "write the paths, or a prefix"})
	region := regexRegion(regex)
	region.anyCase = anyCase
	return []path{region}
}

// perFilter returns what a level says for the CORS filter: its policy, whether it
// disables the filter, and whether it says anything.
func (s *envoyScope) perFilter(r reader, level *yaml.Node) (policy *yaml.Node, disabled, own bool) {
	for _, m := range members(child(level, "typed_per_filter_config")) {
		kind := text(child(m.Value, "@type"))
		config := m.Value
		if strings.HasSuffix(kind, "envoy.config.route.v3.FilterConfig") {
			disabled, _ = r.boolean(child(m.Value, "disabled"), "disabled")
			config = child(m.Value, "config")
			kind = text(child(config, "@type"))
		}
		isPolicy := strings.HasSuffix(kind, "filters.http.cors.v3.CorsPolicy") || strings.HasSuffix(kind, "route.v3.CorsPolicy")
		if s.manager.has {
			if _, known := s.manager.filters[m.Key.Value]; !known {
				if isPolicy && s.inert == nil {
					s.inert = m.Value
				}
				continue
			}
		} else if !isPolicy && !slices.Contains(envoyCorsFilters, m.Key.Value) {
			continue
		}
		if config != nil && !isPolicy && !disabled {
			r.fail(m.Value, fmt.Sprintf("%q is no CorsPolicy", kind), "write type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy")
			continue
		}
		return config, disabled, true
	}
	return nil, false, false
}

// policy merges the policies of all levels, the most specific first: each setting
// falls back by itself, and the switches count in the first policy alone.
func (s *envoyScope) policy(r reader, levels []*yaml.Node, action, vhost *yaml.Node) (*policy, []Change) {
	var policies []*yaml.Node
	off, decided := false, false
	for _, disabled := range s.manager.filters {
		off = disabled
	}
	for _, level := range levels {
		policy, disabled, own := s.perFilter(r, level)
		if own && !decided {
			off, decided = disabled, true
		}
		if policy != nil {
			policies = append(policies, policy)
		}
	}
	if len(policies) == 0 { // the old fields count where there are no new ones
		for _, old := range []*yaml.Node{child(action, "cors"), child(vhost, "cors")} {
			if old != nil {
				policies = append(policies, old)
			}
		}
	}
	if len(policies) == 0 || off {
		return nil, nil
	}
	if s.manager.has && len(s.manager.filters) == 0 {
		if s.inert == nil {
			s.inert = policies[0]
		}
		return nil, nil
	}
	return r.envoyPolicy(policies)
}

// envoySettings are the fields of CorsPolicy, those of API v2 included.
var envoySettings = []string{
	"@type", "allow_origin_string_match", "allow_methods", "allow_headers", "expose_headers", "max_age", "allow_credentials",
	"filter_enabled", "shadow_enabled", "allow_private_network_access", "forward_not_matching_preflights",
	"allow_origin", "allow_origin_regex", "enabled",
}

// envoyPolicy makes one policy of several, the most specific first.
func (r reader) envoyPolicy(policies []*yaml.Node) (*policy, []Change) {
	p := &policy{}
	for _, node := range policies {
		for _, m := range members(node) {
			if !slices.Contains(envoySettings, snake(m.Key.Value)) {
				r.fail(m.Key, fmt.Sprintf("%q is no setting of Envoy's CorsPolicy", m.Key.Value), "look for a typing mistake")
			}
		}
	}
	first := func(name string) *yaml.Node {
		for _, node := range policies {
			if v := child(node, name); v != nil && (v.Kind != yaml.ScalarNode || v.Value != "") && (v.Kind != yaml.SequenceNode || len(v.Content) > 0) {
				return v
			}
		}
		return nil
	}
	on, enforced := r.envoySwitches(p, policies[0])
	if !on {
		return nil, nil
	}
	m := manner{project: "Envoy", echoes: true, authorization: true, reflects: true, unmatched: "Envoy forwards it", status: "200", keeps: true}
	forward := first("forward_not_matching_preflights")
	if forwards, given := r.boolean(forward, "forward_not_matching_preflights"); given && forwards {
		p.set("unmatched_preflights", r.o.at(forward), "forward")
	} else if given {
		m.unmatched = "Envoy answers it with 200 and no access-control-allow-origin"
		m.answers = true
	}
	origins := r.envoyOrigins(p, policies)
	if len(origins) == 0 {
		if m.answers && enforced {
			return nobody(r.o.at(policies[0]), m), nil
		}
		return nil, []Change{{NoOrigins, "the policy allows no origin, and is off here: what upstream answers a preflight counts"}}
	}
	p.setList("allow_origins", origins[0].at, origins)
	for _, name := range []string{"allow_methods", "allow_headers", "expose_headers"} {
		if v := first(name); v != nil {
			items := r.commas(v, name)
			p.setList(name, r.o.at(v), items)
		}
	}
	if v := first("max_age"); v != nil {
		if seconds, err := strconv.ParseInt(text(v), 10, 64); err == nil {
			p.set("max_age", r.o.at(v), seconds)
		} else {
			r.fail(v, fmt.Sprintf("max_age %q is sent as it stands, and browsers read whole seconds alone", text(v)), `write seconds, such as "600"`)
		}
	}
	for _, name := range []string{"allow_credentials", "allow_private_network_access"} {
		if v := first(name); v != nil {
			if on, _ := r.boolean(v, name); on {
				p.set(name, r.o.at(v), true)
			}
		}
	}
	p.finish(m)
	return p, nil
}

// envoySwitches reads filter_enabled and shadow_enabled of the first policy; on is
// false where neither is.
func (r reader) envoySwitches(p *policy, node *yaml.Node) (on, enforced bool) {
	enforced = true
	fraction := func(name string, otherwise bool) bool {
		v := child(node, name)
		if v == nil {
			return otherwise
		}
		of, key := r.fraction(v)
		if of == shareSome {
			r.fail(v, name+" takes a share of the requests, and the module decides the same for all", "write 0 or 100 %")
		}
		if key != "" {
			p.change(RuntimeKey, fmt.Sprintf("%s can not be changed by the runtime key %q any more: the default value holds", name, key))
		}
		return of == shareAll
	}
	if old := child(node, "enabled"); old != nil {
		enforced, _ = r.boolean(old, "enabled")
	}
	enforced = fraction("filter_enabled", enforced)
	shadow := fraction("shadow_enabled", false)
	if !enforced && shadow {
		p.set("mode", r.o.at(node), "shadow")
	}
	return enforced || shadow, enforced
}

// envoyOrigins are those of the first policy that has some.
func (r reader) envoyOrigins(p *policy, policies []*yaml.Node) (values []value) {
	for _, node := range policies {
		values = r.origins(p, child(node, "allow_origin_string_match"))
		for _, v := range r.list(child(node, "allow_origin"), "allow_origin") {
			values = append(values, value{exactOrigin(p, v.text(), false), v.at})
		}
		for _, v := range r.list(child(node, "allow_origin_regex"), "allow_origin_regex") {
			values = append(values, value{jsonObject{{"regex", v.text()}}, v.at})
		}
		if len(values) > 0 {
			return values
		}
	}
	return nil
}

// share is a fraction of requests, as far as it matters.
type share uint8

const (
	shareNone share = iota
	shareSome
	shareAll
)

// fraction reads a RuntimeFractionalPercent.
func (r reader) fraction(node *yaml.Node) (of share, runtimeKey string) {
	runtimeKey = text(child(node, "runtime_key"))
	value := child(node, "default_value")
	numerator, denominator := 0.0, 100.0
	if n := child(value, "numerator"); n != nil {
		var err error
		if numerator, err = strconv.ParseFloat(text(n), 64); err != nil {
			r.fail(n, "the numerator is no number", "write 0 or 100")
			return shareAll, runtimeKey
		}
	}
	switch text(child(value, "denominator")) {
	case "TEN_THOUSAND", "1":
		denominator = 10_000
	case "MILLION", "2":
		denominator = 1_000_000
	}
	switch {
	case numerator <= 0:
		return shareNone, runtimeKey
	case numerator < denominator:
		return shareSome, runtimeKey
	}
	return shareAll, runtimeKey
}
