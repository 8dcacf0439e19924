// Package istio reads VirtualServices, and the Gateways that say which of their hosts
// are exposed. How Istio makes routes of them stands in its pilot/pkg/networking/core
// (gateway.go, route/route.go), read at commit 86c9f01f.
package istio

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "Istio",
	Files:    "Istio VirtualServices, with the Gateways that they name",
	Settings: []convert.Settings{istioSettings},
	Reads: func(o *convert.Object) bool {
		return o.Is("networking.istio.io", "VirtualService", "Gateway") || o.Is("networking.istio.io", "EnvoyFilter") && convert.Mentions(o.Root, "allow_origin_string_match")
	},
	Tables: istioTables,
}

// istioService is a VirtualService.
type istioService struct {
	*convert.Object
	gateways []string // namespace/name, or mesh
	used     bool     // as a delegate
}

// istioTables makes a table for each gateway: the filter is loaded there.
func istioTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	exposed, delegates := map[string]*convert.Object{}, map[string]*istioService{}
	var services []*istioService
	for _, o := range objects {
		switch o.Kind {
		case "Gateway":
			exposed[convert.Qualified(o.Name, o.Namespace)] = o
			continue
		case "EnvoyFilter": // what it patches is known to the proxy alone
			c.Problem(o.At(nil), o.String(), "patches policies of Envoy's own CORS filter into routes that are not here", "convert what the proxy has of them, out of its /config_dump")
			continue
		}
		s := &istioService{Object: o}
		if len(convert.Elements(o.Spec("hosts"))) == 0 {
			delegates[convert.Qualified(o.Name, o.Namespace)] = s
			continue
		}
		for _, g := range convert.Elements(o.Spec("gateways")) {
			s.gateways = append(s.gateways, istioGateway(convert.Text(g), o.Namespace))
		}
		if len(s.gateways) == 0 {
			s.gateways = []string{mesh}
		}
		services = append(services, s)
	}
	// As Istio does: by age, then by name.
	slices.SortStableFunc(services, func(a, b *istioService) int {
		return cmp.Or(strings.Compare(a.Created, b.Created), strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))
	})
	var gateways []string
	for _, s := range services {
		gateways = append(gateways, s.gateways...)
	}
	for _, g := range convert.Unique(gateways) {
		name := "gateway " + g
		if c.Wants(name) {
			scope := istioScope{c, g, exposed[g], map[string]convert.Change{}, delegates}
			tables = append(tables, convert.Table{Name: name, Routes: scope.routes(services)})
		}
	}
	for _, d := range delegates {
		if cors := convert.Mentions(d.Spec("http"), "cors_policy"); cors && !d.used && len(c.Options.Only) == 0 {
			c.Problem(d.At(nil), d.String(), "it has no hosts, and no VirtualService in the files delegates to it", "add the one that does")
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
	return convert.Qualified(name, namespace)
}

// istioScope is one gateway in translation.
type istioScope struct {
	*convert.Conversion
	gateway string
	exposed *convert.Object           // its Gateway; nil where that is not in the files
	short   map[string]convert.Change // of hosts that are short names
	// delegates are VirtualServices without hosts, by namespace and name.
	delegates map[string]*istioService
}

func (s istioScope) routes(services []*istioService) (routes []convert.Route) {
	domains, owners := convert.Shared(services, func(v *istioService) (all []string) {
		if slices.Contains(v.gateways, s.gateway) {
			for _, node := range convert.Elements(v.Spec("hosts")) {
				all = append(all, s.hosts(v, strings.ToLower(convert.Text(node)))...)
			}
		}
		return all
	})
	for _, group := range convert.OrderDomains(domains) {
		made := s.virtualHost(group, owners[group[0].Owner])
		convert.WithChanges(made, convert.Spelled(domains, group, "Istio", convert.WithDot)...) // which sets ignore_port_in_host_matching
		routes = append(routes, made...)
	}
	return routes
}

// hosts are those that a host of a service stands for at the gateway: what the
// Gateway exposes of it, and in the mesh every spelling of a Service's name.
func (s istioScope) hosts(v *istioService, host string) (all []string) {
	if host == "*" {
		host = ""
	}
	all = []string{host}
	name, rest, dotted := strings.Cut(host, ".")
	namespace, suffix, _ := strings.Cut(rest, ".")
	cluster := suffix == "svc.cluster.local"
	if host != "" && !dotted {
		namespace = v.Namespace
	}
	switch full := name + "." + namespace + ".svc.cluster.local"; {
	case host == "" || dotted && !cluster:
	case namespace == "":
		s.short[host] = convert.Change{Kind: convert.ShortHost, Text: fmt.Sprintf("the host %q is taken as it stands: the VirtualService has no namespace to complete it with", host)}
	case s.gateway != mesh:
		all = []string{full}
	default:
		all = []string{full, name + "." + namespace + ".svc", name + "." + namespace}
		if !dotted {
			all = append(all, name)
		}
		for _, h := range all {
			s.short[h] = convert.Change{Kind: convert.ShortHost, Text: fmt.Sprintf("the Service %s in the namespace %s is taken by its name in these spellings: %s", name, namespace, strings.Join(all, ", "))}
		}
	}
	if s.exposed == nil {
		return all
	}
	var shown []string
	for _, server := range convert.Elements(s.exposed.Spec("servers")) {
		for _, h := range convert.Elements(convert.Child(server, "hosts")) {
			pattern := strings.ToLower(convert.Text(h))
			if i := strings.IndexByte(pattern, '/'); i >= 0 {
				if of := pattern[:i]; of != "*" && of != v.Namespace && !(of == "." && v.Namespace == s.exposed.Namespace) {
					continue
				}
				pattern = pattern[i+1:]
			}
			if pattern == "*" {
				pattern = ""
			}
			shown = append(shown, convert.Intersect(all, []string{pattern})...)
		}
	}
	return shown
}

// virtualHost translates the routes of all services that have some hosts: one
// service after the other, and those that take everything last.
func (s istioScope) virtualHost(group []convert.Domain, services []*istioService) []convert.Route {
	var some, everything []convert.Route
	for _, v := range services {
		for _, r := range s.service(v) {
			r.Hosts = convert.HostsOf(group)
			for _, d := range group {
				if change, ok := s.short[d.Text]; ok && r.Policy != nil && !slices.Contains(r.Changes, change) {
					r.Changes = append(r.Changes, change)
				}
			}
			if len(services) > 1 && r.Policy != nil {
				r.Changes = append(r.Changes, convert.Change{Kind: convert.OrderOfObjects, Text: "several VirtualServices have the host, and are asked by age and name, as Istio does with creationTimestamp; files without it are taken to be of one age"})
			}
			if takesAll(r) {
				everything = append(everything, r)
			} else {
				some = append(some, r)
			}
		}
	}
	return append(append(some, everything...), convert.Route{From: services[0].From("", nil), Hosts: convert.HostsOf(group), Replies: true})
}

// takesAll reports whether a route takes every request.
func takesAll(r convert.Route) bool {
	return len(r.When)+len(r.Methods) == 0 && (len(r.Paths) == 0 || convert.Normal(r.Paths[0]).Kind == convert.AnyPath)
}

var istioConditions = map[string]string{
	"authority": "the authority; write it among the hosts",
	"scheme":    "the scheme", "port": "the port", "source_labels": "the labels of the caller", "source_namespace": "the namespace of the caller",
	"stat_prefix": "", "name": "", "gateways": "", "ignore_uri_case": "", "uri": "",
}

// service translates the routes of one service for the gateway.
func (s istioScope) service(v *istioService) (routes []convert.Route) {
	for _, h := range s.entries(v) {
		base := convert.Route{From: h.Object.From(h.Part, h.node)}
		_, answers := h.setting("direct_response")
		base.Replies = convert.Child(h.node, "redirect") != nil || answers != nil
		if h.root != nil {
			base.From.Part += " for " + h.root.Object.String()
		}
		switch r, cors := h.setting("cors_policy"); {
		case cors != nil && base.Replies:
			r.Idle(cors, "redirect or directResponse", "Istio")
		case cors != nil:
			base.Policy, base.Changes = istioPolicy(r, cors)
			if base.Policy != nil {
				r, headers := h.setting("headers")
				base.Changes = append(base.Changes, convert.BesideThePolicy(r.Object, "headers.response", convert.AddedByIstio(headers))...)
				for _, adds := range convert.Elements(convert.Child(h.node, "route")) {
					base.Changes = append(base.Changes, convert.BesideThePolicy(h.Object, "headers.response", convert.AddedByIstio(convert.Child(adds, "headers")))...)
				}
			}
		}
		if len(h.matches) == 0 {
			return append(routes, base) // what follows is out of reach
		}
		for _, match := range h.matches {
			one, ok := s.match(h, base, match)
			if !ok {
				continue
			}
			routes = append(routes, one)
			if takesAll(one) {
				return routes
			}
		}
	}
	return routes
}

// match adds what a match asks for; it reports false where the gateway is none of
// its gateways.
func (s istioScope) match(h istioHTTP, made convert.Route, match istioMatch) (convert.Route, bool) {
	made.Changes = slices.Clone(made.Changes)
	m := convert.Match{Reader: h.Reader, Route: &made}
	gateways := gatewaysOf(match.own, h.Object.Namespace)
	if h.root != nil && len(gateways) == 0 {
		gateways = gatewaysOf(match.root, h.root.Object.Namespace)
	}
	if len(gateways) > 0 && !slices.Contains(gateways, s.gateway) {
		return made, false
	}
	matchOf(m, match.own, nil)
	if match.root != nil {
		m.Reader = h.root.Reader
		matchOf(m, match.root, match.own)
	}
	return made, true
}

// matchOf reads a match; but is one whose keys count in place of it.
func matchOf(m convert.Match, node, but *yaml.Node) {
	m.AnyCase, _ = m.Boolean(convert.Child(node, "ignore_uri_case"), "ignoreUriCase")
	for _, key := range convert.Members(node) {
		name := convert.Snake(key.Key.Value)
		switch given := convert.Child(but, name) != nil; {
		case name == "uri" && !given:
			for _, uri := range convert.Members(key.Value) {
				switch text := convert.Text(uri.Value); uri.Key.Value {
				case "exact":
					m.Path(convert.ExactPath, text, uri.Value)
				case "prefix":
					m.Path(convert.PrefixPath, text, uri.Value)
				case "regex":
					at := m.Object.At(uri.Value)
					m.Regex(text, at)
				default:
					m.Fail(uri.Key, uri.Key.Value+" is no match of a uri", "write exact, prefix or regex")
				}
			}
		case name == "method" && !given:
			for _, by := range convert.Members(key.Value) {
				switch text := convert.Text(by.Value); by.Key.Value {
				case "exact":
					m.Method(by.Value, text)
				case "regex":
					m.Method(by.Value, convert.RegexMethods(text)...)
				default:
					m.Method(by.Value)
				}
			}
		case name == "uri" || name == "method" || given && (name == "scheme" || name == "authority" || name == "port"):
		default:
			m.Key(key, istioConditions)
		}
	}
}

var istioSettings = convert.Settings{
	Of: "Istio's corsPolicy", Proto: true, Lists: true,
	Rows: []convert.Setting{
		{Key: "allowOrigins", Becomes: convert.AllowOrigins, Note: "each matcher as it is; `prefix` needs a waiver"},
		{Key: "allowOrigin", Becomes: convert.AllowOrigins, Note: "counts where `allowOrigins` is not there"},
		{Key: "allowMethods", Becomes: "allow_methods"},
		{Key: "allowHeaders", Becomes: "allow_headers", Note: "`*` without credentials is written with `authorization` beside, which Istio sends back as well"},
		{Key: "exposeHeaders", Becomes: "expose_headers"},
		{Key: "maxAge", Becomes: convert.MaxAge, Note: "a duration"},
		{Key: "allowCredentials", Becomes: "allow_credentials", Default: "false"},
		{Key: "unmatchedPreflights", Becomes: "unmatched_preflights", Default: "FORWARD", Note: "where it is not written, 403 is answered here, and that is listed"},
	},
	MaxAge: convert.Unit{Seconds: convert.Duration, What: "maxAge %q is no duration", Remedy: `write one such as "24h"`},
}

var istioSpelling = &convert.Spelling{
	Exact: func(text string) string { return `{exact: "` + text + `"}` },
	Regex: func(text string) string { return `{regex: '` + text + `'}` },
}

// istioPolicy reads a corsPolicy, which Istio makes a CorsPolicy of Envoy's.
func istioPolicy(r convert.Reader, node *yaml.Node) (*convert.Policy, []convert.Change) {
	p := &convert.Policy{Spelling: istioSpelling}
	istioSettings.Read(r, p, node)
	r.Origins(p, convert.Child(node, convert.AllowOrigins))
	if convert.Child(node, convert.AllowOrigins) == nil {
		p.AllowExact(r.List(convert.Child(node, "allow_origin"), "allowOrigin"))
	}
	m := convert.Behaviour{Project: "Istio", Echoes: true, Authorization: true, Reflects: true, Unmatched: "Istio forwards it", Status: "200", Keeps: true}
	if v := convert.Child(node, "unmatched_preflights"); v != nil {
		switch convert.Text(v) {
		case "FORWARD":
			p.ForwardUnmatched = true
		case "IGNORE":
			m.Unmatched = "Istio answers it with 200 and no access-control-allow-origin"
			m.Answers = true
		case "UNSPECIFIED":
		default:
			r.Fail(v, fmt.Sprintf("unmatchedPreflights is no %q", convert.Text(v)), "write FORWARD or IGNORE")
		}
	}
	if len(p.AllowOrigins) == 0 {
		return convert.WithoutOrigins(r.Object.At(node), m)
	}
	p.Finish(m)
	p.Change(convert.EarlierInChain, "in phase AUTHN the filter comes before authentication and authorization: preflights are answered, and 401 and 403 carry CORS headers")
	return p, nil
}
