// Package envoy reads Envoy's own CORS filter: its policies on route configurations,
// virtual hosts, routes and weighted clusters, in a bootstrap, in resources of xDS or
// as a route configuration alone. How Envoy decides was read in
// source/extensions/filters/http/cors/cors_filter.cc and
// source/common/router/config_impl.cc, at commit 001cbf14.
package envoy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
	"corsfilter/internal/document"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "Envoy",
	Files:    "envoy.filters.http.cors, in an envoy.yaml, a route configuration or a config_dump",
	Settings: []convert.Settings{envoySettings},
	Reads:    func(o *convert.Object) bool { return o.Kind == "" && convert.Mentions(o.Root, "virtual_hosts") },
	Tables:   envoyTables,
}

// envoyManager is an HTTP connection manager, or what is assumed of one where a
// route configuration stands alone.
type envoyManager struct {
	o    *convert.Object
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
	*convert.Conversion
	managers []*envoyManager
	// alone are route configurations outside of managers.
	alone []*envoyManager
}

func envoyTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	f := &envoyFinder{Conversion: c}
	for _, o := range objects {
		f.find(o, o.Root)
	}
	for _, m := range f.managers {
		if routes := convert.Child(m.node, "route_config"); routes != nil {
			tables = append(tables, envoyTable(c, m, m.o, routes))
			continue
		}
		for _, r := range f.alone {
			if m.rds != "" && convert.Text(convert.Child(r.node, "name")) == m.rds {
				tables = append(tables, envoyTable(c, m, r.o, r.node))
				m.consumed = true
			}
		}
		if !m.consumed && len(m.filters) > 0 {
			c.Problem(m.o.At(m.node), "HTTP connection manager "+convert.Text(convert.Child(m.node, "stat_prefix")), "its routes are not in the files", "add the route configuration, for example from Envoy's /config_dump")
		}
	}
	for _, r := range f.alone {
		name := convert.Text(convert.Child(r.node, "name"))
		if slices.ContainsFunc(f.managers, func(m *envoyManager) bool { return m.consumed && m.rds == name }) {
			continue
		}
		tables = append(tables, envoyTable(c, &envoyManager{o: r.o, ports: true, dots: true}, r.o, r.node))
	}
	return tables
}

// find looks for managers and route configurations anywhere in a document.
func (f *envoyFinder) find(o *convert.Object, node *yaml.Node) {
	node = document.Resolve(node)
	switch {
	case node == nil:
	case node.Kind == yaml.SequenceNode:
		for _, e := range node.Content {
			f.find(o, e)
		}
	case node.Kind != yaml.MappingNode:
	case convert.Child(node, "http_filters") != nil || convert.Child(node, "route_config") != nil && convert.Child(node, "route_config", "virtual_hosts") != nil && convert.Child(node, "stat_prefix") != nil:
		f.managers = append(f.managers, f.manager(o, node))
	case convert.Child(node, "virtual_hosts") != nil:
		f.alone = append(f.alone, &envoyManager{o: o, node: node})
	default:
		for _, m := range convert.Members(node) {
			f.find(o, m.Value)
		}
	}
}

// envoyCorsFilters are the names and types of the filter, old ones included.
var envoyCorsFilters = []string{"envoy.filters.http.cors", "envoy.cors"}

func (f *envoyFinder) manager(o *convert.Object, node *yaml.Node) *envoyManager {
	m := &envoyManager{o: o, node: node, filters: map[string]bool{}, has: true, rds: convert.Text(convert.Child(node, "rds", "route_config_name"))}
	r := convert.Reader{Conversion: f.Conversion, Object: o, Part: "HTTP connection manager"}
	for _, filter := range convert.Elements(convert.Child(node, "http_filters")) {
		name, kind := convert.Text(convert.Child(filter, "name")), convert.Text(convert.Child(filter, "typed_config", "@type"))
		if strings.HasSuffix(kind, "filters.http.cors.v3.Cors") || strings.HasSuffix(kind, "filter.http.cors.v2.Cors") || kind == "" && slices.Contains(envoyCorsFilters, name) {
			m.filters[name] = r.Flag(filter, "disabled")
		}
	}
	if len(m.filters) > 1 {
		r.Fail(node, "several CORS filters are in the chain", "keep one")
	}
	m.ports, m.dots = !r.Flag(node, "strip_any_host_port"), !r.Flag(node, "strip_trailing_host_dot")
	return m
}

// envoyScope is one route configuration in translation.
type envoyScope struct {
	convert.Reader
	manager *envoyManager
	config  *yaml.Node
	// inert is a policy that no filter reads, and under which name it stands.
	inert   *yaml.Node
	inertAs string
	routes  []convert.Route
}

func envoyTable(c *convert.Conversion, m *envoyManager, o *convert.Object, config *yaml.Node) convert.Table {
	s := &envoyScope{Reader: convert.Reader{Conversion: c, Object: o, Part: ""}, manager: m, config: config}
	s.Part = "route configuration " + convert.Text(convert.Child(config, "name"))
	if convert.Text(convert.Child(config, "name")) == "" {
		s.Part = fmt.Sprintf("route configuration in line %d", config.Line)
	}
	t := convert.Table{Name: s.Part}
	if !c.Wants(t.Name) {
		return t
	}
	if vhds := convert.Child(config, "vhds"); vhds != nil {
		s.Fail(vhds, "virtual hosts come from VHDS", "add them to the route configuration, for example from Envoy's /config_dump")
	}
	ports := m.ports && !s.Flag(config, "ignore_port_in_host_matching")
	s.virtualHosts(map[[2]bool]string{{true, true}: convert.WithBoth, {true, false}: convert.WithPort, {false, true}: convert.WithDot}[[2]bool{ports, m.dots}])
	if s.inert != nil {
		what, remedy := "envoy.filters.http.cors is not among the http_filters", "add the filter where the policy is meant"
		for name := range m.filters {
			what = fmt.Sprintf("it stands under the name %q, and the CORS filter among the http_filters is called %q", convert.Shortened(s.inertAs), convert.Shortened(name))
			remedy = "write the filter's name where the policy is meant"
		}
		s.Fail(s.inert, "the policy has no effect: "+what, remedy+", or take the policy out")
	} else if m.has && len(m.filters) == 0 { // the filter is not meant for this chain
		return t
	}
	t.Routes = s.routes
	if s.Flag(config, "ignore_path_parameters_in_path_matching") && slices.ContainsFunc(t.Routes, func(r convert.Route) bool {
		return slices.ContainsFunc(r.Paths, func(p convert.Path) bool { return convert.Normal(p).Kind != convert.AnyPath })
	}) {
		convert.WithChanges(t.Routes, convert.Change{Kind: convert.PathSpelling, Text: "a path is compared whole; Envoy ignores what follows a semicolon in it (ignore_path_parameters_in_path_matching)"})
	}
	return t
}

// virtualHosts translates them in the order in which Envoy tries them: exact domains, the
// longest suffix, the longest prefix, any. spelling says which spelling of a host makes it
// another host.
func (s *envoyScope) virtualHosts(spelling string) {
	var domains []convert.Domain
	for _, vhost := range convert.Elements(convert.Child(s.config, "virtual_hosts")) {
		named := map[string]bool{}
		for _, d := range convert.Elements(convert.Child(vhost, "domains")) {
			named[strings.ToLower(convert.Text(d))] = true
		}
		for _, d := range convert.Elements(convert.Child(vhost, "domains")) {
			one := convert.DomainOf(vhost, convert.Text(d), d)
			if host, port, ok := convert.CutPort(one.Text); ok {
				if named[host] { // the host without a port stands beside it, or with another
					continue
				}
				named[host] = true
				one.Text, one.Port, one.Rank = host, port, 0
			}
			domains = append(domains, one)
		}
		if len(convert.Elements(convert.Child(vhost, "domains"))) == 0 {
			s.Fail(vhost, "a virtual host has no domains", "write them")
		}
	}
	for _, group := range convert.OrderDomains(domains) {
		s.virtualHost(domains, group, spelling)
	}
}

// virtualHost adds the routes of one virtual host, for some of its domains.
func (s *envoyScope) virtualHost(domains, own []convert.Domain, spelling string) {
	d := own[0]
	vhost := d.Owner.(*yaml.Node)
	source := "virtual host " + convert.Text(convert.Child(vhost, "name"))
	here := s.Inside(source)
	var hosts []string
	var when []convert.Condition
	var changes []convert.Change
	at := s.Object.At(d.Node)
	switch {
	case d.Port != "":
		hosts = []string{d.Text}
		others := slices.ContainsFunc(domains, func(o convert.Domain) bool {
			return o.Owner != d.Owner && (o.Rank == 0 && o.Text == d.Text || o.Rank > 0)
		})
		switch condition := (convert.Condition{What: "the port " + d.Port + " of the host", At: at, Remedy: "write the domain " + d.Text + " without it, where the listener has one port"}); {
		case spelling == "" || spelling == convert.WithDot:
			condition.What += ", which is stripped first, so that no request has it"
			condition.Remedy = "write the domain " + d.Text + " without it, or take it out"
			when = append(when, condition)
		case others:
			when = append(when, condition)
		default:
			changes = append(changes, convert.Change{Kind: convert.HostSpelling, Text: d.Text + " stands for the host with any port, or none; Envoy takes it with " + d.Port + " alone"})
		}
	case d.Rank < 3 && !d.Plain():
		hosts = convert.HostList(d.Region())
		when = append(when, convert.Condition{What: "the domain " + d.Text + ", a part of a label", At: at, Remedy: "write the hosts, or whole labels such as *.example.com"})
	default:
		hosts = convert.HostsOf(own)
		changes = convert.Spelled(domains, own, "Envoy", spelling)
	}
	if tls := convert.Text(convert.Child(vhost, "require_tls")); tls != "" && tls != "NONE" {
		changes = append(changes, convert.Change{Kind: convert.MoreResponses, Text: "the redirect to https that require_tls makes carries CORS headers as well"})
	}
	if matcher := convert.Child(vhost, "matcher"); matcher != nil {
		here.Fail(matcher, "a tree of matchers cannot be carried over", "write routes")
	}
	for n, node := range convert.Elements(convert.Child(vhost, "routes")) {
		part := fmt.Sprintf("routes[%d]", n)
		if named := convert.Text(convert.Child(node, "name")); named != "" {
			part = "route " + named
		}
		here.Part = source + " " + part
		for _, r := range s.route(here, vhost, node, convert.From{Source: source, Part: part, Place: s.Object.At(node)}) {
			r.Hosts = hosts
			r.When = append(slices.Clone(when), r.When...)
			if r.Policy != nil {
				r.Changes = append(r.Changes, changes...)
			}
			s.routes = append(s.routes, r)
		}
	}
	s.routes = append(s.routes, convert.Route{From: convert.From{Source: source, Place: s.Object.At(vhost)}, Hosts: hosts, When: when, Replies: true})
}

// envoyConditions are the keys of a match that ask for more than the path.
var envoyConditions = map[string]string{
	"grpc": "gRPC, which a preflight is not", "tls_context": "the TLS connection", "dynamic_metadata": "metadata",
	"filter_state": "the state of a filter", "path_match_policy": "a template of the path", "runtime": "the runtime",
	"cookies": "a cookie, which a preflight does not carry", "case_sensitive": "",
}

// route translates one route; weighted clusters with policies of their own make
// several of it, and a CONNECT makes none: no browser sends it.
func (s *envoyScope) route(r convert.Reader, vhost, node *yaml.Node, from convert.From) (routes []convert.Route) {
	match := convert.Child(node, "match")
	made := convert.Route{From: from}
	m := convert.Match{Reader: r, Route: &made}
	sensitive, given := r.Boolean(convert.Child(match, "case_sensitive"), "case_sensitive")
	m.AnyCase = given && !sensitive
	for _, key := range convert.Members(match) {
		switch text := convert.Text(key.Value); convert.Snake(key.Key.Value) {
		case "prefix":
			m.Path(convert.PrefixPath, text, key.Value)
		case "path":
			m.Path(convert.ExactPath, text, key.Value)
		case "path_separated_prefix":
			m.Path(convert.BelowPath, text, key.Value)
		case "safe_regex":
			m.Regex(convert.Text(convert.Child(key.Value, "regex")), r.Object.At(key.Value))
		case "regex":
			m.Regex(text, r.Object.At(key.Value))
		case "connect_matcher":
			return nil
		case "runtime_fraction":
			if share, runtime := fraction(r, key.Value); share < 1 || runtime != "" {
				m.Asks(key.Value, "a share of the requests", "")
			}
		default:
			m.Key(key, envoyConditions)
		}
	}
	action := convert.Child(node, "route")
	if action == nil { // redirects and direct responses are none of the filter's business
		made.Replies = true
		s.idle(r, vhost, node)
		return []convert.Route{made}
	}
	if match == nil {
		r.Fail(node, "a route has no match", "write one")
	}
	levels := []*yaml.Node{node, vhost, s.config}
	var clusters []*yaml.Node
	for _, c := range convert.Elements(convert.Child(action, "weighted_clusters", "clusters")) {
		if convert.Text(convert.Child(c, "weight")) != "0" {
			clusters = append(clusters, c)
		}
	}
	if !slices.ContainsFunc(clusters, func(c *yaml.Node) bool { _, _, own := s.perFilter(r, c); return own }) {
		made.Policy, made.Changes = s.policy(r, levels, action, vhost)
		made.Changes = append(made.Changes, s.added(made.Policy, append(clusters, levels...))...)
		return []convert.Route{made}
	}
	for i, c := range clusters {
		one := made
		name := "cluster " + convert.Text(convert.Child(c, "name"))
		one.From.Part, one.From.Place = from.Part+" "+name, r.Object.At(c)
		own := append([]*yaml.Node{c}, levels...)
		one.Policy, one.Changes = s.policy(r.Inside(r.Part+" "+name), own, action, vhost)
		one.Changes = append(one.Changes, s.added(one.Policy, own)...)
		if i < len(clusters)-1 {
			one.When = append(slices.Clone(made.When), convert.Condition{What: "a share of the requests, by the weight of the " + name, At: r.Object.At(c), Remedy: "give the clusters the same policy"})
		}
		routes = append(routes, one)
	}
	return routes
}

// idle looks for a policy on a route that Envoy answers itself.
func (s *envoyScope) idle(r convert.Reader, vhost, node *yaml.Node) {
	inert := s.inert
	defer func() { s.inert = inert }()
	by := "redirect"
	if convert.Child(node, "direct_response") != nil {
		by = "direct_response"
	}
	for _, level := range []*yaml.Node{node, vhost, s.config} {
		if policy, _, _ := s.perFilter(r, level); policy != nil {
			r.Idle(policy, by, "Envoy's filter")
			return
		}
	}
}

// added says which CORS headers Envoy adds to what a policy covers.
func (s *envoyScope) added(p *convert.Policy, levels []*yaml.Node) (changes []convert.Change) {
	if p == nil {
		return nil
	}
	for _, level := range levels {
		changes = append(changes, convert.BesideThePolicy(s.Object, "response_headers_to_add", convert.AddedHeaders(convert.Child(level, "response_headers_to_add")))...)
	}
	for _, mapper := range convert.Elements(convert.Child(s.manager.node, "local_reply_config", "mappers")) {
		changes = append(changes, convert.BesideThePolicy(s.manager.o, "local_reply_config", convert.AddedHeaders(convert.Child(mapper, "headers_to_add")))...)
	}
	return changes
}

// perFilter returns what a level says for the CORS filter: its policy, whether it
// disables the filter, and whether it says anything.
func (s *envoyScope) perFilter(r convert.Reader, level *yaml.Node) (policy *yaml.Node, disabled, own bool) {
	for _, m := range convert.Members(convert.Child(level, "typed_per_filter_config")) {
		kind := convert.Text(convert.Child(m.Value, "@type"))
		config := m.Value
		if strings.HasSuffix(kind, "envoy.config.route.v3.FilterConfig") {
			disabled = r.Flag(m.Value, "disabled")
			config = convert.Child(m.Value, "config")
			kind = convert.Text(convert.Child(config, "@type"))
		}
		isPolicy := strings.HasSuffix(kind, "filters.http.cors.v3.CorsPolicy") || strings.HasSuffix(kind, "route.v3.CorsPolicy")
		if s.manager.has {
			if _, known := s.manager.filters[m.Key.Value]; !known {
				if isPolicy && s.inert == nil {
					s.inert, s.inertAs = m.Value, m.Key.Value
				}
				continue
			}
		} else if !isPolicy && !slices.Contains(envoyCorsFilters, m.Key.Value) {
			continue
		}
		if config != nil && !isPolicy && !disabled {
			r.Fail(m.Value, fmt.Sprintf("%q is not a CorsPolicy", kind), "write type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy")
			continue
		}
		if disabled { // Envoy does not read what else it says
			config = nil
		}
		return config, disabled, true
	}
	return nil, false, false
}

// policy merges the policies of all levels, the most specific first: each setting
// falls back on its own, and the switches count in the first policy alone.
func (s *envoyScope) policy(r convert.Reader, levels []*yaml.Node, action, vhost *yaml.Node) (*convert.Policy, []convert.Change) {
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
		for _, old := range []*yaml.Node{convert.Child(action, "cors"), convert.Child(vhost, "cors")} {
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
	return envoyPolicy(r, policies)
}

// envoySettings are the fields of CorsPolicy, those of API v2 included.
var envoySettings = convert.Settings{
	Of: "Envoy's CorsPolicy", Proto: true,
	Rows: []convert.Setting{
		{Key: "allow_origin_string_match", Becomes: convert.AllowOrigins, Note: "each matcher as it is; `prefix`, `suffix` and `contains` need a waiver"},
		{Key: "allow_methods", Becomes: "allow_methods", Note: "`*` is any"},
		{Key: "allow_headers", Becomes: "allow_headers", Note: "`*` without credentials is written with `authorization` beside, which Envoy sends back as well"},
		{Key: "expose_headers", Becomes: "expose_headers"},
		{Key: "max_age", Becomes: convert.MaxAge, Note: "whole seconds alone, as browsers read it"},
		{Key: "allow_credentials", Becomes: "allow_credentials", Default: "false"},
		{Key: "allow_private_network_access", Becomes: convert.PrivateNetwork, Default: "false"},
		{Key: "forward_not_matching_preflights", Becomes: "unmatched_preflights", Default: "true", Note: "where it is not written, 403 is answered here, and that is listed"},
		{Key: "filter_enabled", Becomes: "mode", Default: "100 %", Note: "0 or 100 % alone"},
		{Key: "shadow_enabled", Becomes: "mode", Default: "0 %", Note: "0 or 100 % alone"},
		{Key: "allow_origin", Becomes: convert.AllowOrigins, Note: "of API v2"},
		{Key: "allow_origin_regex", Becomes: convert.AllowOrigins, Note: "of API v2"},
		{Key: "enabled", Becomes: "mode", Note: "of API v2"},
		{Key: "@type", Note: "not read"},
	},
	MaxAge: convert.Unit{Seconds: convert.Seconds, What: "max_age %q is sent unchanged, and browsers read only whole seconds", Remedy: `write seconds, such as "600"`},
}

var envoySpelling = &convert.Spelling{
	Exact: func(text string) string { return `{exact: "` + text + `"}` },
	Regex: func(text string) string { return `{safe_regex: {regex: '` + text + `'}}` },
}

// envoyPolicy makes one policy of several, the most specific first.
func envoyPolicy(r convert.Reader, policies []*yaml.Node) (*convert.Policy, []convert.Change) {
	p := &convert.Policy{Spelling: envoySpelling}
	for _, node := range policies {
		envoySettings.Check(r, node)
	}
	first := func(name string) *yaml.Node {
		for _, node := range policies {
			if v := convert.Child(node, name); v != nil && (v.Kind != yaml.ScalarNode || v.Value != "") && (v.Kind != yaml.SequenceNode || len(v.Content) > 0) {
				return v
			}
		}
		return nil
	}
	on, enforced := envoySwitches(r, p, policies[0])
	if !on {
		return nil, nil
	}
	m := convert.Behaviour{Project: "Envoy", Echoes: true, Authorization: true, Reflects: true, Unmatched: "Envoy forwards it", Status: "200", Keeps: true}
	if forwards, given := r.Boolean(first("forward_not_matching_preflights"), "forward_not_matching_preflights"); given && forwards {
		p.ForwardUnmatched = true
	} else if given {
		m.Unmatched = "Envoy answers it with 200 and no access-control-allow-origin"
		m.Answers = true
	}
	envoyOrigins(r, p, policies)
	if len(p.AllowOrigins) == 0 {
		m.Answers = m.Answers && enforced
		return convert.WithoutOrigins(r.Object.At(policies[0]), m)
	}
	envoySettings.Take(p, r.Object.At(policies[0]), func(key string) (convert.Reader, *yaml.Node) { return r, first(key) })
	p.Finish(m)
	return p, nil
}

// envoySwitches reads filter_enabled and shadow_enabled of the first policy; on is
// false where neither is.
func envoySwitches(r convert.Reader, p *convert.Policy, node *yaml.Node) (on, enforced bool) {
	enforced = true
	fraction := func(name string, otherwise bool) bool {
		v := convert.Child(node, name)
		if v == nil {
			return otherwise
		}
		share, key := fraction(r, v)
		if share > 0 && share < 1 {
			r.Fail(v, name+" applies to a share of the requests, and the module treats all of them the same", "write 0 or 100 %")
		}
		if key != "" {
			p.Change(convert.RuntimeKey, fmt.Sprintf("%s cannot be changed by the runtime key %q any more: the default value holds", name, key))
		}
		return share >= 1
	}
	if old := convert.Child(node, "enabled"); old != nil {
		enforced, _ = r.Boolean(old, "enabled")
	}
	enforced = fraction("filter_enabled", enforced)
	shadow := fraction("shadow_enabled", false)
	if !enforced && shadow {
		p.Mode = config.Shadow
	}
	return enforced || shadow, enforced
}

// envoyOrigins reads the origins of the first policy that has any.
func envoyOrigins(r convert.Reader, p *convert.Policy, policies []*yaml.Node) {
	for _, node := range policies {
		r.Origins(p, convert.Child(node, "allow_origin_string_match"))
		p.AllowExact(r.List(convert.Child(node, "allow_origin"), "allow_origin"))
		for _, v := range r.List(convert.Child(node, "allow_origin_regex"), "allow_origin_regex") {
			p.Allow(convert.RegexOrigin(v.Text), v.At)
		}
		if len(p.AllowOrigins) > 0 {
			return
		}
	}
}

// fraction reads a RuntimeFractionalPercent; 1 is all requests.
func fraction(r convert.Reader, node *yaml.Node) (share float64, runtimeKey string) {
	runtimeKey = convert.Text(convert.Child(node, "runtime_key"))
	value := convert.Child(node, "default_value")
	if n := convert.Child(value, "numerator"); n != nil {
		var err error
		if share, err = strconv.ParseFloat(convert.Text(n), 64); err != nil {
			r.Fail(n, "the numerator is not a number", "write 0 or 100")
			return 1, runtimeKey
		}
	}
	switch convert.Text(convert.Child(value, "denominator")) {
	case "TEN_THOUSAND", "1":
		return share / 10_000, runtimeKey
	case "MILLION", "2":
		return share / 1_000_000, runtimeKey
	}
	return share / 100, runtimeKey
}
