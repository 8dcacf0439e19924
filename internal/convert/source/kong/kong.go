// Package kong reads the cors plugin of Kong: in its declarative configuration, and as
// KongPlugin and KongClusterPlugin with the Ingresses and Services that name them;
// the attacher sees to HTTPRoutes. In which order Kong asks routes stands in
// kong/router/transform.lua (get_priority), as the routers traditional_compatible,
// which is the default, and expressions go by it; what the plugin does, in
// kong/plugins/cors/handler.lua: read at release 3.9.1. What an Ingress becomes is in
// internal/dataplane/translator/subtranslator of the ingress controller 3.5.9.
package kong

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
	"corsfilter/internal/document"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "Kong",
	Files:    "the cors plugin of Kong, in a kong.yaml, or with the Ingresses, HTTPRoutes and Services that name it",
	Settings: []convert.Settings{kongSettings},
	Reads: func(o *convert.Object) bool {
		return isKongFile(o) || isKongPlugin(o) || convert.IsIngress(o) || convert.IsService(o) || convert.IsHTTPRoute(o)
	},
	Tables:   kongTables,
	Attacher: kongAttacher,
}

const kongGroup = "configuration.konghq.com"

func isKongFile(o *convert.Object) bool {
	return o.Kind == "" && convert.Child(o.Root, "_format_version") != nil
}

func isKongPlugin(o *convert.Object) bool { return o.Is(kongGroup, "KongPlugin", "KongClusterPlugin") }

func kongTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	for _, o := range objects {
		if !isKongFile(o) {
			continue
		}
		if name := "Kong configuration " + o.File; c.Wants(name) {
			tables = append(tables, kongFileTable(c, o, name))
		}
	}
	if name := "Kong's Ingresses"; c.Wants(name) {
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
	from convert.From
	r    convert.Reader
	// hosts, methods, … are the lists as they stand, empty where there are none.
	hosts, methods, snis, addresses []convert.Value
	headers                         []convert.Value // by name
	path                            *kongPath
	expression                      *yaml.Node
	// regexPriority and priority are as in the route.
	regexPriority, priority int
	policy                  *convert.Policy
	changes                 []convert.Change
}

// kongPath is a path. A regex begins with "~" in Kong; exact is one that the
// ingress controller writes for a path that is compared whole.
type kongPath struct {
	text         string
	regex, exact bool
	at           convert.Place
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
	for _, list := range [][]convert.Value{a.hosts, a.headers, a.methods, a.snis, a.addresses} {
		if len(list) > 0 {
			w[0]++
		}
	}
	if len(a.hosts) > 0 && !slices.ContainsFunc(a.hosts, func(v convert.Value) bool { return strings.Contains(v.Text, "*") }) {
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
func kongOrder(c *convert.Conversion, name string, routes []kongRoute, global *convert.Policy, at convert.From) convert.Table {
	slices.SortStableFunc(routes, kongRoute.compare)
	made := convert.Table{Name: name}
	var starts []int // where the route of each kongRoute begins
	for _, r := range routes {
		starts = append(starts, len(made.Routes))
		made.Routes = append(made.Routes, r.routes()...)
	}
	starts = append(starts, len(made.Routes))
	if len(made.Routes) <= convert.MaxCompared {
		made.Ties(starts, func(i, j int) bool { return routes[i].compare(routes[j]) == 0 }, "Kong", "give one of them another host, or a longer path, or regex_priority")
	}
	if global != nil {
		made.Routes = append(made.Routes, convert.Route{From: at, Policy: global, Changes: []convert.Change{{Kind: convert.MoreResponses, Text: "Kong's own 404 for what no route takes carries CORS headers as well, and a preflight there is answered"}}})
	}
	convert.Dotted(made.Routes, "Kong")
	return made
}

// routes translates one route.
func (a kongRoute) routes() (all []convert.Route) {
	base := convert.Route{From: a.from, Policy: a.policy, Methods: a.methods, Changes: a.changes}
	when := func(list []convert.Value, what string) {
		if len(list) > 0 {
			base.When = append(base.When, convert.Condition{What: what, At: list[0].At})
		}
	}
	if a.expression != nil {
		base.When = append(base.When, convert.Condition{What: "an expression", At: a.r.Object.At(a.expression), Remedy: "write hosts and paths"})
		return []convert.Route{base}
	}
	for _, h := range a.headers {
		when([]convert.Value{h}, fmt.Sprintf(convert.Header, h.Text))
	}
	when(a.snis, "the name in the TLS handshake")
	when(a.addresses, "addresses")
	if a.path != nil {
		switch {
		case a.path.exact:
			base.Paths = []convert.Path{{Kind: convert.ExactPath, Text: a.path.text, At: a.path.at}}
		case a.path.regex:
			convert.Match{Reader: a.r, Route: &base}.Regex(convert.WholeRegex(a.path.text, true), a.path.at)
		default:
			base.Paths = []convert.Path{{Kind: convert.PrefixPath, Text: a.path.text, At: a.path.at}}
		}
	}
	if len(a.hosts) == 0 {
		return []convert.Route{base}
	}
	for _, h := range a.hosts {
		one := base
		host, port, ported := convert.CutPort(strings.ToLower(h.Text))
		one.When = slices.Clone(base.When)
		if ported {
			one.When = append(one.When, convert.Condition{What: "the port " + port + " of the listener", At: h.At, Remedy: "write the host without it"})
		}
		switch {
		case !strings.Contains(host, "*") || strings.HasPrefix(host, "*.") && strings.Count(host, "*") == 1:
			one.Hosts = []string{host}
			if last := len(all) - 1; last >= 0 && !ported && len(all[last].When) == len(base.When) {
				all[last].Hosts = append(all[last].Hosts, host)
				continue
			}
		default:
			one.When = append(one.When, convert.Condition{What: "the host " + host + ", with a star for more than whole labels in front", At: h.At, Remedy: "write the hosts, or whole labels such as *.example.com"})
		}
		all = append(all, one)
	}
	return all
}

// kongFile is a declarative configuration.
type kongFile struct {
	convert.Reader
	// services and routes are by name and id.
	byService, byRoute map[string]*convert.Policy
	used               map[string]bool
	global             *convert.Policy // holds for everything
	at                 convert.From
	legacy             bool // paths with signs of a regex are one
	routes             []kongRoute
}

func kongFileTable(c *convert.Conversion, o *convert.Object, name string) convert.Table {
	f := &kongFile{Reader: convert.Reader{Conversion: c, Object: o, Part: ""}, byService: map[string]*convert.Policy{}, byRoute: map[string]*convert.Policy{}, used: map[string]bool{}}
	version := convert.Text(convert.Child(o.Root, "_format_version"))
	f.legacy = strings.HasPrefix(version, "1.") || strings.HasPrefix(version, "2.")
	f.plugins()
	services := map[string]*convert.Policy{}
	for i, node := range convert.Elements(convert.Child(o.Root, "services")) {
		part := kongName("services", i, node)
		p := f.own(part, node, f.byService)
		for _, name := range kongNames(node) {
			services[name] = p
		}
		for j, r := range convert.Elements(convert.Child(node, "routes")) {
			f.route(part+" "+kongName("routes", j, r), r, p)
		}
	}
	for i, node := range convert.Elements(convert.Child(o.Root, "routes")) {
		part := kongName("routes", i, node)
		var p *convert.Policy
		if ref := convert.Child(node, "service"); ref != nil {
			name := kongReference(ref)
			of, known := services[name]
			if p = of; !known {
				f.Inside(part).Fail(ref, fmt.Sprintf("the service %q is not in the file", name), "add it")
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
	if names := kongNames(node); len(names) > 0 {
		return strings.TrimSuffix(list, "s") + " " + names[0]
	}
	return fmt.Sprintf("%s[%d]", list, i)
}

// kongNames are the name and the id of a thing, if it has them.
func kongNames(node *yaml.Node) []string {
	names := []string{convert.Text(convert.Child(node, "name")), convert.Text(convert.Child(node, "id"))}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// kongReference is the name or id that a reference gives.
func kongReference(node *yaml.Node) string {
	return cmp.Or(convert.Text(node), convert.Text(convert.Child(node, "name")), convert.Text(convert.Child(node, "id")))
}

// plugins reads those at the top, with what they are for.
func (f *kongFile) plugins() {
	for i, node := range convert.Elements(convert.Child(f.Object.Root, "plugins")) {
		if convert.Text(convert.Child(node, "name")) != "cors" {
			continue
		}
		part := fmt.Sprintf("plugins[%d]", i)
		here := f.Inside(part)
		p, on := f.plugin(here, node)
		if !on {
			continue
		}
		route, service := convert.Child(node, "route"), convert.Child(node, "service")
		if p == nil && (route != nil || service != nil) {
			continue
		}
		take := func(into map[string]*convert.Policy, node *yaml.Node) {
			name := kongReference(node)
			if into[name] != nil {
				here.Fail(node, fmt.Sprintf("%q has a cors plugin already", name), "keep one")
			}
			into[name] = p
		}
		switch {
		case route != nil && service != nil:
			here.Fail(node, "a plugin for a route and a service at once cannot be read", "write it for the route")
		case route != nil:
			take(f.byRoute, route)
		case service != nil:
			take(f.byService, service)
		default:
			if f.global != nil {
				here.Fail(node, "a second cors plugin holds for everything", "keep one")
			}
			f.global, f.at = p, convert.From{Source: part, Place: f.Object.At(node)}
		}
	}
}

// plugin reads one, and whether it is switched on.
func (f *kongFile) plugin(r convert.Reader, node *yaml.Node) (*convert.Policy, bool) {
	if on, given := r.Boolean(convert.Child(node, "enabled"), "enabled"); given && !on {
		return nil, false
	}
	for _, key := range []string{"consumer", "consumer_group"} {
		if v := convert.Child(node, key); v != nil {
			r.Fail(v, "the plugin holds for some consumers, which a preflight does not name", "take that out: Kong refuses it for cors")
		}
	}
	config := convert.Child(node, "config")
	if ref := convert.Child(node, "_config"); ref != nil {
		shared := convert.Child(f.Object.Root, "_plugin_configs")
		named := document.Resolve(document.Child(shared, convert.Text(ref)))
		switch {
		case named == nil:
			r.Fail(ref, fmt.Sprintf("%q is not among _plugin_configs", convert.Text(ref)), "add it")
		case config == nil:
			config = named
		default:
			r.Fail(ref, "a part of the configuration stands in _plugin_configs", "write it into config, all of it")
		}
	}
	at := r.Object.At(node)
	return kongPolicy(r, config, at), true
}

// own returns the policy of a service or a route: the plugin in it, or one at the
// top that names it.
func (f *kongFile) own(part string, node *yaml.Node, named map[string]*convert.Policy) (p *convert.Policy) {
	here := f.Inside(part)
	for _, plugin := range convert.Elements(convert.Child(node, "plugins")) {
		if convert.Text(convert.Child(plugin, "name")) != "cors" {
			continue
		}
		if own, on := f.plugin(here, plugin); on {
			if p != nil {
				here.Fail(plugin, "a second cors plugin", "keep one")
			}
			p = own
		}
	}
	for _, name := range kongNames(node) {
		if named[name] == nil {
			continue
		}
		f.used[name] = true
		if p != nil {
			here.Fail(node, "it has two cors plugins, one among the plugins at the top", "keep one")
		}
		p = named[name]
	}
	return p
}

func (f *kongFile) unused(name, kind string, named map[string]*convert.Policy) {
	if !f.used[name] {
		at := f.Object.At(nil)
		if p := named[name]; p != nil {
			at = p.Places[convert.Entry{Setting: convert.AllowOrigins, Element: nil}]
		}
		f.Problem(at, kind+" "+name, "it has a cors plugin, and is not in the file", "add it, with its hosts and paths")
	}
}

var kongStreams = []string{"tcp", "udp", "tls", "tls_passthrough"}

// route reads a route. Its policy comes from its own plugin, its service's, or what
// holds for everything, in this order.
func (f *kongFile) route(part string, node *yaml.Node, service *convert.Policy) {
	here := f.Inside(part)
	if protocols := convert.Elements(convert.Child(node, "protocols")); len(protocols) > 0 && slices.Contains(kongStreams, convert.Text(protocols[0])) {
		return
	}
	made := kongRoute{from: convert.From{Source: part, Place: f.Object.At(node)}, r: here, expression: convert.Child(node, "expression")}
	made.policy = cmp.Or(f.own(part, node, f.byRoute), service, f.global)
	list := func(key string) []convert.Value { return here.List(convert.Child(node, key), key) }
	made.hosts, made.methods, made.snis = list("hosts"), list("methods"), list("snis")
	for _, key := range []string{"sources", "destinations"} {
		if v := convert.Child(node, key); len(convert.Elements(v)) > 0 {
			made.addresses = append(made.addresses, convert.Value{Text: key, At: f.Object.At(v)})
		}
	}
	for _, m := range convert.Members(convert.Child(node, "headers")) {
		made.headers = append(made.headers, convert.Value{Text: m.Key.Value, At: f.Object.At(m.Key)})
	}
	made.regexPriority = here.Whole(convert.Child(node, "regex_priority"), "regex_priority", "whole number")
	made.priority = here.Whole(convert.Child(node, "priority"), "priority", "whole number")
	paths := list("paths")
	if len(paths)+len(made.hosts)+len(made.methods)+len(made.headers)+len(made.snis)+len(made.addresses) == 0 && made.expression == nil {
		here.Fail(node, "a route asks for nothing, and Kong takes none such", "write hosts or paths")
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
func kongPathOf(v convert.Value, legacy bool) *kongPath {
	regex, is := strings.CutPrefix(v.Text, "~")
	return &kongPath{text: regex, regex: is || legacy && !plainPath.MatchString(regex), at: v.At}
}

var (
	plainPath  = regexp.MustCompile(`\A[a-zA-Z0-9.\-_~/%]*\z`)
	flatOrigin = regexp.MustCompile(`\A[a-zA-Z0-9.:/-]*\z`)
)

// kongSettings are those of the plugin.
var kongSettings = convert.Settings{
	Of: "Kong's cors plugin", Typo: ": Kong refuses it", Lists: true,
	Rows: []convert.Setting{
		{Key: "origins", Becomes: convert.AllowOrigins, Default: "*", Note: "flat ones as they are; others are regexes, from the origin's beginning"},
		{Key: "methods", Becomes: "allow_methods", Default: "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS", Note: "TRACE and CONNECT, which are default as well, are sent by no browser"},
		{Key: "headers", Becomes: "allow_headers", Note: "none is any: what the preflight asks for comes back"},
		{Key: "exposed_headers", Becomes: "expose_headers"},
		{Key: "credentials", Becomes: "allow_credentials", Default: "false"},
		{Key: "max_age", Becomes: convert.MaxAge},
		{Key: "private_network", Becomes: convert.PrivateNetwork, Default: "false"},
		{Key: "preflight_continue", Default: "false", Note: "refused: preflights are answered here"},
		{Key: "allow_origin_absent", Default: "true", Note: "`Vary` names Origin on every response"},
	},
	MaxAge: convert.Unit{
		Seconds: func(text string) (int64, error) {
			seconds, err := strconv.ParseFloat(text, 64)
			if seconds != float64(int64(seconds)) {
				err = strconv.ErrSyntax
			}
			return int64(seconds), err
		},
		What: "max_age %q is sent as it stands, and browsers read whole seconds alone", Remedy: "write seconds, such as 600",
	},
}

var kongSpelling = &convert.Spelling{
	Exact: func(text string) string { return `"` + text + `"` },
	Regex: func(text string) string { return `'` + text + `'` },
}

// kongPolicy translates a configuration of the plugin.
func kongPolicy(r convert.Reader, node *yaml.Node, at convert.Place) *convert.Policy {
	p := &convert.Policy{Spelling: kongSpelling}
	kongSettings.Read(r, p, node)
	where := func(name string) convert.Place {
		if v := convert.Child(node, name); v != nil {
			return r.Object.At(v)
		}
		return at
	}
	p.Put(convert.AllowOrigins, nil, where("origins"))
	kongOrigins(r, p, convert.Child(node, "origins"), at)

	m := convert.Behaviour{Project: "Kong", Reflects: p.Credentials, Unmatched: "Kong answers it with 200 and no access-control-allow-origin", Status: "200", Varies: true}
	if len(p.AllowHeaders) == 0 { // what the preflight asks for comes back
		headers := where("headers")
		p.SetList("allow_headers", headers, []convert.Value{{Text: "*", At: headers}})
		m.Echoes, m.Authorization = true, true
	}
	if r.Flag(node, "preflight_continue") {
		const what = "preflight_continue leaves preflights to upstream, and this filter answers them"
		if v := convert.Child(node, "preflight_continue"); r.Options.Partial {
			at, name := r.Object.At(v), r.Object.String()
			p.Comments = append(p.Comments, convert.Comment{Place: at, Text: "a setting of " + strings.TrimSpace(name+" "+r.Part) + ": " + what + ": no methods and headers are allowed, beyond what needs no preflight"})
		} else {
			r.Fail(v, what, "take it out, and write the methods and headers that upstream allows, or leave those out with -partial")
		}
		p.AllowMethods, p.AllowHeaders = nil, nil
	}
	p.Change(convert.UpstreamHeaders, "access-control-allow-credentials and access-control-expose-headers that upstream sends itself are removed; Kong replaces them where it has some of its own, and lets them through elsewhere")
	if convert.Child(node, "allow_origin_absent") != nil && !p.AllowsAny() && !r.Flag(node, "allow_origin_absent") {
		p.Change(convert.VaryIsSet, "Vary names Origin on every response; Kong does not set it where the request has no Origin")
	}
	p.Finish(m)
	return p
}

// kongOrigins reads origins: flat ones, and regexes, which are looked for at the
// beginning of the origin, with an end to the last alternative alone. Regexes
// without a colon are compared with the host.
func kongOrigins(r convert.Reader, p *convert.Policy, node *yaml.Node, at convert.Place) {
	all := convert.StarAlone(r.List(node, "origins"))
	if len(all) == 0 {
		all = []convert.Value{{Text: "*", At: at}}
	}
	for _, v := range all {
		entry := v.Text
		if v.IsStar() || flatOrigin.MatchString(entry) {
			if len(all) > 1 { // one by itself is sent as it stands
				entry = kongFlat(entry)
			}
			p.Allow(convert.ExactOrigin(p, entry, false), v.At)
			continue
		}
		p.LooksLikePattern(entry, "Kong")
		regex := entry
		if !strings.HasSuffix(regex, "$") {
			regex += "$"
		}
		regex = convert.WholeRegex(regex, true)
		if !strings.Contains(entry, ":") {
			p.Allow(convert.RegexOrigin(`[a-z][a-z0-9+.-]*://(?:`+regex+`)(?::[0-9]+)?`), v.At)
			continue
		}
		p.Allow(convert.WholeOrigin(p, regex), v.At)
	}
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
