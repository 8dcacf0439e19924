// Package higress reads Higress' WasmPlugin with its cors plugin, the Ingresses that its rules
// name, and the CORS annotations of Ingresses of its class. How the plugin's SDK chooses a
// rule was read in pkg/matcher/rule_matcher.go of higress-group/wasm-go (release 1.1.1), and
// how the controller passes rules on, in pkg/ingress/config/ingress_config.go and
// pkg/ingress/kube of alibaba/higress (release 2.2.1). docs/migrate/higress.md says what the
// plugin does.
package higress

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "Higress",
	Files:    "the cors WasmPlugin of Higress, with the Ingresses that its rules name, and Ingresses with Higress' annotations",
	Settings: []convert.Settings{higressSettings, annotationSettings},
	Reads:    func(o *convert.Object) bool { return isHigressCors(o) || convert.IsIngress(o) },
	Tables:   higressTables,
}

// isHigressCors recognises the plugin by its image, its name, or its settings.
func isHigressCors(o *convert.Object) bool {
	if !o.Is("extensions.higress.io", "WasmPlugin") {
		return false
	}
	_, version := higressImage(o)
	return version != "" || convert.Text(o.Spec("pluginName")) == "cors" || strings.Contains(o.Name, "cors") ||
		convert.Mentions(o.Root, "allow_origins") || convert.Mentions(o.Root, "allow_origin_patterns")
}

// higressImage returns where the image's address stands, and its tag where it is
// the plugin's: "latest" where there is none.
func higressImage(o *convert.Object) (*yaml.Node, string) {
	node := o.Spec("url")
	image := convert.Text(node)
	image = image[strings.LastIndexByte(image, '/')+1:]
	name, tag, tagged := strings.Cut(image, ":")
	switch {
	case name != "cors" && name != "cors.wasm":
		return node, ""
	case !tagged:
		return node, "latest"
	}
	return node, tag
}

// before202 reports whether a tag is of a plugin that answers as it did before
// version 2.0.2.
func before202(tag string) bool {
	parts := strings.Split(strings.TrimPrefix(tag, "v"), ".")
	if len(parts) != 3 {
		return false
	}
	for i, limit := range []int{2, 0, 2} {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n > limit {
			return false
		}
		if n < limit {
			return true
		}
	}
	return false
}

// higressRule is a rule of the plugin: it goes by routes, by routes and services,
// by hosts, by services, or by prefixes of routes' names, in that order.
type higressRule struct {
	from                                convert.From
	node                                *yaml.Node
	policy                              *convert.Policy
	routes, domains, services, prefixes []*yaml.Node
}

type higressPlugin struct {
	convert.Reader
	tag   string
	rules []higressRule
	// rest is what applies where no rule does, if anything.
	rest *higressRule
	rows []convert.IngressPath
	made []convert.Route
}

func higressTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	var first *convert.Object
	for _, o := range objects {
		if !isHigressCors(o) || !c.Wants(o.String()) {
			continue
		}
		p := &higressPlugin{Reader: convert.Reader{Conversion: c, Object: o, Part: ""}}
		p.read()
		if p.rest == nil && len(p.rules) == 0 {
			continue
		}
		if first != nil {
			p.Fail(nil, "a second cors plugin, beside "+first.String()+": both would handle each request", fmt.Sprintf("convert one at a time, with -only %q", o))
			continue
		}
		first = o
		p.ingresses(objects)
		p.all()
		convert.Dotted(p.made, "Higress")
		tables = append(tables, convert.Table{Name: o.String(), Routes: p.made})
	}
	return append(tables, annotationTable(c, objects))
}

// read takes the rules out of the object.
func (p *higressPlugin) read() {
	_, p.tag = higressImage(p.Object)
	spec := p.Object.Spec()
	if raw := convert.Child(spec, "plugin_config"); raw != nil { // goes to the plugin as it stands
		own := 0
		for _, m := range convert.Members(raw) {
			if m.Key.Value != "_rules_" {
				own++
			}
		}
		for i, node := range convert.Elements(convert.Child(raw, "_rules_")) {
			p.rule(fmt.Sprintf("pluginConfig._rules_[%d]", i), node, node, "_match_route_", "_match_domain_", "_match_service_", "_match_route_prefix_")
		}
		if own > 0 || len(p.rules) == 0 {
			p.rest = &higressRule{from: p.Object.From("pluginConfig", raw), node: raw}
		}
	} else {
		enabled := false
		for i, node := range convert.Elements(convert.Child(spec, "match_rules")) {
			if !p.Flag(node, "config_disable") {
				enabled = true
				p.rule(fmt.Sprintf("matchRules[%d]", i), node, convert.Child(node, "config"), "ingress", "domain", "service", "")
			}
		}
		config := convert.Child(spec, "default_config")
		switch {
		case p.Flag(spec, "default_config_disable"):
		case len(convert.Members(config)) > 0 || !enabled:
			p.rest = &higressRule{from: p.Object.From("defaultConfig", config), node: config}
		}
	}
	for i := range p.rules {
		p.policy(&p.rules[i])
	}
	if p.rest != nil {
		p.policy(p.rest)
	}
}

func (p *higressPlugin) rule(part string, node, config *yaml.Node, routes, domains, services, prefixes string) {
	r := higressRule{from: p.Object.From(part, node), node: config}
	named := func(key string) (all []*yaml.Node) {
		if key == "" {
			return nil
		}
		v := convert.Child(node, key)
		if v != nil && v.Kind == yaml.ScalarNode {
			return []*yaml.Node{v}
		}
		return slices.DeleteFunc(convert.Elements(v), func(e *yaml.Node) bool { return convert.Text(e) == "" })
	}
	r.routes, r.domains, r.services, r.prefixes = named(routes), named(domains), named(services), named(prefixes)
	nothing := len(r.routes)+len(r.domains)+len(r.services)+len(r.prefixes) == 0
	if len(r.routes) > 0 { // the plugin asks for nothing else then, but for services
		r.domains, r.prefixes = nil, nil
	} else if len(r.domains) > 0 {
		r.services, r.prefixes = nil, nil
	} else if len(r.services) > 0 {
		r.prefixes = nil
	}
	here := p.Inside(part)
	r.domains = slices.DeleteFunc(r.domains, func(node *yaml.Node) bool {
		_, port, _ := convert.CutPort(convert.Text(node))
		if port != "" {
			here.Fail(node, fmt.Sprintf("the domain %q has a port, and the plugin compares hosts without theirs", convert.Text(node)), "write it without the port")
		}
		return port != ""
	})
	if kind := convert.Text(convert.Child(node, "route_type")); kind != "" && kind != "HTTP" {
		here.Fail(convert.Child(node, "route_type"), "routes of the type "+kind+" cannot be found in the files", "write the domains of the requests")
	}
	for _, name := range r.prefixes {
		here.Fail(name, fmt.Sprintf("the prefix %q of routes' names cannot be looked up in the files", convert.Text(name)), "write the domains of the requests, or the Ingresses' names")
	}
	if nothing {
		here.Fail(node, "the rule does not say what it applies to, and Higress then ignores the whole plugin", "write domain or ingress")
		return
	}
	p.rules = append(p.rules, r)
}

// ingresses finds the paths of the Ingresses in the order in which Higress asks
// them, where rules need them, and says which are missing.
func (p *higressPlugin) ingresses(objects []*convert.Object) {
	if !slices.ContainsFunc(p.rules, func(r higressRule) bool { return len(r.routes)+len(r.services) > 0 }) {
		return
	}
	p.rows = higressRows(convert.Ingresses(objects, "higress", "nginx"))
	for _, rule := range p.rules {
		here := p.Inside(rule.from.Part)
		for _, name := range rule.routes {
			if !slices.ContainsFunc(p.rows, func(row convert.IngressPath) bool { return p.isRoute(convert.Text(name), row) }) {
				here.Fail(name, fmt.Sprintf("the Ingress %q is not in the files, and a rule needs its hosts and paths", convert.Text(name)), "add it, with the other Ingresses of its hosts, or write domain in place of ingress")
			}
		}
		for _, name := range rule.services {
			if !slices.ContainsFunc(p.rows, func(row convert.IngressPath) bool { return isService(row, convert.Text(name)) }) {
				here.Fail(name, fmt.Sprintf("no Ingress in the files leads to the service %q, and a rule needs hosts and paths", convert.Text(name)), "add the Ingresses that do, or write domain in place of service")
			}
		}
	}
}

// higressRows are the paths of Ingresses in the order in which Higress asks them.
func higressRows(ingresses []*convert.Object) (rows []convert.IngressPath) {
	for _, o := range ingresses {
		rows = append(rows, convert.IngressPaths(o)...)
	}
	slices.SortStableFunc(rows, func(a, b convert.IngressPath) int {
		return cmp.Or(convert.HostRank(a.Host)-convert.HostRank(b.Host), len(b.Host)-len(a.Host), strings.Compare(a.Host, b.Host),
			higressRank(a)-higressRank(b), len(b.Path)-len(a.Path))
	})
	return rows
}

// higressRank: exact paths, prefixes, regexes, then what takes all.
func higressRank(p convert.IngressPath) int {
	switch {
	case p.Kind == "default":
		return 4
	case usesRegex(p):
		return 2
	case p.Kind == "Exact":
		return 0
	case p.Path == "/" || p.Path == "":
		return 3
	}
	return 1
}

// higressAnnotation returns an annotation in Higress' spelling, or in nginx's,
// which it reads as well.
func higressAnnotation(p convert.IngressPath, name string) (string, *yaml.Node) {
	for _, prefix := range []string{"higress.io/", "nginx.ingress.kubernetes.io/"} {
		if v, node := p.Object.Annotation(prefix + name); node != nil {
			return v, node
		}
	}
	return "", nil
}

func usesRegex(p convert.IngressPath) bool {
	v, _ := higressAnnotation(p, "use-regex")
	full, _ := higressAnnotation(p, "full-path-regex")
	return v == "true" || full == "true"
}

// isRoute reports whether a name in a rule is that of a row's Ingress: those of
// the system's namespace have no namespace in front.
func (p *higressPlugin) isRoute(name string, row convert.IngressPath) bool {
	space := row.Object.Namespace
	system := space == "" || space == p.Object.Namespace || space == "higress-system"
	return name == space+"/"+row.Object.Name || system && name == row.Object.Name
}

// isService reports whether a row leads to a service, as rules name it:
// "name.namespace.svc.cluster.local", or what a registry has, with or without a port.
func isService(p convert.IngressPath, name string) bool {
	host, port, _ := convert.CutPort(name)
	for _, own := range services(p) {
		ownHost, ownPort, _ := convert.CutPort(own)
		if ownHost == host && (port == "" || ownPort == "" || port == ownPort) {
			return true
		}
	}
	return false
}

// services are those that a row leads to, by their full names.
func services(p convert.IngressPath) (all []string) {
	if v, node := higressAnnotation(p, "destination"); node != nil {
		for word := range strings.FieldsSeq(v) { // "60% a.dns:80 v1"
			if strings.Contains(word, ".") {
				all = append(all, word)
			}
		}
		return all
	}
	if p.Service == "" {
		return nil
	}
	space := p.Object.Space()
	name := p.Service + "." + space + ".svc.cluster.local"
	if _, err := strconv.Atoi(p.Port); err == nil {
		name += ":" + p.Port
	}
	return []string{name}
}

// all makes the routes: those of the Ingresses, host by host, then everything else.
func (p *higressPlugin) all() {
	for i, row := range p.rows {
		p.decide(rowRoute(p.Conversion, row), row.Host, &row)
		if i+1 == len(p.rows) || p.rows[i+1].Host != row.Host {
			p.decide(convert.Route{}, row.Host, nil)
		}
	}
	if len(p.rows) == 0 || p.rows[len(p.rows)-1].Host != "" {
		p.decide(convert.Route{}, "", nil)
	}
}

// rowRoute is the route of a path, without host and policy.
func rowRoute(c *convert.Conversion, row convert.IngressPath) convert.Route {
	made := convert.Route{From: row.From()}
	m := convert.Match{Reader: convert.Reader{Conversion: c, Object: row.Object, Part: row.Part}, Route: &made}
	higressPaths(row, m)
	if methods, node := higressAnnotation(row, "match-method"); node != nil {
		m.Method(node, strings.Fields(strings.ToUpper(methods))...)
	}
	for _, name := range []string{"match-header", "match-query", "canary", "ignore-path-case"} {
		if v, node := higressCondition(row, name); node != nil && v != "false" {
			m.Asks(node, fmt.Sprintf("the annotation %s: %q", name, convert.Shortened(v)), "")
		}
	}
	return made
}

// higressCondition finds annotations that ask for more than host and path; those
// of headers and queries end in the name of what they ask for.
func higressCondition(p convert.IngressPath, name string) (string, *yaml.Node) {
	if v, node := higressAnnotation(p, name); node != nil {
		return v, node
	}
	for _, m := range convert.Members(convert.Child(p.Object.Root, "metadata", "annotations")) {
		if strings.HasPrefix(m.Key.Value, "higress.io/") && strings.Contains(m.Key.Value, name+"-") {
			return convert.Text(m.Value), m.Key
		}
	}
	return "", nil
}

func higressPaths(p convert.IngressPath, made convert.Match) {
	full, _ := higressAnnotation(p, "full-path-regex")
	switch {
	case p.Kind == "default":
	case full == "true":
		made.Regex(p.Path, p.At)
	case usesRegex(p):
		made.Regex(p.Path+".*", p.At)
	case p.Kind == "Exact":
		made.Paths = []convert.Path{{Kind: convert.ExactPath, Text: p.Path, At: p.At}}
	default:
		made.Paths = []convert.Path{{Kind: convert.BelowPath, Text: strings.TrimSuffix(p.Path, "/"), At: p.At}}
	}
}

// decide adds what the rules decide about requests for a host, and for a path of an
// Ingress if there is one.
func (p *higressPlugin) decide(base convert.Route, host string, row *convert.IngressPath) {
	own := convert.HostList(host)
	add := func(rule *higressRule, hosts []string, when ...convert.Condition) {
		r := base
		r.Hosts, r.From, r.Policy = hosts, rule.from, rule.policy
		r.When = slices.Concat(base.When, when)
		p.made = append(p.made, r)
	}
	for i := range p.rules {
		rule := &p.rules[i]
		if len(rule.routes)+len(rule.services) > 0 {
			if row == nil ||
				len(rule.routes) > 0 && !slices.ContainsFunc(rule.routes, func(n *yaml.Node) bool { return p.isRoute(convert.Text(n), *row) }) ||
				len(rule.services) > 0 && !slices.ContainsFunc(rule.services, func(n *yaml.Node) bool { return isService(*row, convert.Text(n)) }) {
				continue
			}
			if len(rule.services) == 0 || len(services(*row)) < 2 {
				add(rule, own)
				return
			}
			add(rule, own, convert.Condition{What: "a share of the requests, by the service that gets them", At: rule.from.Place, Remedy: "write domain or ingress in place of service"})
			continue
		}
		var hosts []string
		for _, node := range rule.domains {
			domain, whole := higressDomain(node)
			switch both := convert.Intersect(own, convert.HostList(domain)); {
			case len(both) == 0:
			case !whole:
				add(rule, convert.HostList(both[0]), convert.Condition{What: "the domain " + convert.Text(node) + ", a part of a label", At: p.Object.At(node), Remedy: "write the hosts, or whole labels such as *.example.com"})
			case convert.HostCovers(domain, host):
				add(rule, own)
				return
			default:
				hosts = append(hosts, domain)
			}
		}
		if len(hosts) > 0 {
			add(rule, hosts)
		}
	}
	if p.rest != nil {
		add(p.rest, own)
		return
	}
	if base.From.File == "" {
		base.From = p.Object.From("", nil)
	}
	base.Hosts = own
	p.made = append(p.made, base)
}

// higressDomain is a domain as rules here write it, and whether it is all of it:
// a star may stand for a part of a label there. "" is any host.
func higressDomain(node *yaml.Node) (domain string, whole bool) {
	domain = strings.ToLower(convert.Text(node))
	dot := strings.IndexByte(domain, '.')
	switch {
	case domain == "*":
		return "", true
	case strings.HasPrefix(domain, "*."):
		return domain, true
	case strings.HasPrefix(domain, "*") && dot > 0:
		return "*" + domain[dot:], false
	case strings.HasPrefix(domain, "*"), strings.HasSuffix(domain, "*"):
		return "", false
	}
	return domain, true
}

// higressSettings are those of the plugin, which takes those that begin with "_" out.
var higressSettings = convert.Settings{
	Of: "Higress' cors plugin", Typo: "; the plugin would ignore it", Internal: "_", Lists: true, Star: convert.NameLists,
	MaxAge: convert.Unit{Seconds: higressAge, What: "max_age is not a number", Remedy: "write seconds, such as 600"},
	Rows: []convert.Setting{
		{Key: "allow_origins", Becomes: convert.AllowOrigins, Default: "*", Note: "`*` beside credentials leaves these out, as Higress does"},
		{Key: "allow_origin_patterns", Becomes: convert.AllowOrigins, Note: "a pattern, or a regex where a pattern here says less"},
		{Key: "allow_methods", Becomes: "allow_methods", Default: "GET,PUT,POST,DELETE,PATCH,OPTIONS"},
		{Key: "allow_headers", Becomes: "allow_headers", Default: "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Authorization"},
		{Key: "expose_headers", Becomes: "expose_headers"},
		{Key: "allow_credentials", Becomes: "allow_credentials", Default: "false"},
		{Key: "max_age", Becomes: convert.MaxAge, Default: "86400", Note: "0 is the default"},
	},
}

const higressMaxAge = 86400

// higressAge reads seconds; zero and less are the default.
func higressAge(text string) (int64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if int64(n) <= 0 {
		n = higressMaxAge
	}
	return int64(n), err
}

// higressList is a list as the plugin reads it: of one element where it is a string, without
// those that are empty, and with methods in upper case; nil where nothing is left.
func higressList(list *yaml.Node, name string) *yaml.Node {
	if list == nil {
		return nil
	}
	elements := convert.Elements(list)
	if list.Kind == yaml.ScalarNode {
		elements = []*yaml.Node{list}
	} else if list.Kind != yaml.SequenceNode {
		return list // for the reader to refuse
	}
	made := &yaml.Node{Kind: yaml.SequenceNode, Line: list.Line, Column: list.Column}
	for _, e := range elements {
		one := *e
		if one.Value = strings.TrimSpace(e.Value); name == "allow_methods" {
			one.Value = strings.ToUpper(one.Value)
		}
		if one.Value != "" || e.Kind != yaml.ScalarNode {
			made.Content = append(made.Content, &one)
		}
	}
	if len(made.Content) == 0 {
		return nil
	}
	return made
}

// policy translates the configuration of a rule.
func (p *higressPlugin) policy(rule *higressRule) {
	r, node, at := p.Inside(rule.from.Part), rule.node, rule.from.Place
	made := &convert.Policy{}
	higressSettings.Check(r, node)
	get := func(name string) []convert.Value { return r.List(higressList(convert.Child(node, name), name), name) }
	credentials := r.Flag(node, "allow_credentials")
	if v := convert.Child(node, "allow_credentials"); v != nil && v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		r.Fail(v, "allow_credentials is a string", "write true or false without quotes")
	}
	origins, patterns := get("allow_origins"), get("allow_origin_patterns")
	if any := slices.IndexFunc(origins, convert.Value.IsStar); any >= 0 {
		if credentials {
			credentials = false
			made.Change(convert.LeftOut, "allow_credentials is left out: Higress takes `*` in allow_origins without it, and says so in its log alone")
		}
		origins, patterns = []convert.Value{{Text: "*", At: origins[any].At}}, nil
	}
	for _, v := range origins {
		made.Allow(convert.ExactOrigin(made, strings.TrimSuffix(v.Text, "/"), true), v.At)
	}
	for _, v := range patterns {
		made.Allow(higressPattern(v.Text), v.At)
	}
	if len(made.AllowOrigins) == 0 {
		if credentials {
			r.Fail(convert.Child(node, "allow_credentials"), "allow_credentials without origins lets nobody in", "write the origins, or \"configDisable: true\" where the plugin is not wanted")
			return
		}
		made.Allow(convert.Anyone, at)
	}
	higressSettings.Take(made, at, func(key string) (convert.Reader, *yaml.Node) {
		value := convert.Child(node, key)
		if slices.Contains(convert.NameLists, key) {
			value = higressList(value, key)
			if value == nil && higressSettings.Default(key) != "" && before202(p.tag) {
				made.Change(convert.MoreAllowed, key+" are those that Higress documents where none are written; plugin "+p.tag+" lets nothing through then")
			}
		}
		return r, value
	})
	made.Credentials = credentials
	p.behaviour(made)
	rule.policy = made
}

// behaviour lists how the plugin's version differs.
func (p *higressPlugin) behaviour(made *convert.Policy) {
	m := convert.Behaviour{Project: "Higress", Echoes: true, Authorization: true, Reflects: true, Unmatched: "Higress answers it with 204 and no CORS headers", Status: "204", Varies: true}
	anyOrigin := made.AllowsAny()
	made.Unlisted("Higress")
	if before202(p.tag) {
		m.Status = "200"
		made.Reject = config.Reject(!anyOrigin)
		made.Change(convert.MoreAllowed, "a request whose method is not listed is forwarded; plugin "+p.tag+" answers 403")
		if slices.ContainsFunc(made.AllowOrigins, func(o config.SourceOrigin) bool {
			return o.Kind != config.Pattern || strings.Contains(o.Value, "*") && !o.Same(convert.Anyone)
		}) {
			made.Change(convert.StricterPatterns, "a pattern is the whole origin; plugin "+p.tag+" looks for it anywhere in the origin")
		}
	}
	if !anyOrigin || made.Credentials {
		made.Change(convert.VaryIsSet, "Vary names Origin on every response; Higress sets it for origins that are allowed, and not before plugin 2.0.2")
	}
	made.Finish(m)
	if before202(p.tag) {
		made.Changes = slices.DeleteFunc(made.Changes, func(c convert.Change) bool { return c.Kind == convert.DeniedPreflight })
	}
}

// higressPattern writes a pattern of the plugin: a star is any text there. Where it
// stands for labels or a port, patterns here have it as well; elsewhere it becomes
// a regex.
func higressPattern(text string) config.SourceOrigin {
	text = strings.ToLower(strings.TrimSuffix(text, "/"))
	if text == "*" {
		return convert.Anyone
	}
	stem, ports := text, ""
	if i := strings.LastIndex(text, ":["); i > 0 && strings.HasSuffix(text, "]") && isPortList(text[i+2:len(text)-1]) {
		stem, ports = text[:i], text[i+2:len(text)-1]
	}
	scheme, host, ok := strings.Cut(stem, "://")
	if plain := strings.TrimPrefix(host, "*."); ok && !strings.ContainsAny(scheme+plain, "*[]") {
		switch ports {
		case "":
			text = stem
		case "*":
			text = stem + ":*"
		}
		return config.SourceOrigin{Value: text}
	}
	regex := strings.ReplaceAll(regexp.QuoteMeta(stem), `\*`, `.*`)
	switch ports {
	case "":
	case "*":
		regex += `(:[0-9]+)?`
	default:
		regex += ":(" + strings.ReplaceAll(ports, ",", "|") + ")"
	}
	return convert.RegexOrigin(regex)
}

func isPortList(ports string) bool {
	if ports == "*" {
		return true
	}
	for port := range strings.SplitSeq(ports, ",") {
		if _, err := strconv.ParseUint(port, 10, 32); err != nil {
			return false
		}
	}
	return true
}
