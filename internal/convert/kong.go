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

// kongSource reads the cors plugin of Kong: in its declarative configuration, and
// as KongPlugin and KongClusterPlugin with the Ingresses and Services that name
// them; kongAttacher sees to HTTPRoutes. In which order Kong asks routes stands in
// kong/router/transform.lua (get_priority), as the routers traditional_compatible,
// which is the default, and expressions go by it; what the plugin does, in
// kong/plugins/cors/handler.lua: read at release 3.9.1. What an Ingress becomes is
// in internal/dataplane/translator/subtranslator of the ingress controller 3.5.9.
var kongSource = source{
	name: "Kong",
	reads: func(o *object) bool {
		return isKongFile(o) || isKongPlugin(o) || isIngress(o) || isService(o) || isHTTPRoute(o)
	},
	tables: kongTables,
}

const kongGroup = "configuration.konghq.com"

func isKongFile(o *object) bool { return o.kind == "" && child(o.root, "_format_version") != nil }

func isKongPlugin(o *object) bool { return o.is(kongGroup, "KongPlugin", "KongClusterPlugin") }

func isHTTPRoute(o *object) bool { return o.is(gatewayGroup, "HTTPRoute") }

func isService(o *object) bool { return o.is("v1", "Service") }

func kongTables(c *conversion, objects []*object) (tables []table) {
	for _, o := range objects {
		if !isKongFile(o) {
			continue
		}
		if name := "Kong configuration " + o.file; c.wants(name) {
			tables = append(tables, kongFileTable(c, o, name))
		}
	}
	if name := "Kong's Ingresses"; c.wants(name) {
		k := kongObjectsOf(c, objects)
		if k.cors {
			tables = append(tables, k.table(name))
		}
	}
	return tables
}

// kongRoute is a route of Kong with one kind of path: it splits those with several
// by length, and the regexes apart.
type kongRoute struct {
	from From
	r    reader
	// hosts, methods, … are the lists as they stand, empty where there are none.
	hosts, methods, snis, addresses []value
	headers                         []value // by name
	path                            *kongPath
	expression                      *yaml.Node
	// regexPriority and priority are as in the route.
	regexPriority, priority int
	policy                  *policy
	changes                 []Change
}

// kongPath is a path. A regex begins with "~" in Kong; exact is one that the
// ingress controller writes for a path that is compared whole.
type kongPath struct {
	text         string
	regex, exact bool
	at           Place
}

// compare gives the order in which Kong asks.
func (a kongRoute) compare(b kongRoute) int {
	return slices.Compare(b.weights(), a.weights())
}

func (a kongRoute) weights() []int {
	w := make([]int, 6)
	if a.expression != nil {
		return []int{8, a.priority}
	}
	for _, list := range [][]value{a.hosts, a.headers, a.methods, a.snis, a.addresses} {
		if len(list) > 0 {
			w[0]++
		}
	}
	if len(a.hosts) > 0 && !slices.ContainsFunc(a.hosts, func(v value) bool { return strings.Contains(v.text(), "*") }) {
		w[1] = 1
	}
	w[2] = len(a.headers)
	if a.path != nil {
		w[0]++
		if a.path.regex || a.path.exact {
			w[3], w[4] = 1, a.regexPriority
		} else {
			w[5] = len(a.path.text)
		}
	}
	return w
}

// kongOrder makes a table of routes. What no route takes gets what holds for all of
// Kong, which answers 404 there.
func kongOrder(c *conversion, name string, routes []kongRoute, global *policy, at From) table {
	slices.SortStableFunc(routes, kongRoute.compare)
	made := table{name: name}
	var starts []int // where the route of each kongRoute begins
	for _, r := range routes {
		starts = append(starts, len(made.routes))
		made.routes = append(made.routes, r.routes()...)
	}
	starts = append(starts, len(made.routes))
	for i := range routes {
		made.methods(routes[i], starts[i], starts[i+1])
	}
	if len(made.routes) <= maxCompared {
		for i := range routes {
			for j := i + 1; j < len(routes) && routes[i].compare(routes[j]) == 0; j++ {
				if made.clash(starts[i], starts[i+1], starts[j], starts[j+1]) {
					for n := starts[i]; n < starts[i+1]; n++ {
						made.routes[n].when = append(made.routes[n].when, condition{
							what:   "its place before " + routes[j].from.String() + ", of the same priority, so that Kong asks either first",
							at:     routes[i].from.Place,
							remedy: "give one of them another host, or a longer path, or regex_priority",
						})
					}
					break
				}
			}
		}
	}
	if global != nil {
		made.routes = append(made.routes, route{from: at, policy: global, changes: []Change{{MoreResponses, "Kong's own 404 for what no route takes carries CORS headers as well, and a preflight there is answered"}}})
	}
	dotted(made.routes, "Kong")
	return made
}

// maxCompared is how many routes are compared with each other for their order.
const maxCompared = 3000

// clash reports whether routes of the same priority decide otherwise about the same
// requests.
func (t *table) clash(a, aEnd, b, bEnd int) bool {
	for i := a; i < aEnd; i++ {
		for j := b; j < bEnd; j++ {
			x, y := &t.routes[i], &t.routes[j]
			if x.policy.key() == y.policy.key() || len(x.when)+len(y.when) > 0 {
				continue
			}
			s := step{hosts: x.hosts, paths: x.paths}
			other := step{hosts: y.hosts, paths: y.paths}
			if slices.ContainsFunc(other.cells(), s.overlaps) {
				return true
			}
		}
	}
	return false
}

// methods sees to a route that asks for methods: where OPTIONS is among them, and
// nothing else takes the other ones, it is as good as one that does not.
func (t *table) methods(r kongRoute, begin, end int) {
	if len(r.methods) == 0 {
		return
	}
	options := slices.ContainsFunc(r.methods, func(v value) bool { return strings.EqualFold(v.text(), "OPTIONS") })
	for i := begin; i < end; i++ {
		made := &t.routes[i]
		s := step{hosts: made.hosts, paths: made.paths}
		others := slices.ContainsFunc(t.routes[end:], func(o route) bool {
			other := step{hosts: o.hosts, paths: o.paths}
			return o.policy.key() != made.policy.key() && slices.ContainsFunc(other.cells(), s.overlaps)
		})
		switch {
		case options && !others && made.policy != nil:
			made.changes = append(slices.Clone(made.changes), Change{MoreResponses, "Kong's own 404 for a method that no route takes carries CORS headers as well"})
		case options || others || made.policy != nil:
			what := "methods"
			if !options {
				what = "methods, and OPTIONS, which a preflight is, is not among them"
			}
			made.when = append(made.when, condition{what: what, at: r.methods[0].at, remedy: "take them out, or give the routes that take the same hosts and paths the same policy"})
		}
	}
}

// routes translates one route.
func (a kongRoute) routes() (all []route) {
	base := route{from: a.from, policy: a.policy, changes: a.changes}
	when := func(list []value, what string) {
		if len(list) > 0 {
			base.when = append(base.when, condition{what: what, at: list[0].at})
		}
	}
	if a.expression != nil {
		base.when = append(base.when, condition{what: "an expression", at: a.r.o.at(a.expression), remedy: "write hosts and paths"})
		return []route{base}
	}
	for _, h := range a.headers {
		when([]value{h}, fmt.Sprintf("the header %q, which a preflight does not carry", h.text()))
	}
	when(a.snis, "the name in the TLS handshake")
	when(a.addresses, "addresses")
	if a.path != nil {
		switch {
		case a.path.exact:
			base.paths = []path{{kind: exactPath, text: a.path.text, at: a.path.at}}
		case a.path.regex:
			base.paths = a.r.regex(&base, wholeRegex(a.path.text, true), false, a.path.at)
		default:
			base.paths = []path{{kind: prefixPath, text: a.path.text, at: a.path.at}}
		}
	}
	if len(a.hosts) == 0 {
		return []route{base}
	}
	for _, h := range a.hosts {
		one := base
		host, port, ported := cutPort(strings.ToLower(h.text()))
		one.when = slices.Clone(base.when)
		if ported {
			one.when = append(one.when, condition{what: "the port " + port + " of the listener", at: h.at, remedy: "write the host without it"})
		}
		switch {
		case !strings.Contains(host, "*") || strings.HasPrefix(host, "*.") && strings.Count(host, "*") == 1:
			one.hosts = []string{host}
			if last := len(all) - 1; last >= 0 && !ported && len(all[last].when) == len(base.when) {
				all[last].hosts = append(all[last].hosts, host)
				continue
			}
		default:
			one.when = append(one.when, condition{what: "the host " + host + ", with a star for more than whole labels in front", at: h.at, remedy: "write the hosts, or whole labels such as *.example.com"})
		}
		all = append(all, one)
	}
	return all
}

// kongScopes are the policies of one place, by what they are for.
type kongScopes struct {
	global *policy
	at     From
}

// kongFile is a declarative configuration.
type kongFile struct {
	reader
	// services and routes are by name and id.
	byService, byRoute map[string]*policy
	used               map[string]bool
	kongScopes
	legacy bool // paths with signs of a regex are one
	routes []kongRoute
}

func kongFileTable(c *conversion, o *object, name string) table {
	f := &kongFile{reader: reader{c, o, ""}, byService: map[string]*policy{}, byRoute: map[string]*policy{}, used: map[string]bool{}}
	version := text(child(o.root, "_format_version"))
	f.legacy = strings.HasPrefix(version, "1.") || strings.HasPrefix(version, "2.")
	f.plugins()
	services := map[string]*policy{}
	for i, node := range elements(child(o.root, "services")) {
		part := kongName("services", i, node)
		p := f.own(part, node, f.byService)
		for _, key := range []string{"name", "id"} {
			if v := text(child(node, key)); v != "" {
				services[v] = p
			}
		}
		nested := elements(child(node, "routes"))
		for j, r := range nested {
			f.route(part+" "+kongName("routes", j, r), r, p)
		}
	}
	for i, node := range elements(child(o.root, "routes")) {
		part := kongName("routes", i, node)
		var p *policy
		if ref := child(node, "service"); ref != nil {
			name := kongReference(ref)
			of, known := services[name]
			if p = of; !known {
				f.inside(part).fail(ref, fmt.Sprintf("the service %q is not in the file", name), "add it")
			}
		}
		f.route(part, node, p)
	}
	for name := range f.byRoute {
		f.unused(name, "route", f.byRoute)
	}
	for name := range f.byService {
		f.unused(name, "service", f.byService)
	}
	return kongOrder(c, name, f.routes, f.global, f.at)
}

// kongName is what a thing is called in messages.
func kongName(list string, i int, node *yaml.Node) string {
	for _, key := range []string{"name", "id"} {
		if name := text(child(node, key)); name != "" {
			return strings.TrimSuffix(list, "s") + " " + name
		}
	}
	return fmt.Sprintf("%s[%d]", list, i)
}

// kongReference is the name or id that a reference gives.
func kongReference(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode {
		return node.Value
	}
	return cmp.Or(text(child(node, "name")), text(child(node, "id")))
}

// plugins reads those at the top, with what they are for.
func (f *kongFile) plugins() {
	for i, node := range elements(child(f.o.root, "plugins")) {
		if text(child(node, "name")) != "cors" {
			continue
		}
		part := fmt.Sprintf("plugins[%d]", i)
		here := f.inside(part)
		p, on := f.plugin(here, node)
		if !on {
			continue
		}
		route, service := child(node, "route"), child(node, "service")
		if p == nil && (route != nil || service != nil) {
			continue
		}
		take := func(into map[string]*policy, node *yaml.Node) {
			name := kongReference(node)
			if into[name] != nil {
				here.fail(node, fmt.Sprintf("%q has a cors plugin already", name), "keep one")
			}
			into[name] = p
		}
		switch {
		case route != nil && service != nil:
			here.fail(node, "a plugin for a route and a service at once can not be read", "write it for the route")
		case route != nil:
			take(f.byRoute, route)
		case service != nil:
			take(f.byService, service)
		default:
			if f.global != nil {
				here.fail(node, "a second cors plugin holds for everything", "keep one")
			}
			f.global, f.at = p, From{Source: part, Place: f.o.at(node)}
		}
	}
}

// plugin reads one, and whether it is switched on.
func (f *kongFile) plugin(r reader, node *yaml.Node) (*policy, bool) {
	if on, given := r.boolean(child(node, "enabled"), "enabled"); given && !on {
		return nil, false
	}
	for _, key := range []string{"consumer", "consumer_group"} {
		if v := child(node, key); v != nil {
			r.fail(v, "the plugin holds for some consumers, which a preflight does not name", "take that out: Kong refuses it for cors")
		}
	}
	config := child(node, "config")
	if ref := child(node, "_config"); ref != nil {
		shared := child(f.o.root, "_plugin_configs")
		named := document.Resolve(document.Child(shared, text(ref)))
		switch {
		case named == nil:
			r.fail(ref, fmt.Sprintf("%q is not among _plugin_configs", text(ref)), "add it")
		case config == nil:
			config = named
		default:
			r.fail(ref, "a part of the configuration stands in _plugin_configs", "write it into config, all of it")
		}
	}
	at := r.o.at(node)
	return r.kongPolicy(config, at), true
}

// own returns the policy of a service or a route: the plugin in it, or one at the
// top that names it.
func (f *kongFile) own(part string, node *yaml.Node, named map[string]*policy) (p *policy) {
	here := f.inside(part)
	for _, plugin := range elements(child(node, "plugins")) {
		if text(child(plugin, "name")) != "cors" {
			continue
		}
		if own, on := f.plugin(here, plugin); on {
			if p != nil {
				here.fail(plugin, "a second cors plugin", "keep one")
			}
			p = own
		}
	}
	for _, key := range []string{"name", "id"} {
		name := text(child(node, key))
		if named[name] == nil || name == "" {
			continue
		}
		f.used[name] = true
		if p != nil {
			here.fail(node, "it has two cors plugins, one among the plugins at the top", "keep one")
		}
		p = named[name]
	}
	return p
}

func (f *kongFile) unused(name, kind string, named map[string]*policy) {
	if !f.used[name] {
		at := f.o.at(nil)
		if p := named[name]; len(p.settings) > 0 {
			at = p.settings[0].at
		}
		f.problem(at, kind+" "+name, "it has a cors plugin, and is not in the file", "add it, with its hosts and paths")
	}
}

var kongStreams = []string{"tcp", "udp", "tls", "tls_passthrough"}

// route reads a route. Its policy comes from its own plugin, its service's, or what
// holds for everything, in this order.
func (f *kongFile) route(part string, node *yaml.Node, service *policy) {
	here := f.inside(part)
	if protocols := elements(child(node, "protocols")); len(protocols) > 0 && slices.Contains(kongStreams, text(protocols[0])) {
		return
	}
	made := kongRoute{from: From{Source: part, Place: f.o.at(node)}, r: here, expression: child(node, "expression")}
	made.policy = f.own(part, node, f.byRoute)
	if made.policy == nil {
		if made.policy = service; service == nil {
			made.policy = f.global
		}
	}
	list := func(key string) []value { return here.list(child(node, key), key) }
	made.hosts, made.methods, made.snis = list("hosts"), list("methods"), list("snis")
	for _, key := range []string{"sources", "destinations"} {
		if v := child(node, key); len(elements(v)) > 0 {
			made.addresses = append(made.addresses, value{key, f.o.at(v)})
		}
	}
	for _, m := range members(child(node, "headers")) {
		made.headers = append(made.headers, value{m.Key.Value, f.o.at(m.Key)})
	}
	for key, into := range map[string]*int{"regex_priority": &made.regexPriority, "priority": &made.priority} {
		if v := child(node, key); v != nil {
			var err error
			if *into, err = strconv.Atoi(text(v)); err != nil {
				here.fail(v, key+" is no whole number", "write one such as 10")
			}
		}
	}
	paths := list("paths")
	if len(paths)+len(made.hosts)+len(made.methods)+len(made.headers)+len(made.snis)+len(made.addresses) == 0 && made.expression == nil {
		here.fail(node, "a route asks for nothing, and Kong takes none such", "write hosts or paths")
		return
	}
	if len(paths) == 0 {
		f.routes = append(f.routes, made)
	}
	for _, p := range paths {
		one := made
		one.path = kongPathOf(p, f.legacy)
		f.routes = append(f.routes, one)
	}
}

// kongPathOf reads a path. Before format 3.0 a path with other than plain letters
// is a regex.
func kongPathOf(v value, legacy bool) *kongPath {
	regex, is := strings.CutPrefix(v.text(), "~")
	if !is && legacy && strings.ContainsFunc(regex, func(c rune) bool { return !isPlainInKong(c) }) {
		is = true
	}
	return &kongPath{text: regex, regex: is, at: v.at}
}

func isPlainInKong(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".-_~/%", c)
}

// kongSettings are those of the plugin.
var kongSettings = []string{"origins", "headers", "exposed_headers", "methods", "max_age", "credentials", "private_network", "preflight_continue", "allow_origin_absent"}

// kongMethods is what the plugin allows where no methods are written, but for
// TRACE and CONNECT, which no browser sends.
var kongMethods = []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"}

// kongPolicy translates a configuration of the plugin.
func (r reader) kongPolicy(node *yaml.Node, at Place) *policy {
	p := &policy{}
	for _, m := range members(node) {
		if !slices.Contains(kongSettings, m.Key.Value) {
			r.fail(m.Key, fmt.Sprintf("%q is no setting of Kong's cors plugin", m.Key.Value), "look for a typing mistake: Kong refuses it")
		}
	}
	where := func(name string) Place {
		if v := child(node, name); v != nil {
			return r.o.at(v)
		}
		return at
	}
	flag := func(name string) bool {
		on, _ := r.boolean(child(node, name), name)
		return on
	}
	credentials := flag("credentials")
	origins := r.kongOrigins(p, child(node, "origins"), at)
	p.setList("allow_origins", where("origins"), origins)
	anyOrigin := p.find("allow_origins").has(value{json: "*"})

	m := manner{project: "Kong", reflects: credentials, unmatched: "Kong answers it with 200 and no access-control-allow-origin", status: "200", varies: true}
	methods, headers := r.list(child(node, "methods"), "methods"), r.list(child(node, "headers"), "headers")
	if child(node, "methods") == nil {
		for _, method := range kongMethods {
			methods = append(methods, value{method, at})
		}
	}
	if len(headers) == 0 { // what the preflight asks for comes back
		headers = []value{{"*", where("headers")}}
		m.echoes, m.authorization = true, true
	}
	if flag("preflight_continue") {
		const what = "preflight_continue leaves preflights to upstream, and this filter answers them"
		if v := child(node, "preflight_continue"); r.options.Partial {
			at, of := r.o.at(v), r.o.String()
			of += " " + r.part
			p.comments = append(p.comments, Comment{at, of + ": " + what + ": no methods and headers are allowed, beyond what needs no preflight"})
		} else {
			r.fail(v, what, "take it out, and write the methods and headers that upstream allows, or leave those out with -partial")
		}
		methods, headers = nil, nil
	}
	p.setList("allow_methods", where("methods"), methods)
	p.setList("allow_headers", where("headers"), headers)
	p.setList("expose_headers", where("exposed_headers"), r.list(child(node, "exposed_headers"), "exposed_headers"))
	if credentials {
		p.set("allow_credentials", where("credentials"), true)
	}
	if v := child(node, "max_age"); v != nil {
		if seconds, err := strconv.ParseFloat(text(v), 64); err != nil || seconds != float64(int64(seconds)) {
			r.fail(v, fmt.Sprintf("max_age %q is sent as it stands, and browsers read whole seconds alone", text(v)), "write seconds, such as 600")
		} else {
			p.set("max_age", r.o.at(v), int64(seconds))
		}
	}
	if flag("private_network") {
		p.set("allow_private_network_access", where("private_network"), true)
	}
	p.change(UpstreamHeaders, "access-control-allow-credentials and access-control-expose-headers that upstream sends itself are removed; Kong replaces them where it has some of its own, and lets them through elsewhere")
	if v := child(node, "allow_origin_absent"); v != nil && !anyOrigin {
		if absent, _ := r.boolean(v, "allow_origin_absent"); !absent {
			p.change(VaryIsSet, "Vary names Origin on every response; Kong does not set it where the request has no Origin")
		}
	}
	p.finish(m)
	return p
}

// kongOrigins reads origins: flat ones, and regexes, which are looked for at the
// beginning of the origin, with an end to the last alternative alone. Regexes
// without a colon are compared with the host.
func (r reader) kongOrigins(p *policy, node *yaml.Node, at Place) (values []value) {
	all := r.list(node, "origins")
	if star := slices.IndexFunc(all, func(v value) bool { return v.json == "*" }); star >= 0 {
		return []value{{"*", all[star].at}}
	}
	if len(all) == 0 {
		return []value{{"*", at}}
	}
	for _, v := range all {
		entry := v.text()
		if !strings.ContainsFunc(entry, func(c rune) bool { return !isFlatInKong(c) }) {
			if len(all) > 1 { // one by itself is sent as it stands
				entry = kongFlat(entry)
			}
			values = append(values, value{exactOrigin(p, entry, false), v.at})
			continue
		}
		regex := entry
		if !strings.HasSuffix(regex, "$") {
			regex += "$"
		}
		regex = wholeRegex(regex, true)
		if !strings.Contains(entry, ":") {
			regex = `[a-z][a-z0-9+.-]*://(?:` + regex + `)(?::[0-9]+)?`
		} else if text, ok := literalRegex(regex); ok {
			values = append(values, value{exactOrigin(p, text, false), v.at})
			continue
		}
		values = append(values, value{jsonObject{{"regex", regex}}, v.at})
	}
	return values
}

func isFlatInKong(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".:/-", c)
}

// kongFlat is an origin as Kong compares it where there are several: without a
// default port, and without what stands behind the host.
func kongFlat(entry string) string {
	scheme, rest, ok := strings.Cut(entry, "://")
	if !ok {
		return entry
	}
	host, _, _ := strings.Cut(rest, "/")
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}
