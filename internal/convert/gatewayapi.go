package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

const (
	gatewayGroup = "gateway.networking.k8s.io"
	// defaultMaxAge is what a CORS filter without maxAge sends, in seconds.
	defaultMaxAge = 5
)

// gatewaySource reads HTTPRoutes with CORS filters, GRPCRoutes beside them, which
// have none, and the Gateways that they are attached to. What comes first stands in
// apis/v1/httproute_types.go and grpcroute_types.go of the Gateway API, read at
// commit 4564255a; where that leaves it open, it is as in Envoy Gateway 1.9.0
// (internal/gatewayapi/sort.go).
var gatewaySource = source{
	name: "Gateway API",
	reads: func(o *object) bool {
		return o.is(gatewayGroup, "HTTPRoute", "GRPCRoute", "Gateway") || slices.ContainsFunc(attachers, func(a attacher) bool { return a.reads(o) })
	},
	tables: gatewayTables,
}

// attacher gives routes policies that stand in other objects, such as Envoy
// Gateway's SecurityPolicy. A CORS filter of the route itself comes before them.
type attacher struct {
	reads func(o *object) bool
	// attach looks at all objects once, and returns what gives one rule its policy:
	// nil for none, with what changes in place of one.
	attach func(c *conversion, objects []*object) func(gatewayTarget) (*policy, []Change)
}

// attachers are all of them, in the order in which they are asked.
var attachers = []attacher{securityPolicies, kongAttacher}

// gatewayTarget is a rule of a route at a listener.
type gatewayTarget struct {
	route *object
	// rule is its name; empty: it has none. node is the rule itself.
	rule string
	node *yaml.Node
	// gateway is the namespace and name of the parent; section is its listener,
	// empty where routes do not tell listeners apart.
	kind, gateway, section string
}

// gatewayParent is where routes are attached to: requests there are decided by them
// together.
type gatewayParent struct {
	kind, name, section string
}

func (p gatewayParent) String() string {
	text := strings.TrimSpace(p.kind + " " + p.name)
	if p.section != "" {
		text += " section " + p.section
	}
	return text
}

// gatewayScope is the whole in translation.
type gatewayScope struct {
	*conversion
	gateways map[string]*object
	attached []func(gatewayTarget) (*policy, []Change)
	// envoy says that the files have SecurityPolicies, so that the gateway is Envoy
	// Gateway.
	envoy bool
}

func gatewayTables(c *conversion, objects []*object) (tables []table) {
	s := &gatewayScope{conversion: c, gateways: map[string]*object{}, envoy: slices.ContainsFunc(objects, isSecurityPolicy)}
	for _, a := range attachers {
		s.attached = append(s.attached, a.attach(c, objects))
	}
	var routes []*object
	for _, o := range objects {
		switch {
		case o.is(gatewayGroup, "Gateway"):
			s.gateways[qualified(o.name, o.namespace)] = o
		case o.is(gatewayGroup, "HTTPRoute", "GRPCRoute"):
			routes = append(routes, o)
		}
	}
	for _, p := range s.parents(routes) {
		if c.wants(p.String()) {
			tables = append(tables, table{name: p.String(), routes: s.table(p, routes)})
		}
	}
	return tables
}

// refs are the parents that a route names.
func (s *gatewayScope) refs(o *object) (parents []gatewayParent) {
	for _, ref := range elements(child(o.root, "spec", "parentRefs")) {
		p := gatewayParent{kind: "Gateway", section: text(child(ref, "sectionName"))}
		if kind := text(child(ref, "kind")); kind != "" {
			p.kind = kind
		}
		namespace := text(child(ref, "namespace"))
		if namespace == "" {
			namespace = o.namespace
		}
		p.name = qualified(text(child(ref, "name")), namespace)
		if port := text(child(ref, "port")); port != "" && p.section == "" {
			p.section = "port " + port
		}
		parents = append(parents, p)
	}
	if len(parents) == 0 {
		parents = []gatewayParent{{kind: "routes without a Gateway"}}
	}
	return parents
}

// parents are those of all routes. Where a route names a listener, or listeners have
// hostnames, those of that Gateway are told apart.
func (s *gatewayScope) parents(routes []*object) (parents []gatewayParent) {
	add := func(p gatewayParent) {
		if !slices.Contains(parents, p) {
			parents = append(parents, p)
		}
	}
	apart := map[string]bool{}
	for _, o := range routes {
		for _, p := range s.refs(o) {
			if p.section != "" {
				apart[p.kind+p.name] = true
			}
		}
	}
	for _, o := range routes {
		for _, p := range s.refs(o) {
			listeners := s.listeners(p)
			if apart[p.kind+p.name] && p.section == "" && len(listeners) > 0 {
				for _, l := range listeners {
					add(gatewayParent{p.kind, p.name, text(child(l, "name"))})
				}
				continue
			}
			add(p)
		}
	}
	// A route that names no listener is at all of them; only where none else names
	// one is it a table of its own.
	return slices.DeleteFunc(parents, func(p gatewayParent) bool {
		return p.section == "" && slices.ContainsFunc(parents, func(o gatewayParent) bool { return o.section != "" && o.kind == p.kind && o.name == p.name })
	})
}

// listeners are those of a parent's Gateway, if that is in the files.
func (s *gatewayScope) listeners(p gatewayParent) []*yaml.Node {
	if o := s.gateways[p.name]; o != nil && p.kind == "Gateway" {
		return elements(child(o.root, "spec", "listeners"))
	}
	return nil
}

// gatewayMatch is one match of a rule, with what its place in the order hangs on.
type gatewayMatch struct {
	route   route
	kind    int // 0 exact, 1 regex, 2 prefix
	length  int
	method  bool
	headers int
	queries int
	object  *object
}

func (s *gatewayScope) table(p gatewayParent, objects []*object) (routes []route) {
	having := map[string][]*object{}
	var hosts []string
	for _, o := range objects {
		if !slices.ContainsFunc(s.refs(o), func(ref gatewayParent) bool {
			return ref.kind == p.kind && ref.name == p.name && (ref.section == "" || ref.section == p.section)
		}) {
			continue
		}
		for _, h := range s.hosts(p, o) {
			if _, known := having[h]; !known {
				hosts = append(hosts, h)
			}
			if !slices.Contains(having[h], o) {
				having[h] = append(having[h], o)
			}
		}
	}
	owners := map[string][]*object{}
	var domains []domain
	for _, h := range hosts {
		owner := ""
		for _, o := range having[h] {
			owner += fmt.Sprintf("%p ", o)
		}
		owners[owner] = having[h]
		domains = append(domains, domainOf(owner, h, nil))
	}
	groups := orderDomains(domains)
	for i, group := range groups {
		made := s.virtualHost(p, group, owners[group[0].owner.(string)])
		if s.envoy && misspelled(domains, group) { // other gateways may have it otherwise
			spelled(made, hostSpelling("Envoy Gateway", withDot))
		}
		routes = append(routes, made...)
		end := route{from: owners[group[0].owner.(string)][0].from("", nil), hosts: hostsOf(group), replies: true}
		if slices.ContainsFunc(groups[i+1:], func(later []domain) bool {
			return slices.ContainsFunc(later, func(l domain) bool {
				return slices.ContainsFunc(group, func(d domain) bool { return hostsOverlap(l.region(), d.region()) })
			})
		}) {
			end.changes = []Change{{GatewayDecides, "a path that no route for this very hostname takes gets no policy; whether routes for a wildcard take it then is the gateway's to say, and Envoy's do not"}}
		}
		routes = append(routes, end)
	}
	return routes
}

// hosts are those at which a parent takes a route.
func (s *gatewayScope) hosts(p gatewayParent, o *object) (hosts []string) {
	for _, h := range elements(child(o.root, "spec", "hostnames")) {
		hosts = append(hosts, strings.ToLower(text(h)))
	}
	if len(hosts) == 0 || p.kind == "Service" { // in a mesh, hostnames do not count
		hosts = []string{""}
	}
	listeners := s.listeners(p)
	if p.section != "" {
		listeners = slices.DeleteFunc(slices.Clone(listeners), func(l *yaml.Node) bool {
			return text(child(l, "name")) != p.section && "port "+text(child(l, "port")) != p.section
		})
	}
	if len(listeners) == 0 {
		return hosts
	}
	var shown []string
	for _, l := range listeners {
		for _, h := range hosts {
			for _, both := range meet(h, strings.ToLower(text(child(l, "hostname")))) {
				if !slices.Contains(shown, both) {
					shown = append(shown, both)
				}
			}
		}
	}
	return shown
}

// virtualHost are the matches of all routes for some hosts, in the order of the
// specification.
func (s *gatewayScope) virtualHost(p gatewayParent, group []domain, objects []*object) (routes []route) {
	var matches []gatewayMatch
	for _, o := range objects {
		matches = append(matches, s.matches(p, o)...)
	}
	number := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(matches, func(a, b gatewayMatch) int {
		return cmp.Or(a.kind-b.kind, b.length-a.length, number(b.method)-number(a.method), b.headers-a.headers, b.queries-a.queries,
			strings.Compare(a.object.created, b.object.created), strings.Compare(a.object.namespace+"/"+a.object.name, b.object.namespace+"/"+b.object.name))
	})
	for _, m := range matches {
		m.route.hosts = hostsOf(group)
		routes = append(routes, m.route)
	}
	return routes
}

// matches translates the rules of one route.
func (s *gatewayScope) matches(p gatewayParent, o *object) (all []gatewayMatch) {
	for i, rule := range elements(child(o.root, "spec", "rules")) {
		part := fmt.Sprintf("rules[%d]", i)
		r := reader{s.conversion, o, part}
		base := route{from: o.from(part, rule)}
		name := text(child(rule, "name"))
		base.policy, base.changes, base.replies = s.rulePolicy(r, rule, gatewayTarget{o, name, rule, p.kind, p.name, p.section})
		if base.policy != nil && base.policy.by != "" {
			base.from.Part += " by " + base.policy.by
		}
		matches := elements(child(rule, "matches"))
		if len(matches) == 0 {
			all = append(all, gatewayMatch{route: base, kind: 2, length: 1, object: o})
		}
		for _, node := range matches {
			m := gatewayMatch{route: base, kind: 2, length: 1, object: o}
			if o.kind == "GRPCRoute" {
				r.grpcMatch(&m, node)
			} else {
				r.httpMatch(&m, node)
			}
			all = append(all, m)
		}
	}
	return all
}

// rulePolicy is the policy of a rule: its own filter's, or one from outside.
func (s *gatewayScope) rulePolicy(r reader, rule *yaml.Node, target gatewayTarget) (p *policy, changes []Change, replies bool) {
	for _, backend := range elements(child(rule, "backendRefs")) {
		for _, filter := range elements(child(backend, "filters")) {
			if text(child(filter, "type")) == "CORS" {
				r.fail(filter, "a CORS filter of one backend can not be carried over: which one a request goes to is decided later", "write it for the rule")
			}
		}
	}
	own := false
	for _, filter := range elements(child(rule, "filters")) {
		switch text(child(filter, "type")) {
		case "RequestRedirect":
			replies = true
		case "CORS":
			if own {
				r.fail(filter, "a second CORS filter is in the rule", "keep one")
			}
			own = true
			p, changes = r.gatewayPolicy(child(filter, "cors"), filter)
		}
	}
	for _, attached := range s.attached {
		if !own && p == nil && len(changes) == 0 {
			p, changes = attached(target)
		}
	}
	if replies {
		return nil, nil, true
	}
	return p, changes, false
}

func (r reader) httpMatch(m *gatewayMatch, node *yaml.Node) {
	when := func(node *yaml.Node, what string) {
		m.route.when = append(m.route.when, condition{what: what, at: r.o.at(node)})
	}
	for _, e := range members(node) {
		switch e.Key.Value {
		case "path":
			r.pathMatch(m, e.Value)
		case "method":
			m.method = true
			when(e.Value, "the method, and a preflight is OPTIONS")
		case "headers":
			for _, h := range elements(e.Value) {
				m.headers++
				when(h, fmt.Sprintf("the header %q, which a preflight does not carry", text(child(h, "name"))))
			}
		case "queryParams":
			for _, q := range elements(e.Value) {
				m.queries++
				when(q, fmt.Sprintf("the query parameter %q", text(child(q, "name"))))
			}
		default:
			when(e.Value, e.Key.Value+", which is not known here")
		}
	}
}

func (r reader) pathMatch(m *gatewayMatch, node *yaml.Node) {
	what := child(node, "value")
	written := text(what)
	if what == nil {
		written = "/"
	}
	at := r.o.at(node)
	m.length = len(written)
	switch kind := text(child(node, "type")); kind {
	case "Exact":
		m.kind = 0
		m.route.paths = []path{{kind: exactPath, text: written, at: at}}
	case "PathPrefix", "":
		m.route.paths = []path{{kind: belowPath, text: strings.TrimSuffix(written, "/"), at: at}}
	case "RegularExpression":
		m.kind = 1
		m.route.paths = r.regex(&m.route, written, false, at)
	default:
		m.route.when = append(m.route.when, condition{what: "a path of type " + kind, at: at})
	}
}

// grpcMatch reads a match of a GRPCRoute: gRPC's path is /service/method.
func (r reader) grpcMatch(m *gatewayMatch, node *yaml.Node) {
	when := func(node *yaml.Node, what string) {
		m.route.when = append(m.route.when, condition{what: what, at: r.o.at(node)})
	}
	for _, e := range members(node) {
		switch e.Key.Value {
		case "method":
			service, method := text(child(e.Value, "service")), text(child(e.Value, "method"))
			at := r.o.at(e.Value)
			m.length = len(service) + len(method)
			switch kind := text(child(e.Value, "type")); {
			case kind != "Exact" && kind != "":
				m.kind = 1
				when(e.Value, "a gRPC method by "+kind)
			case service == "":
				when(e.Value, "the gRPC method "+strconv.Quote(method)+" of any service")
			case method == "":
				m.route.paths = []path{{kind: belowPath, text: "/" + service, at: at}}
			default:
				m.kind = 0
				m.route.paths = []path{{kind: exactPath, text: "/" + service + "/" + method, at: at}}
			}
		case "headers":
			for _, h := range elements(e.Value) {
				m.headers++
				when(h, fmt.Sprintf("the header %q, which a preflight does not carry", text(child(h, "name"))))
			}
		default:
			when(e.Value, e.Key.Value+", which is not known here")
		}
	}
}

var gatewaySettings = []string{"allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "maxAge", "allowCredentials"}

var gatewayManner = manner{
	project: "the gateway", echoes: true, reflects: true, keeps: true, status: "204",
	unmatched: "the Gateway API leaves it to the gateway whether that is 200, 204 or 403, without CORS headers",
}

// gatewayPolicy reads a CORS filter.
func (r reader) gatewayPolicy(node, filter *yaml.Node) (*policy, []Change) {
	if node == nil {
		r.fail(filter, "the CORS filter says nothing", "write its cors")
		return nil, nil
	}
	p := &policy{}
	for _, m := range members(node) {
		if !slices.Contains(gatewaySettings, m.Key.Value) {
			r.fail(m.Key, fmt.Sprintf("%q is no setting of the CORS filter", m.Key.Value), "look for a typing mistake")
		}
	}
	origins := r.list(child(node, "allowOrigins"), "allowOrigins")
	if len(origins) == 0 {
		return nobody(r.o.at(node), gatewayManner), nil
	}
	for i := range origins {
		// A star stands for any text, and so for a port as well where it comes last.
		if o := &origins[i]; strings.HasSuffix(o.text(), "://*") {
			o.json = o.text() + ":*"
		}
	}
	p.setList("allow_origins", origins[0].at, origins)
	for _, name := range []string{"allow_methods", "allow_headers", "expose_headers"} {
		if v := child(node, name); v != nil {
			items := r.list(v, document.Camel(name))
			p.setList(name, r.o.at(v), items)
		}
	}
	age := child(node, "maxAge")
	if seconds, err := strconv.ParseInt(text(age), 10, 64); err == nil {
		p.set("max_age", r.o.at(age), seconds)
	} else if age != nil {
		r.fail(age, fmt.Sprintf("maxAge %q is no number of seconds", text(age)), "write one such as 600")
	} else {
		p.set("max_age", r.o.at(node), int64(defaultMaxAge))
	}
	if on, _ := r.boolean(child(node, "allowCredentials"), "allowCredentials"); on {
		p.set("allow_credentials", r.o.at(child(node, "allowCredentials")), true)
	}
	p.finish(gatewayManner)
	p.change(GatewayDecides, "an answered preflight has the status 204; the Gateway API leaves it to the gateway whether that is 200")
	if s := p.find("allow_headers"); s != nil && s.alone() && !p.credentials() {
		p.change(GatewayDecides, "`*` in allow_headers does not cover authorization; a gateway that sends back what the preflight asks for does: list it beside, where it is meant")
	}
	p.change(EarlierInChain, "the filter stands before authentication: preflights are answered, and 401 and 403 carry CORS headers")
	return p, nil
}
