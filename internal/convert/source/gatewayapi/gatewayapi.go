// Package gatewayapi reads HTTPRoutes with CORS filters, GRPCRoutes beside them, which
// have none, and the Gateways that they are attached to. What comes first stands in
// apis/v1/httproute_types.go and grpcroute_types.go of the Gateway API, read at commit
// 4564255a; where that leaves it open, it is as in Envoy Gateway 1.9.0
// (internal/gatewayapi/sort.go).
package gatewayapi

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "the Gateway API",
	Files:    "HTTPRoutes and GRPCRoutes of the Gateway API, with the Gateways that they name",
	Settings: []convert.Settings{gatewaySettings},
	Reads: func(o *convert.Object) bool {
		return o.Is(convert.GatewayGroup, "HTTPRoute", "GRPCRoute", "Gateway", "GatewayClass")
	},
	Tables:   gatewayTables,
	Attached: true,
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
	*convert.Conversion
	gateways map[string]*convert.Object
	attached []func(convert.GatewayTarget) (*convert.Policy, []convert.Change)
	// project is whose gateway it is, where an attacher tells.
	project string
}

func gatewayTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	s := &gatewayScope{Conversion: c, gateways: map[string]*convert.Object{}}
	for _, a := range c.Attachers() {
		if a.Project != "" && slices.ContainsFunc(objects, a.Reads) {
			s.project = a.Project
		}
		s.attached = append(s.attached, a.Attach(c, objects))
	}
	var routes []*convert.Object
	for _, o := range objects {
		if o.Is(convert.GatewayGroup, "HTTPRoute", "GRPCRoute") {
			routes = append(routes, o)
		} else if o.Kind == "GatewayClass" && strings.HasPrefix(convert.Text(o.Spec("controllerName")), "gateway.envoyproxy.io/") {
			s.project = "Envoy Gateway"
		} else if o.Is(convert.GatewayGroup, "Gateway") {
			s.gateways[convert.Qualified(o.Name, o.Namespace)] = o
		}
	}
	for _, p := range s.parents(routes) {
		if c.Wants(p.String()) {
			tables = append(tables, convert.Table{Name: p.String(), Routes: s.table(p, routes)})
		}
	}
	return tables
}

// refs are the parents that a route names.
func (s *gatewayScope) refs(o *convert.Object) (parents []gatewayParent) {
	for _, ref := range convert.Elements(convert.Child(o.Root, "spec", "parentRefs")) {
		p := gatewayParent{kind: cmp.Or(convert.Text(convert.Child(ref, "kind")), "Gateway"), section: convert.Text(convert.Child(ref, "sectionName"))}
		p.name = convert.Qualified(convert.Text(convert.Child(ref, "name")), cmp.Or(convert.Text(convert.Child(ref, "namespace")), o.Namespace))
		if port := convert.Text(convert.Child(ref, "port")); port != "" && p.section == "" {
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
func (s *gatewayScope) parents(routes []*convert.Object) (parents []gatewayParent) {
	byListener := map[string]bool{}
	for _, o := range routes {
		for _, p := range s.refs(o) {
			if p.section != "" {
				byListener[p.kind+p.name] = true
			}
		}
	}
	for _, o := range routes {
		for _, p := range s.refs(o) {
			if listeners := s.listeners(p); byListener[p.kind+p.name] && p.section == "" && len(listeners) > 0 {
				for _, l := range listeners {
					parents = append(parents, gatewayParent{p.kind, p.name, convert.Text(convert.Child(l, "name"))})
				}
			} else {
				parents = append(parents, p)
			}
		}
	}
	parents = convert.Unique(parents)
	// A route that names no listener is at all of them; only where none else names
	// one is it a table of its own.
	return slices.DeleteFunc(parents, func(p gatewayParent) bool {
		return p.section == "" && slices.ContainsFunc(parents, func(o gatewayParent) bool { return o.section != "" && o.kind == p.kind && o.name == p.name })
	})
}

// listeners are those of a parent's Gateway, if that is in the files.
func (s *gatewayScope) listeners(p gatewayParent) []*yaml.Node {
	if o := s.gateways[p.name]; o != nil && p.kind == "Gateway" {
		return convert.Elements(convert.Child(o.Root, "spec", "listeners"))
	}
	return nil
}

// gatewayMatch is one match of a rule, with what its place in the order hangs on.
type gatewayMatch struct {
	route   convert.Route
	kind    int // 0 exact, 1 regex, 2 prefix
	length  int
	method  bool
	headers int
	queries int
	object  *convert.Object
}

func (s *gatewayScope) table(p gatewayParent, objects []*convert.Object) (routes []convert.Route) {
	domains, owners := convert.Shared(objects, func(o *convert.Object) []string {
		if !slices.ContainsFunc(s.refs(o), func(ref gatewayParent) bool {
			return ref.kind == p.kind && ref.name == p.name && (ref.section == "" || ref.section == p.section)
		}) {
			return nil
		}
		return s.hosts(p, o)
	})
	groups := convert.OrderDomains(domains)
	for i, group := range groups {
		own := owners[group[0].Owner]
		made := s.virtualHost(p, group, own)
		if s.project != "" { // other gateways may have it otherwise
			convert.WithChanges(made, convert.Spelled(domains, group, s.project, convert.WithDot)...)
		}
		routes = append(routes, made...)
		end := convert.Route{From: own[0].From("", nil), Hosts: convert.HostsOf(group), Replies: true}
		if slices.ContainsFunc(groups[i+1:], func(later []convert.Domain) bool {
			return slices.ContainsFunc(later, func(l convert.Domain) bool {
				return slices.ContainsFunc(group, func(d convert.Domain) bool { return convert.HostsOverlap(l.Region(), d.Region()) })
			})
		}) {
			end.Changes = []convert.Change{{Kind: convert.GatewayDecides, Text: "a path that no route for this very hostname takes gets no policy; whether routes for a wildcard take it then is the gateway's to say, and Envoy's do not"}}
		}
		routes = append(routes, end)
	}
	return routes
}

// hosts are those at which a parent takes a route.
func (s *gatewayScope) hosts(p gatewayParent, o *convert.Object) (hosts []string) {
	for _, h := range convert.Elements(convert.Child(o.Root, "spec", "hostnames")) {
		hosts = append(hosts, strings.ToLower(convert.Text(h)))
	}
	if len(hosts) == 0 || p.kind == "Service" { // in a mesh, hostnames do not count
		hosts = []string{""}
	}
	listeners := s.listeners(p)
	if p.section != "" {
		listeners = slices.DeleteFunc(slices.Clone(listeners), func(l *yaml.Node) bool {
			return convert.Text(convert.Child(l, "name")) != p.section && "port "+convert.Text(convert.Child(l, "port")) != p.section
		})
	}
	if len(listeners) == 0 {
		return hosts
	}
	var shown []string
	for _, l := range listeners {
		shown = append(shown, convert.Intersect(hosts, []string{strings.ToLower(convert.Text(convert.Child(l, "hostname")))})...)
	}
	return shown
}

// virtualHost are the matches of all routes for some hosts, in the order of the
// specification.
func (s *gatewayScope) virtualHost(p gatewayParent, group []convert.Domain, objects []*convert.Object) (routes []convert.Route) {
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
			strings.Compare(a.object.Created, b.object.Created), strings.Compare(a.object.Namespace+"/"+a.object.Name, b.object.Namespace+"/"+b.object.Name))
	})
	for _, m := range matches {
		m.route.Hosts = convert.HostsOf(group)
		routes = append(routes, m.route)
	}
	for i, m := range matches {
		for j, n := range matches[i:] {
			if m.kind == 1 && n.kind == 2 && len(m.route.When) == 0 && routes[i].Differs(routes[i+j]) {
				open := convert.Change{Kind: convert.GatewayDecides, Text: fmt.Sprintf("the regex of %s comes before %s, as in Envoy Gateway; the Gateway API leaves that to the gateway, and Istio asks prefixes first", m.route.From, n.route.From)}
				convert.WithChanges(routes[i:i+1], open)
				convert.WithChanges(routes[i+j:i+j+1], open)
			}
		}
	}
	return routes
}

// matches translates the rules of one route.
func (s *gatewayScope) matches(p gatewayParent, o *convert.Object) (all []gatewayMatch) {
	for i, rule := range convert.Elements(convert.Child(o.Root, "spec", "rules")) {
		part := fmt.Sprintf("rules[%d]", i)
		r := convert.Reader{Conversion: s.Conversion, Object: o, Part: part}
		base := convert.Route{From: o.From(part, rule)}
		name := convert.Text(convert.Child(rule, "name"))
		base.Policy, base.Changes, base.Replies = s.rulePolicy(r, rule, convert.GatewayTarget{Reader: r, Rule: name, Node: rule, Kind: p.kind, Gateway: p.name, Section: p.section})
		if base.Policy != nil && base.Policy.By != "" {
			base.From.Part += " by " + base.Policy.By
		}
		matches := convert.Elements(convert.Child(rule, "matches"))
		if len(matches) == 0 {
			all = append(all, gatewayMatch{route: base, kind: 2, length: 1, object: o})
		}
		for _, node := range matches {
			m := gatewayMatch{route: base, kind: 2, length: 1, object: o, headers: len(convert.Elements(convert.Child(node, "headers")))}
			if o.Kind == "GRPCRoute" {
				grpcMatch(r, &m, node)
			} else {
				httpMatch(r, &m, node)
				if hasFilter(rule) {
					s.preflights(&m.route, node, matches)
				}
			}
			all = append(all, m)
		}
	}
	return all
}

// rulePolicy is the policy of a rule: its own filter's, or one from outside.
func (s *gatewayScope) rulePolicy(r convert.Reader, rule *yaml.Node, target convert.GatewayTarget) (p *convert.Policy, changes []convert.Change, replies bool) {
	for _, backend := range convert.Elements(convert.Child(rule, "backendRefs")) {
		for _, filter := range convert.Elements(convert.Child(backend, "filters")) {
			if convert.Text(convert.Child(filter, "type")) == "CORS" {
				r.Fail(filter, "a CORS filter of one backend cannot be carried over: which one a request goes to is decided later", "write it for the rule")
			}
		}
	}
	own := false
	for _, filter := range convert.Elements(convert.Child(rule, "filters")) {
		switch convert.Text(convert.Child(filter, "type")) {
		case "RequestRedirect":
			replies = true
		case "CORS":
			if own {
				r.Fail(filter, "a second CORS filter is in the rule", "keep one")
			}
			own = true
			p, changes = gatewayPolicy(r, convert.Child(filter, "cors"), filter)
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

// hasFilter reports whether a rule has a CORS filter of its own.
func hasFilter(rule *yaml.Node) bool {
	return slices.ContainsFunc(convert.Elements(convert.Child(rule, "filters")), func(filter *yaml.Node) bool {
		return convert.Text(convert.Child(filter, "type")) == "CORS"
	})
}

// preflights adds the method of a preflight to a route with a CORS filter for another one:
// Envoy Gateway makes a route for it (internal/gatewayapi/route.go, since release 1.6.0).
func (s *gatewayScope) preflights(r *convert.Route, own *yaml.Node, matches []*yaml.Node) {
	if len(r.Methods) == 0 || r.Methods[0].Text == "OPTIONS" {
		return
	}
	r.Methods = append(r.Methods, convert.Value{Text: "OPTIONS", At: r.Methods[0].At})
	listed := slices.ContainsFunc(matches, func(m *yaml.Node) bool {
		return convert.Text(convert.Child(m, "method")) == "OPTIONS" && convert.Text(convert.Child(m, "path", "value")) == convert.Text(convert.Child(own, "path", "value"))
	})
	if s.project == "" && !listed {
		r.Changes = append(slices.Clone(r.Changes), convert.Change{Kind: convert.GatewayDecides, Text: "a preflight is answered for a route by the method " + r.Methods[0].Text + " as well, as Envoy Gateway answers it; the Gateway API leaves it to the gateway whether a route that does not name OPTIONS takes it"})
	}
}

func httpMatch(r convert.Reader, m *gatewayMatch, node *yaml.Node) {
	made := convert.Match{Reader: r, Route: &m.route}
	m.method = convert.Child(node, "method") != nil
	m.queries = len(convert.Elements(convert.Child(node, "queryParams")))
	for _, key := range convert.Members(node) {
		switch key.Key.Value {
		case "path":
			pathMatch(made, m, key.Value)
		case "method":
			made.Method(key.Value, convert.Text(key.Value))
		default:
			made.Key(key, nil)
		}
	}
}

func pathMatch(made convert.Match, m *gatewayMatch, node *yaml.Node) {
	what := convert.Child(node, "value")
	written := convert.Text(what)
	if what == nil {
		written = "/"
	}
	m.length = len(written)
	switch kind := convert.Text(convert.Child(node, "type")); kind {
	case "Exact":
		m.kind = 0
		made.Path(convert.ExactPath, written, node)
	case "PathPrefix", "":
		made.Path(convert.BelowPath, strings.TrimSuffix(written, "/"), node)
	case "RegularExpression":
		m.kind = 1
		at := made.Object.At(node)
		made.Regex(written, at)
	default:
		made.Asks(node, "a path of type "+kind, "")
	}
}

// grpcMatch reads a match of a GRPCRoute: gRPC's path is /service/method.
func grpcMatch(r convert.Reader, m *gatewayMatch, node *yaml.Node) {
	made := convert.Match{Reader: r, Route: &m.route}
	for _, key := range convert.Members(node) {
		if key.Key.Value != "method" {
			made.Key(key, nil)
			continue
		}
		service, method := convert.Text(convert.Child(key.Value, "service")), convert.Text(convert.Child(key.Value, "method"))
		m.length = len("/" + service)
		switch kind := convert.Text(convert.Child(key.Value, "type")); {
		case kind != "Exact" && kind != "":
			m.kind = 1
			made.Asks(key.Value, "a gRPC method by "+kind, "")
		case service == "":
			made.Asks(key.Value, "the gRPC method "+strconv.Quote(method)+" of any service", "")
		case method == "":
			made.Path(convert.BelowPath, "/"+service, key.Value)
		default:
			path := "/" + service + "/" + method
			m.kind, m.length = 0, len(path)
			made.Path(convert.ExactPath, path, key.Value)
		}
	}
}

var gatewaySettings = convert.Settings{
	Of: "the CORS filter", Lists: true,
	Rows: []convert.Setting{
		{Key: "allowOrigins", Becomes: convert.AllowOrigins, Note: "`https://*.example.com` is the same; `https://*` is written with any port"},
		{Key: "allowMethods", Becomes: "allow_methods"},
		{Key: "allowHeaders", Becomes: "allow_headers"},
		{Key: "exposeHeaders", Becomes: "expose_headers", Note: "`*` is left out with credentials"},
		{Key: "maxAge", Becomes: convert.MaxAge, Default: "5"},
		{Key: "allowCredentials", Becomes: "allow_credentials", Default: "false"},
	},
	MaxAge: convert.Unit{Seconds: convert.Seconds, What: "maxAge %q is no number of seconds", Remedy: "write one such as 600"},
}

var gatewayBehaviour = convert.Behaviour{
	Project: "the gateway", Echoes: true, Reflects: true, Keeps: true, Status: "204",
	Unmatched: "the Gateway API leaves it to the gateway whether that is 200, 204 or 403, without CORS headers",
}

// gatewayPolicy reads a CORS filter.
func gatewayPolicy(r convert.Reader, node, filter *yaml.Node) (*convert.Policy, []convert.Change) {
	if node == nil {
		r.Fail(filter, "the CORS filter says nothing", "write its cors")
		return nil, nil
	}
	p := &convert.Policy{}
	gatewaySettings.Read(r, p, node)
	origins := r.List(convert.Child(node, "allowOrigins"), "allowOrigins")
	if len(origins) == 0 {
		return convert.Nobody(r.Object.At(node), gatewayBehaviour), nil
	}
	for _, v := range origins {
		o := config.SourceOrigin{Value: v.Text}
		if strings.HasSuffix(o.Value, "://*") { // a star stands for any text, and so for a port as well
			o.Value += ":*"
		}
		p.Allow(o, v.At)
	}
	p.Finish(gatewayBehaviour)
	p.Change(convert.GatewayDecides, "an answered preflight has the status 204; the Gateway API leaves it to the gateway whether that is 200")
	if convert.Alone(p.AllowHeaders) && !p.Credentials {
		p.Change(convert.GatewayDecides, "`*` in allow_headers does not cover authorization; a gateway that sends back what the preflight asks for does: list it beside, where it is meant")
	}
	if slices.Contains(p.ExposeHeaders, convert.Star) && p.Credentials {
		p.Change(convert.GatewayDecides, "`*` in expose_headers is sent as written, so that requests without credentials may read every header; the Gateway API has none sent beside credentials, and gateways with Envoy send it")
	}
	p.Change(convert.EarlierInChain, "the filter stands before authentication: preflights are answered, and 401 and 403 carry CORS headers")
	return p, nil
}
