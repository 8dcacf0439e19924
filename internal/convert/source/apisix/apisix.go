// Package apisix reads the cors plugin of Apache APISIX: in an apisix.yaml of its standalone
// mode, as its Admin API prints routes, and in ApisixRoutes with the ApisixPluginConfigs that
// they name. What the plugin does stands in apisix/plugins/cors.lua, in which order routes
// are asked in apisix/http/router/radixtree_host_uri.lua, read at commit f519a0f0 (after
// 3.18.0).
package apisix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "APISIX",
	Files:    "the cors plugin of APISIX, in an apisix.yaml, as the Admin API prints routes, or in ApisixRoutes with the ApisixPluginConfigs that they name",
	Settings: []convert.Settings{settings},
	Reads: func(o *convert.Object) bool {
		return o.Is(group, "ApisixRoute", "ApisixPluginConfig", "ApisixGlobalRule") || len(entries(o, "routes")) > 0
	},
	Tables: func(c *convert.Conversion, objects []*convert.Object) []convert.Table {
		const name = "APISIX"
		if !c.Wants(name) {
			return nil
		}
		return []convert.Table{table(c, name, objects)}
	},
}

const group = "apisix.apache.org"

var settings = convert.Settings{
	Of: "APISIX' cors plugin", Internal: "_",
	MaxAge: convert.Unit{Seconds: convert.Seconds, What: "max_age %q is no whole number", Remedy: "write seconds, such as 600"},
	Rows: []convert.Setting{
		{Key: "allow_origins", Becomes: convert.AllowOrigins, Default: "*", Note: "`**` is any origin as well: with allow_credential refused without a waiver"},
		{Key: "allow_methods", Becomes: "allow_methods", Default: "*", Note: "`**` is the list that APISIX sends for it"},
		{Key: "allow_headers", Becomes: "allow_headers", Default: "*", Note: "`**` is any: what the preflight asks for comes back"},
		{Key: "expose_headers", Becomes: "expose_headers", Note: "older releases take `*` by default: write it where it is meant"},
		{Key: "max_age", Becomes: convert.MaxAge, Default: "5"},
		{Key: "allow_credential", Becomes: "allow_credentials", Default: "false"},
		{Key: "allow_origins_by_regex", Becomes: convert.AllowOrigins, Note: "a regex with what stands around it: APISIX looks for it anywhere; allow_origins has no effect beside it"},
		{Key: "allow_origins_by_metadata", Note: "refused: write the origins into allow_origins"},
		{Key: "timing_allow_origins", Becomes: "timing_allow_origins"},
		{Key: "timing_allow_origins_by_regex", Becomes: "timing_allow_origins", Note: "as allow_origins_by_regex"},
	},
}

// entries are those of a list in an apisix.yaml, or in what the Admin API prints.
func entries(o *convert.Object, list string) (all []*yaml.Node) {
	if o.Kind != "" || convert.Child(o.Root, "_format_version") != nil { // Kong's
		return nil
	}
	for _, e := range convert.Elements(convert.Child(o.Root, "list")) {
		if strings.HasPrefix(convert.Text(convert.Child(e, "key")), "/apisix/"+list+"/") {
			all = append(all, convert.Child(e, "value"))
		}
	}
	for _, e := range convert.Elements(convert.Child(o.Root, list)) {
		if list != "routes" || convert.Child(e, "uri") != nil || convert.Child(e, "uris") != nil {
			all = append(all, e)
		}
	}
	return all
}

// plugins are what objects have by name: the cors plugin in them, nil where it is switched
// off or not there.
type plugins map[string]*convert.Policy

// route is one of APISIX with one path.
type route struct {
	convert.Route
	exact    bool
	text     string
	priority int
	methods  []convert.Value
}

func table(c *convert.Conversion, name string, objects []*convert.Object) convert.Table {
	services, configs := map[string]*yaml.Node{}, plugins{}
	var global *convert.Policy
	var at convert.From
	for _, o := range objects {
		r := convert.Reader{Conversion: c, Object: o}
		for _, e := range entries(o, "services") {
			services[convert.Text(convert.Child(e, "id"))] = e
		}
		for _, e := range entries(o, "plugin_configs") {
			configs[convert.Text(convert.Child(e, "id"))] = cors(r.Inside("plugin_configs"), e)
		}
		if o.Kind == "ApisixPluginConfig" {
			configs[o.Space()+"/"+o.Name] = cors(r, o.Spec())
		}
		every := entries(o, "global_rules")
		if o.Kind == "ApisixGlobalRule" {
			every = append(every, o.Spec())
		}
		for _, e := range every {
			if p := cors(r.Inside("global_rules"), e); p != nil {
				if global != nil && p.Key() != global.Key() {
					r.Inside("global_rules").Fail(e, "a second cors plugin holds for everything", "keep one")
				}
				global, at = p, o.From("global_rules", e)
			}
		}
	}
	var routes []route
	for _, o := range objects {
		add := func(part string, node, match *yaml.Node, service *yaml.Node, shared string) {
			r := convert.Reader{Conversion: c, Object: o, Part: part}
			own := cors(r, node)
			if global != nil && own != nil && own.Key() != global.Key() {
				r.Fail(node, "it has a cors plugin, and another one holds for everything: APISIX runs both", "keep one")
			}
			base := route{methods: r.List(convert.Child(match, "methods"), "methods"), priority: r.Whole(convert.Child(node, "priority"), "priority", "number")}
			base.From = o.From(part, node)
			policy, known := configs[shared]
			if shared != "" && !known {
				r.Fail(node, fmt.Sprintf("the plugin config %q is not in the files, and may have cors", shared), "add it")
			}
			base.Policy = cmp.Or(own, policy, cors(r, service), global)
			hosts := r.Commas(convert.Child(match, "hosts"), "hosts")
			hosts = append(hosts, r.Commas(convert.Child(match, "host"), "host")...)
			if len(hosts) == 0 && service != nil {
				hosts = r.Commas(convert.Child(service, "hosts"), "hosts")
			}
			for _, key := range []string{"vars", "exprs", "filter_func", "remote_addr", "remote_addrs", "remoteAddrs"} {
				if v := convert.Child(match, key); v != nil {
					base.When = append(base.When, convert.Condition{What: key, At: o.At(v)})
				}
			}
			paths := append(r.Commas(convert.Child(match, "uris"), "uris"), r.Commas(convert.Child(match, "uri"), "uri")...)
			for _, path := range append(paths, r.Commas(convert.Child(match, "paths"), "paths")...) {
				routes = append(routes, base.at(path, hosts)...)
			}
		}
		for i, e := range entries(o, "routes") {
			if convert.Text(convert.Child(e, "status")) == "0" {
				continue
			}
			service := convert.Child(e, "service")
			if id := convert.Text(convert.Child(e, "service_id")); id != "" {
				if service = services[id]; service == nil {
					convert.Reader{Conversion: c, Object: o}.Fail(e, fmt.Sprintf("the service %q is not in the files, and may have cors", id), "add it")
				}
			}
			part := "route " + cmp.Or(convert.Text(convert.Child(e, "name")), convert.Text(convert.Child(e, "id")), fmt.Sprint(i))
			add(part, e, e, service, convert.Text(convert.Child(e, "plugin_config_id")))
		}
		if o.Kind == "ApisixRoute" {
			for i, e := range convert.Elements(o.Spec("http")) {
				shared := convert.Text(convert.Child(e, "plugin_config_name"))
				if shared != "" {
					shared = o.Space() + "/" + shared
				}
				add(fmt.Sprintf("http[%d]", i), e, convert.Child(e, "match"), nil, shared)
			}
		}
	}
	return order(name, routes, global, at)
}

// at is the route for a path, once for hosts of each kind.
func (a route) at(path convert.Value, hosts []convert.Value) (all []route) {
	text, prefix := strings.CutSuffix(path.Text, "*")
	kind := convert.ExactPath
	if prefix {
		kind = convert.PrefixPath
	}
	a.text, a.exact = text, !prefix
	a.Paths = []convert.Path{{Kind: kind, Text: text, At: path.At}}
	if strings.Contains(text, "/:") {
		a.When = append(slices.Clone(a.When), convert.Condition{What: "the parameters of " + path.Text, At: path.At, Remedy: "write a prefix"})
		a.Paths = nil
	}
	if len(hosts) == 0 {
		return []route{a}
	}
	for _, h := range hosts {
		one := a
		one.Hosts = []string{strings.ToLower(h.Text)}
		all = append(all, one)
	}
	return all
}

// order makes the table: hosts first, exact ones before the longest wildcards, then exact
// paths before the longest prefixes, then the priority.
func order(name string, routes []route, global *convert.Policy, at convert.From) convert.Table {
	host := func(a route) int { return convert.HostRank(convert.ListOf(a.Hosts)[0]) }
	exact := func(a route) int {
		if a.exact {
			return 0
		}
		return 1
	}
	compare := func(a, b route) int {
		longer := func(a route) int { return len(convert.ListOf(a.Hosts)[0]) * host(a) } // of wildcards alone
		return cmp.Or(host(a)-host(b), longer(b)-longer(a), exact(a)-exact(b), len(b.text)-len(a.text), b.priority-a.priority)
	}
	slices.SortStableFunc(routes, compare)
	made := convert.Table{Name: name}
	var starts []int
	for i, r := range routes {
		starts = append(starts, i)
		r.Methods = r.methods
		made.Routes = append(made.Routes, r.Route)
	}
	if len(routes) <= convert.MaxCompared {
		made.Ties(append(starts, len(routes)), func(i, j int) bool { return compare(routes[i], routes[j]) == 0 }, name, "give one of them a priority")
	}
	if global != nil {
		made.Routes = append(made.Routes, convert.Route{From: at, Policy: global})
	}
	return made
}

// cors reads the cors plugin of an object: a mapping by name, and a list in Kubernetes.
func cors(r convert.Reader, node *yaml.Node) *convert.Policy {
	all := convert.Child(node, "plugins")
	plugin := convert.Child(all, "cors")
	for _, e := range convert.Elements(all) {
		if convert.Text(convert.Child(e, "name")) == "cors" && r.Flag(e, "enable") {
			plugin = cmp.Or(convert.Child(e, "config"), e)
		}
	}
	if plugin == nil || r.Flag(convert.Child(plugin, "_meta"), "disable") {
		return nil
	}
	return policy(r, plugin)
}

var behaviour = convert.Behaviour{
	Project: "APISIX", Echoes: true, Unmatched: "APISIX answers it with 200 and no CORS headers", Status: "200", Keeps: true, Varies: true,
}

func policy(r convert.Reader, node *yaml.Node) *convert.Policy {
	p, m := &convert.Policy{}, behaviour
	settings.Read(r, p, node)
	if v := convert.Child(node, "allow_origins_by_metadata"); v != nil {
		r.Fail(v, "allow_origins_by_metadata names origins that stand in the plugin's metadata", "write them into allow_origins")
	}
	list := func(key, otherwise string) (origins []config.SourceOrigin, at convert.Place, text string) {
		v := convert.Child(node, key)
		if regexes := convert.Child(node, key+"_by_regex"); regexes != nil {
			for _, regex := range r.List(regexes, key+"_by_regex") {
				origins = append(origins, convert.WholeOrigin(p, convert.WholeRegex(regex.Text, false)))
			}
			return origins, r.Object.At(regexes), ""
		}
		if text = otherwise; v != nil {
			text = convert.Text(v)
		}
		at = r.Object.At(cmp.Or(v, node))
		switch text {
		case "":
		case "*", "**":
			origins = []config.SourceOrigin{convert.Anyone}
		default:
			for one := range strings.SplitSeq(text, ",") {
				origins = append(origins, convert.ExactOrigin(p, one, false))
			}
		}
		return origins, at, text
	}
	origins, at, text := list("allow_origins", "*")
	for _, o := range origins {
		p.Allow(o, at)
	}
	m.Reflects = text == "**"
	p.TimingAllowOrigins, _, _ = list("timing_allow_origins", "")
	for _, setting := range []struct {
		name string
		list *[]config.Name
	}{{"allow_methods", &p.AllowMethods}, {"allow_headers", &p.AllowHeaders}, {"expose_headers", &p.ExposeHeaders}} {
		forced := slices.Contains(*setting.list, config.Name{Value: "**"})
		star := p.Credentials && slices.Contains(*setting.list, convert.Star)
		switch {
		case star || p.Credentials && text == "*":
			r.Fail(node, "APISIX refuses `*` beside allow_credential, which it is by default as well", "write "+setting.name+" and allow_origins as lists")
			return nil
		case forced && setting.name == "allow_methods":
			*setting.list = nil
			p.SetList(setting.name, at, convert.Words("GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS", at))
		case forced && setting.name == "allow_headers":
			*setting.list, m.Authorization = nil, true
			p.SetList(setting.name, at, []convert.Value{{Text: "*", At: at}})
		case forced:
			*setting.list = nil
			p.Change(convert.LiteralStar, "`**` in expose_headers is left out: APISIX sends it as it stands, which is no header's name")
		}
	}
	p.Finish(m)
	p.Change(convert.OptionsForwarded, "an OPTIONS request that is not a preflight goes upstream; APISIX answers every OPTIONS with 200")
	return p
}
