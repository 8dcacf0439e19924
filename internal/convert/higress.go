package convert

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// higressSource reads Higress' WasmPlugin with its cors plugin, and the Ingresses
// that its rules name. How the plugin's SDK takes a rule stands in
// pkg/matcher/rule_matcher.go of higress-group/wasm-go (release 1.1.1); how the
// controller hands rules over, in pkg/ingress/config/ingress_config.go and
// pkg/ingress/kube of alibaba/higress (release 2.2.1); what the plugin does, on
// docs/migrate/higress.md.
var higressSource = source{
	name:   "Higress",
	reads:  func(o *object) bool { return isHigressCors(o) || isIngress(o) },
	tables: higressTables,
}

// isHigressCors recognises the plugin by its image, its name, or its settings.
func isHigressCors(o *object) bool {
	if !o.is("extensions.higress.io", "WasmPlugin") {
		return false
	}
	_, version := higressImage(o)
	return version != "" || text(o.spec("pluginName")) == "cors" || strings.Contains(o.name, "cors") ||
		mentions(o.root, "allow_origins") || mentions(o.root, "allow_origin_patterns")
}

// higressImage returns where the image's address stands, and its tag where it is
// the plugin's: "latest" where there is none.
func higressImage(o *object) (*yaml.Node, string) {
	node := o.spec("url")
	image := text(node)
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
	from                                From
	node                                *yaml.Node
	policy                              *policy
	routes, domains, services, prefixes []*yaml.Node
}

type higressPlugin struct {
	reader
	tag   string
	rules []higressRule
	// rest is what applies where no rule does, if anything.
	rest *higressRule
	rows []ingressPath
	made []route
}

func higressTables(c *conversion, objects []*object) (tables []table) {
	var first *object
	for _, o := range objects {
		if !isHigressCors(o) || !c.wants(o.String()) {
			continue
		}
		p := &higressPlugin{reader: reader{c, o, ""}}
		p.read()
		if p.rest == nil && len(p.rules) == 0 {
			continue
		}
		if first != nil {
			p.fail(nil, "a second cors plugin, beside "+first.String()+": both would see each request", fmt.Sprintf("convert one at a time, with -only %q", o))
			continue
		}
		first = o
		p.ingresses(objects)
		p.all()
		dotted(p.made, "Higress")
		tables = append(tables, table{name: o.String(), routes: p.made})
	}
	return tables
}

// read takes the rules out of the object.
func (p *higressPlugin) read() {
	_, p.tag = higressImage(p.o)
	disabled := func(node *yaml.Node, key string) bool {
		off, _ := p.boolean(child(node, key), key)
		return off
	}
	spec := p.o.spec()
	if raw := child(spec, "plugin_config"); raw != nil { // goes to the plugin as it stands
		own := 0
		for _, m := range members(raw) {
			if m.Key.Value != "_rules_" {
				own++
			}
		}
		for i, node := range elements(child(raw, "_rules_")) {
			p.rule(fmt.Sprintf("pluginConfig._rules_[%d]", i), node, node, "_match_route_", "_match_domain_", "_match_service_", "_match_route_prefix_")
		}
		if own > 0 || len(p.rules) == 0 {
			p.rest = &higressRule{from: p.o.from("pluginConfig", raw), node: raw}
		}
	} else {
		enabled := false
		for i, node := range elements(child(spec, "match_rules")) {
			if !disabled(node, "config_disable") {
				enabled = true
				p.rule(fmt.Sprintf("matchRules[%d]", i), node, child(node, "config"), "ingress", "domain", "service", "")
			}
		}
		config := child(spec, "default_config")
		switch {
		case disabled(spec, "default_config_disable"):
		case len(members(config)) > 0 || !enabled:
			p.rest = &higressRule{from: p.o.from("defaultConfig", config), node: config}
		}
	}
	for i := range p.rules {
		p.rules[i].policy = p.policy(p.inside(p.rules[i].from.Part), p.rules[i].node, p.rules[i].from.Place)
	}
	if p.rest != nil {
		p.rest.policy = p.policy(p.inside(p.rest.from.Part), p.rest.node, p.rest.from.Place)
	}
}

func (p *higressPlugin) rule(part string, node, config *yaml.Node, routes, domains, services, prefixes string) {
	r := higressRule{from: p.o.from(part, node), node: config}
	named := func(key string) (all []*yaml.Node) {
		if key == "" {
			return nil
		}
		v := child(node, key)
		if v != nil && v.Kind == yaml.ScalarNode {
			return []*yaml.Node{v}
		}
		return slices.DeleteFunc(elements(v), func(e *yaml.Node) bool { return text(e) == "" })
	}
	r.routes, r.domains, r.services, r.prefixes = named(routes), named(domains), named(services), named(prefixes)
	if len(r.routes) > 0 { // the plugin asks for nothing else then, but for services
		r.domains, r.prefixes = nil, nil
	} else if len(r.domains) > 0 {
		r.services, r.prefixes = nil, nil
	} else if len(r.services) > 0 {
		r.prefixes = nil
	}
	here := p.inside(part)
	r.domains = slices.DeleteFunc(r.domains, func(node *yaml.Node) bool {
		_, port, _ := cutPort(text(node))
		if port != "" {
			here.fail(node, fmt.Sprintf("the domain %q has a port, and the plugin compares hosts without theirs", text(node)), "write it without the port")
		}
		return port != ""
	})
	if kind := text(child(node, "route_type")); kind != "" && kind != "HTTP" {
		here.fail(child(node, "route_type"), "routes of the type "+kind+" can not be found in the files", "write the domains of the requests")
	}
	for _, name := range r.prefixes {
		here.fail(name, fmt.Sprintf("the prefix %q of routes' names can not be looked up in the files", text(name)), "write the domains of the requests, or the Ingresses' names")
	}
	if !slices.ContainsFunc([]string{routes, domains, services, prefixes}, func(key string) bool { return len(named(key)) > 0 }) {
		here.fail(node, "a rule says not what it is for, and Higress takes nothing of the plugin then", "write domain or ingress")
		return
	}
	p.rules = append(p.rules, r)
}

// ingresses finds the paths of the Ingresses in the order in which Higress asks
// them, where rules need them, and says which are missing.
func (p *higressPlugin) ingresses(objects []*object) {
	needed := slices.ContainsFunc(p.rules, func(r higressRule) bool { return len(r.routes)+len(r.services) > 0 })
	if !needed {
		return
	}
	var all []*object
	for _, o := range objects {
		if isIngress(o) && !o.foreign("higress", "nginx") {
			all = append(all, o)
		}
	}
	slices.SortStableFunc(all, byAge)
	for _, o := range all {
		p.rows = append(p.rows, ingressPaths(o)...)
	}
	slices.SortStableFunc(p.rows, func(a, b ingressPath) int {
		return cmp.Or(hostRank(a.host)-hostRank(b.host), len(b.host)-len(a.host), strings.Compare(a.host, b.host),
			higressRank(a)-higressRank(b), len(b.path)-len(a.path))
	})
	for _, rule := range p.rules {
		here := p.inside(rule.from.Part)
		for _, name := range rule.routes {
			if !slices.ContainsFunc(p.rows, func(row ingressPath) bool { return p.isRoute(text(name), row) }) {
				here.fail(name, fmt.Sprintf("the Ingress %q is not in the files, and a rule needs its hosts and paths", text(name)), "add it, with the other Ingresses of its hosts, or write domain in place of ingress")
			}
		}
		for _, name := range rule.services {
			if !slices.ContainsFunc(p.rows, func(row ingressPath) bool { return row.isService(text(name)) }) {
				here.fail(name, fmt.Sprintf("no Ingress in the files leads to the service %q, and a rule needs hosts and paths", text(name)), "add the Ingresses that do, or write domain in place of service")
			}
		}
	}
}

// hostRank: a host by name, a wildcard, any.
func hostRank(host string) int {
	switch {
	case host == "":
		return 2
	case strings.HasPrefix(host, "*"):
		return 1
	}
	return 0
}

// higressRank: exact paths, prefixes, regexes, then what takes all.
func higressRank(p ingressPath) int {
	switch {
	case p.kind == "default":
		return 4
	case p.usesRegex():
		return 2
	case p.kind == "Exact":
		return 0
	case p.path == "/" || p.path == "":
		return 3
	}
	return 1
}

// higressAnnotation returns an annotation in Higress' spelling, or in nginx's,
// which it reads as well.
func (p ingressPath) higressAnnotation(name string) (string, *yaml.Node) {
	for _, prefix := range []string{"higress.io/", "nginx.ingress.kubernetes.io/"} {
		if v, node := p.o.annotation(prefix + name); node != nil {
			return v, node
		}
	}
	return "", nil
}

func (p ingressPath) usesRegex() bool {
	v, _ := p.higressAnnotation("use-regex")
	full, _ := p.higressAnnotation("full-path-regex")
	return v == "true" || full == "true"
}

// isRoute reports whether a name in a rule is that of a row's Ingress: those of
// the system's namespace have no namespace in front.
func (p *higressPlugin) isRoute(name string, row ingressPath) bool {
	if row.o.namespace == "" || row.o.namespace == p.o.namespace || row.o.namespace == "higress-system" {
		return name == row.o.name || name == row.o.namespace+"/"+row.o.name
	}
	return name == row.o.namespace+"/"+row.o.name
}

// isService reports whether a row leads to a service, as rules name it:
// "name.namespace.svc.cluster.local", or what a registry has, with or without a port.
func (p ingressPath) isService(name string) bool {
	host, port, _ := cutPort(name)
	for _, own := range p.services() {
		ownHost, ownPort, _ := cutPort(own)
		if ownHost == host && (port == "" || ownPort == "" || port == ownPort) {
			return true
		}
	}
	return false
}

// services are those that a row leads to, by their full names.
func (p ingressPath) services() (all []string) {
	if v, node := p.higressAnnotation("destination"); node != nil {
		for word := range strings.FieldsSeq(v) { // "60% a.dns:80 v1"
			if strings.Contains(word, ".") {
				all = append(all, word)
			}
		}
		return all
	}
	if p.service == "" {
		return nil
	}
	space := p.o.space()
	name := p.service + "." + space + ".svc.cluster.local"
	if _, err := strconv.Atoi(p.port); err == nil {
		name += ":" + p.port
	}
	return []string{name}
}

// all makes the routes: those of the Ingresses, host by host, then everything else.
func (p *higressPlugin) all() {
	for i, row := range p.rows {
		made := route{from: row.from()}
		r := reader{p.conversion, row.o, row.part}
		made.paths = row.higressPaths(r, &made)
		for _, name := range []string{"match-method", "match-header", "match-query", "canary", "ignore-path-case"} {
			if v, node := row.higressCondition(name); node != nil && v != "false" {
				made.when = append(made.when, condition{what: "the annotation " + node.Value + " (" + name + ")", at: row.o.at(node)})
			}
		}
		p.decide(made, row.host, &row)
		if i+1 == len(p.rows) || p.rows[i+1].host != row.host {
			p.decide(route{}, row.host, nil)
		}
	}
	if len(p.rows) == 0 || p.rows[len(p.rows)-1].host != "" {
		p.decide(route{}, "", nil)
	}
}

// higressCondition finds annotations that ask for more than host and path; those
// of headers and queries end in the name of what they ask for.
func (p ingressPath) higressCondition(name string) (string, *yaml.Node) {
	if v, node := p.higressAnnotation(name); node != nil {
		return v, node
	}
	for _, m := range members(child(p.o.root, "metadata", "annotations")) {
		if strings.HasPrefix(m.Key.Value, "higress.io/") && strings.Contains(m.Key.Value, name+"-") {
			return text(m.Value), m.Key
		}
	}
	return "", nil
}

func (p ingressPath) higressPaths(r reader, made *route) []path {
	full, _ := p.higressAnnotation("full-path-regex")
	switch {
	case p.kind == "default":
		return nil
	case full == "true":
		return r.regex(made, p.path, false, p.at)
	case p.usesRegex():
		return r.regex(made, p.path+".*", false, p.at)
	case p.kind == "Exact":
		return []path{{kind: exactPath, text: p.path, at: p.at}}
	}
	return []path{{kind: belowPath, text: strings.TrimSuffix(p.path, "/"), at: p.at}}
}

// decide adds what the rules say about requests for a host, and of a path of an
// Ingress if there is one.
func (p *higressPlugin) decide(base route, host string, row *ingressPath) {
	add := func(rule *higressRule, hosts []string, when ...condition) {
		r := base
		r.hosts = hosts
		r.when = append(slices.Clone(base.when), when...)
		r.from = rule.from
		r.policy = rule.policy
		p.made = append(p.made, r)
	}
	for i := range p.rules {
		rule := &p.rules[i]
		switch {
		case len(rule.routes) > 0 || len(rule.services) > 0:
			if row == nil ||
				len(rule.routes) > 0 && !slices.ContainsFunc(rule.routes, func(n *yaml.Node) bool { return p.isRoute(text(n), *row) }) {
				continue
			}
			if len(rule.services) == 0 {
				add(rule, hostList(host))
				return
			}
			own := row.services()
			if !slices.ContainsFunc(rule.services, func(n *yaml.Node) bool { return row.isService(text(n)) }) {
				continue
			}
			if len(own) > 1 {
				add(rule, hostList(host), condition{what: "a share of the requests, by the service that gets them", at: rule.from.Place, remedy: "write domain or ingress in place of service"})
				continue
			}
			add(rule, hostList(host))
			return
		default:
			var hosts []string
			for _, node := range rule.domains {
				domain, whole := higressDomain(node)
				switch {
				case domain == "" && whole:
					add(rule, hostList(host))
					return
				case !hostsOverlap(domain, host):
				case !whole:
					narrow := hostList(domain)
					if hostCovers(domain, host) {
						narrow = hostList(host)
					}
					add(rule, narrow, condition{what: "the domain " + text(node) + ", a part of a label", at: p.o.at(node), remedy: "write the hosts, or whole labels such as *.example.com"})
				case hostCovers(domain, host):
					add(rule, hostList(host))
					return
				default:
					hosts = append(hosts, domain)
				}
			}
			if len(hosts) > 0 {
				add(rule, hosts)
			}
		}
	}
	if p.rest != nil {
		add(p.rest, hostList(host))
		return
	}
	if base.from.File == "" {
		base.from = p.o.from("", nil)
	}
	base.hosts = hostList(host)
	p.made = append(p.made, base)
}

// higressDomain is a domain as rules here write it, and whether it is all of it:
// a star may stand for a part of a label there. "" is any host.
func higressDomain(node *yaml.Node) (domain string, whole bool) {
	domain = strings.ToLower(text(node))
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

// higressSettings are those of the plugin.
var higressSettings = []string{"allow_origins", "allow_origin_patterns", "allow_methods", "allow_headers", "expose_headers", "allow_credentials", "max_age"}

// What the plugin takes where nothing is written.
var (
	higressMethods = []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"}
	higressHeaders = []string{"DNT", "X-CustomHeader", "Keep-Alive", "User-Agent", "X-Requested-With", "If-Modified-Since", "Cache-Control", "Content-Type", "Authorization"}
)

const higressMaxAge = 86400

// policy translates a configuration of the plugin.
func (p *higressPlugin) policy(r reader, node *yaml.Node, at Place) *policy {
	made := &policy{}
	for _, m := range members(node) {
		if key := m.Key.Value; !slices.Contains(higressSettings, key) && !strings.HasPrefix(key, "_") {
			r.fail(m.Key, fmt.Sprintf("%q is no setting of Higress' cors plugin", key), "look for a typing mistake; the plugin would ignore it")
		}
	}
	get := func(name string) []value {
		list := child(node, name)
		if list != nil && list.Kind == yaml.ScalarNode { // one is taken as a list of one
			list = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{list}, Line: list.Line, Column: list.Column}
		}
		return slices.DeleteFunc(r.list(list, name), func(v value) bool { return strings.TrimSpace(v.text()) == "" })
	}
	where := func(values []value) Place {
		if len(values) > 0 {
			return values[0].at
		}
		return at
	}
	credentials, _ := r.boolean(child(node, "allow_credentials"), "allow_credentials")
	if v := child(node, "allow_credentials"); v != nil && v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		r.fail(v, "allow_credentials is a string", "write true or false without quotes")
	}
	origins, patterns := get("allow_origins"), get("allow_origin_patterns")
	if any := slices.IndexFunc(origins, func(v value) bool { return strings.TrimSpace(v.text()) == "*" }); any >= 0 {
		if credentials {
			credentials = false
			made.change(LeftOut, "allow_credentials is left out: Higress takes `*` in allow_origins without it, and says so in its log alone")
		}
		origins, patterns = []value{{"*", origins[any].at}}, nil
	}
	allowed := make([]value, 0, len(origins)+len(patterns))
	for _, v := range origins {
		allowed = append(allowed, value{exactOrigin(made, strings.TrimSuffix(strings.TrimSpace(v.text()), "/"), true), v.at})
	}
	for _, v := range patterns {
		allowed = append(allowed, value{higressPattern(v.text()), v.at})
	}
	if len(allowed) == 0 {
		if credentials {
			r.fail(child(node, "allow_credentials"), "allow_credentials without origins lets nobody in, and a policy here needs origins", "write the origins, or \"configDisable: true\" where the plugin is not wanted")
			return nil
		}
		allowed = []value{{"*", at}}
	}
	made.setList("allow_origins", where(allowed), allowed)
	defaults := func(name string, otherwise []string) {
		values := get(name)
		for i := range values {
			values[i].json = strings.TrimSpace(values[i].text())
			if name == "allow_methods" {
				values[i].json = strings.ToUpper(values[i].text())
			}
		}
		if star := slices.IndexFunc(values, func(v value) bool { return v.json == "*" }); star >= 0 {
			values = values[star : star+1]
		}
		if len(values) == 0 && otherwise != nil {
			for _, text := range otherwise {
				values = append(values, value{text, at})
			}
			if before202(p.tag) {
				made.change(MoreAllowed, name+" are those that Higress documents where none are written; plugin "+p.tag+" lets nothing through then")
			}
		}
		made.setList(name, where(values), values)
	}
	defaults("allow_methods", higressMethods)
	defaults("allow_headers", higressHeaders)
	defaults("expose_headers", nil)
	if credentials {
		made.set("allow_credentials", r.o.at(child(node, "allow_credentials")), true)
	}
	age, maxAge := int64(higressMaxAge), at
	if v := child(node, "max_age"); v != nil {
		if n, err := strconv.ParseFloat(text(v), 64); err != nil {
			r.fail(v, "max_age is no number", "write seconds, such as 600")
		} else if int64(n) > 0 {
			age, maxAge = int64(n), r.o.at(v)
		}
	}
	made.set("max_age", maxAge, age)
	p.manner(made)
	return made
}

// manner says what the plugin's version does otherwise.
func (p *higressPlugin) manner(made *policy) {
	m := manner{project: "Higress", echoes: true, authorization: true, reflects: true, unmatched: "Higress answers it with 204 and no CORS headers", status: "204", varies: true}
	anyOrigin := made.find("allow_origins").has(value{json: "*"})
	if methods := made.find("allow_methods"); methods != nil && !methods.has(value{json: "*"}) {
		var unlisted []string
		for _, name := range []string{"GET", "HEAD", "POST"} {
			if !methods.has(value{json: name}) {
				unlisted = append(unlisted, name)
			}
		}
		if len(unlisted) > 0 {
			made.change(MoreAllowed, strings.Join(unlisted, " and ")+" may be read without being listed, as browsers have it; Higress sends no CORS headers for a method that is not listed")
		}
	}
	if before202(p.tag) {
		m.status = "200"
		if !anyOrigin {
			made.set("disallowed_requests", made.find("allow_origins").at, "reject")
		}
		made.change(MoreAllowed, "a request whose method is not listed is forwarded; plugin "+p.tag+" answers 403")
		if slices.ContainsFunc(made.find("allow_origins").values, func(v value) bool { return isPattern(v.json) }) {
			made.change(StricterPatterns, "a pattern is the whole origin; plugin "+p.tag+" looks for it anywhere in the origin")
		}
	}
	if !anyOrigin || made.credentials() {
		made.change(VaryIsSet, "Vary names Origin on every response; Higress sets it for origins that are allowed, and not before plugin 2.0.2")
	}
	made.finish(m)
	if before202(p.tag) {
		made.changes = slices.DeleteFunc(made.changes, func(c Change) bool { return c.Kind == DeniedPreflight })
	}
}

func isPattern(v any) bool {
	s, ok := v.(string)
	return !ok || strings.Contains(s, "*") && s != "*"
}

// higressPattern writes a pattern of the plugin: a star is any text there. Where it
// stands for labels or a port, patterns here have it as well; elsewhere it becomes
// a regex.
func higressPattern(text string) any {
	text = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), "/"))
	if text == "*" {
		return text
	}
	stem, ports := text, ""
	if i := strings.LastIndex(text, ":["); i > 0 && strings.HasSuffix(text, "]") && isPortList(text[i+2:len(text)-1]) {
		stem, ports = text[:i], text[i+2:len(text)-1]
	}
	scheme, host, ok := strings.Cut(stem, "://")
	if plain := strings.TrimPrefix(host, "*."); ok && !strings.ContainsAny(scheme+plain, "*[]") {
		switch ports {
		case "":
			return stem
		case "*":
			return stem + ":*"
		}
		return text
	}
	regex := strings.ReplaceAll(regexp.QuoteMeta(stem), `\*`, `.*`)
	switch ports {
	case "":
	case "*":
		regex += `(:[0-9]+)?`
	default:
		regex += ":(" + strings.ReplaceAll(ports, ",", "|") + ")"
	}
	return jsonObject{{"regex", regex}}
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
