package verify

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/automaton"
	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
	"corsfilter/internal/origin"
	"corsfilter/internal/reach"
)

// Names that no policy lists, below a domain that nobody can register (RFC 2606).
const (
	unlistedOrigin = "https://unlisted.example"
	unlistedHeader = "x-unlisted"
	unlistedMethod = "UNLISTED"
	madeUp         = "corsctl-verify" // a label, or a segment of a path
)

// Neighbour is an origin that a careless policy mistakes for another one.
type Neighbour struct{ What, Origin string }

// Neighbours are those of an origin: each differs from it in one thing.
func Neighbours(value string) (all []Neighbour) {
	add := func(what, scheme, host, port string) {
		if o := scheme + "://" + host + port; explain.CheckOrigin(o) == nil {
			all = append(all, Neighbour{what, o})
		}
	}
	scheme, _, _ := strings.Cut(value, "://")
	var buf origin.Buffer
	if o, ok := origin.Parse(value, &buf); ok && origin.DefaultPort(scheme) != 0 {
		host, port := o.Host, ""
		otherPort := ":8443"
		if o.Port != 0 {
			port, otherPort = fmt.Sprintf(":%d", o.Port), ""
		}
		add("another scheme", map[string]string{"https": "http", "http": "https"}[scheme], host, port)
		add("another port", scheme, host, otherPort)
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil {
			add("a subdomain", scheme, "below."+host, port)
			if _, above, _ := strings.Cut(host, "."); strings.Contains(above, ".") {
				add("the parent domain", scheme, above, port)
			}
			add("a name that ends the same", scheme, "not"+host, port)
			add("a name that starts the same", scheme, host+".unlisted.example", port)
			if strings.Contains(host, ".") {
				add("a letter in place of the dot", scheme, strings.Replace(host, ".", "x", 1), port)
			}
		}
	}
	return append(all, Neighbour{"the opaque origin", "null"})
}

// Bounds of what is derived from one policy: the number of entries of allow_origins, and of
// domains for a matcher.
const (
	maxEntries = 1000
	maxDomains = 3
)

// witnesses are origins that entries of allow_origins let in, for each entry one or a
// few.
func witnesses(p *config.Policy, entries []config.SourceOrigin) (all []string) {
	seen := map[string]bool{}
	for _, e := range entries[:min(len(entries), maxEntries)] {
		for _, o := range ofEntry(e) {
			lets := p.Wildcard() || p.Origins.Match(o) == config.Matches
			if lets && !seen[o] && explain.CheckOrigin(o) == nil {
				all = append(all, o)
			}
			seen[o] = true
		}
	}
	return all
}

func ofEntry(e config.SourceOrigin) []string {
	var builder automaton.Builder
	var a *automaton.Automaton
	var err error
	switch e.Kind {
	case config.Pattern, config.Exact:
		return []string{ofPattern(e.Value)}
	case config.Regex:
		a, err = builder.Regex(e.Value, e.IgnoreCase)
	default:
		a, err = builder.Part(e.Value, e.Kind != config.Prefix, e.Kind != config.Suffix, e.IgnoreCase)
	}
	if err != nil {
		return nil
	}
	var explorer reach.Explorer
	found, err := explorer.Explore(a, config.SpelledIn(e.Value))
	if err != nil {
		return nil
	}
	var all []string
	slices.SortFunc(found.Domains, func(x, y reach.Domain) int { return strings.Compare(x.Name, y.Name) })
	for _, d := range found.Domains[:min(len(found.Domains), maxDomains)] {
		all = append(all, d.Example)
	}
	if found.Unintended != "" {
		all = append(all, found.Unintended)
	}
	if found.Null {
		all = append(all, "null")
	}
	return all
}

func ofPattern(value string) string {
	var parser origin.PatternParser
	p, err := parser.Parse(value)
	switch {
	case value == "*":
		return unlistedOrigin
	case err != nil: // null, and what is no pattern
		return value
	case p.AnyHost() && p.Web():
		p.Host = "any.example"
	case p.AnyHost():
		p.Host = madeUp
	case p.Subdomains:
		p.Host = "www." + p.Host
	}
	if o := p.Scheme + "://" + p.Host; p.AnyPort || p.Ports[0] == 0 {
		return o
	}
	return fmt.Sprintf("%s://%s:%d", p.Scheme, p.Host, p.Ports[0])
}

// Place is a host and a path where a policy decides.
type Place struct {
	Rule       string // its name; "" for the top level
	Scheme     string
	Host, Path string

	config *config.Config
	policy *config.Policy
	source *config.SourcePolicy
}

// name is its name, as the prefix of a request's.
func (p *Place) name() string {
	if p.Rule == "" {
		return ""
	}
	return "rule " + p.Rule + ": "
}

// Target is what requests are derived for. Path is "" where every path is.
type Target struct {
	Scheme, Host, Path string
	// AnyHost includes the rules of other hosts.
	AnyHost bool
}

// places finds where each policy of a configuration decides, and says why one is left
// out.
func places(configuration []byte, t Target) (all []*Place, leftOut []string, err error) {
	c, _, err := config.Parse(configuration)
	if err != nil {
		return nil, nil, err
	}
	source, err := config.Read(configuration)
	if err != nil {
		return nil, nil, err
	}
	find := func(rule int, hosts []config.Name, paths []config.SourcePath) *Place {
		for _, host := range hostsOf(t, hosts) {
			for _, path := range pathsOf(t, paths) {
				policy, by := c.Select(host, path)
				switch {
				case by == nil && rule < 0:
					return &Place{Scheme: t.Scheme, Host: host, Path: path, config: c, policy: policy, source: source.SourcePolicy}
				case by != nil && by.Index == rule:
					return &Place{Rule: by.Name, Scheme: t.Scheme, Host: host, Path: path, config: c, policy: policy, source: source.Rules[rule].Policy}
				}
			}
		}
		return nil
	}
	var elsewhere []string
	add := func(p *Place, name string) {
		switch {
		case p == nil:
			elsewhere = append(elsewhere, name)
		case p.policy.Mode != config.Enforce:
			leftOut = append(leftOut, fmt.Sprintf("%s: the mode is %s, so upstream decides", name, p.policy.Mode))
		default:
			all = append(all, p)
		}
	}
	for i, r := range source.Rules {
		name := fmt.Sprintf("rules[%d]", i)
		if r.Name.Value != "" {
			name = "rule " + r.Name.Value
		}
		add(find(i, r.Hosts, r.Paths), name)
	}
	if c.Default != nil {
		add(find(-1, nil, nil), "the top level")
	}
	if more := len(elsewhere) - maxNamed; more > 0 {
		elsewhere = append(elsewhere[:maxNamed], fmt.Sprintf("%d more", more))
	}
	if len(elsewhere) > 0 {
		leftOut = append(leftOut, fmt.Sprintf("%s: no request to %s%s reaches it", strings.Join(elsewhere, ", "), t.Host, t.Path))
	}
	return all, leftOut, nil
}

// maxNamed is how many policies that no request reaches are named.
const maxNamed = 5

func hostsOf(t Target, rule []config.Name) []string {
	hosts := []string{t.Host}
	if !t.AnyHost {
		return hosts
	}
	for _, h := range rule {
		if below, ok := strings.CutPrefix(h.Value, "*."); ok {
			hosts = append(hosts, "www."+below, madeUp+"."+below)
			continue
		}
		hosts = append(hosts, h.Value)
	}
	if len(rule) == 0 {
		hosts = append(hosts, madeUp+".example")
	}
	return hosts
}

func pathsOf(t Target, rule []config.SourcePath) (paths []string) {
	if t.Path != "" {
		return []string{t.Path}
	}
	for _, p := range rule {
		text, star := strings.CutSuffix(p.Value, "*")
		switch {
		case p.Regex:
			var builder automaton.Builder
			if a, err := builder.Regex(p.Value, false); err == nil {
				paths = append(paths, shortest(a))
			}
		case star:
			paths = append(paths, text, text+madeUp)
		default:
			paths = append(paths, text)
		}
	}
	if len(rule) == 0 {
		paths = append(paths, "/", "/"+madeUp)
	}
	return paths
}

// shortest is the shortest path that an automaton accepts, of letters that stand in a
// URL as they are.
func shortest(a *automaton.Automaton) string {
	type step struct {
		state automaton.State
		text  string
	}
	seen := map[automaton.State]bool{a.Start(): true}
	for queue := []step{{a.Start(), ""}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if a.Accepts(at.state) {
			return at.text
		}
		for _, c := range []byte("/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~:@!$&'()*+,;=") {
			if next := a.Next(at.state, c); next != automaton.Dead && !seen[next] {
				seen[next] = true
				queue = append(queue, step{next, at.text + string(c)})
			}
		}
	}
	return ""
}

// Request is one request to a live server.
type Request struct {
	*Place
	Name    string
	Method  string
	Headers []browser.Header
}

// Plan are the requests that show whether a policy is in effect at a server.
type Plan struct {
	Requests []Request
	// LeftOut says what is not, and why.
	LeftOut []string
}

// Derive derives requests from a configuration, at most max: for each policy that the
// target reaches, origins that it allows and their neighbours, methods and headers
// that it has and others, requests without Origin, and with a cookie. What matters
// most comes first.
func Derive(configuration []byte, t Target, max int) (*Plan, error) {
	all, leftOut, err := places(configuration, t)
	if err != nil {
		return nil, err
	}
	var levels [4][]Request
	for _, p := range all {
		p.derive(&levels)
		if more := len(p.source.AllowOrigins) - maxEntries; more > 0 {
			leftOut = append(leftOut, fmt.Sprintf("%s%d entries of allow_origins after the first %d", p.name(), more, maxEntries))
		}
	}
	plan := &Plan{Requests: slices.Concat(levels[:]...), LeftOut: leftOut}
	if rest := len(plan.Requests) - max; rest > 0 {
		plan.Requests = plan.Requests[:max]
		plan.LeftOut = append(plan.LeftOut, fmt.Sprintf("%d of %d requests: -max is %d", rest, rest+max, max))
	}
	return plan, nil
}

// asked are the methods and headers that a policy lists and a preflight can ask for.
func (p *Place) asked() (methods, headers []string) {
	for _, m := range p.source.AllowMethods {
		r := browser.Request{Method: m.Value}
		if needed, _ := r.NeedsPreflight(); needed && m.Value != "*" {
			methods = append(methods, r.NormalizedMethod())
		}
	}
	for _, h := range p.source.AllowHeaders {
		if h.Value != "*" {
			headers = append(headers, strings.ToLower(h.Value))
		}
	}
	return methods, headers
}

// privateNetwork is what a preflight says that Private Network Access adds.
const privateNetwork = "into a private network"

// maxListed is how many of the listed methods are asked for one by one.
const maxListed = 8

func (p *Place) derive(levels *[4][]Request) {
	add := func(level int, name, what, method string, headers []browser.Header) {
		if what != "" {
			name += ", " + what
		}
		levels[level] = append(levels[level], Request{p, p.name() + name, method, headers})
	}
	get := func(level int, what, from string) {
		add(level, "GET from "+from, what, "GET", []browser.Header{{Name: "origin", Value: from}})
	}
	preflight := func(level int, what, from, method string, names ...string) {
		r := browser.Request{Origin: from, Method: method, PrivateNetwork: what == privateNetwork}
		name := "preflight of " + method + " from " + from
		for i, header := range names {
			name += []string{" with ", ", "}[min(i, 1)] + header
			r.Headers = append(r.Headers, browser.Header{Name: header, Value: explain.ExampleValue(header)})
		}
		add(level, name, what, "OPTIONS", r.PreflightHeaders())
	}
	allowed := witnesses(p.policy, p.source.AllowOrigins)
	methods, headers := p.asked()
	method := append(methods, "PUT")[0]
	for i, from := range allowed {
		level := 2 * min(i, 1)
		get(level, "", from)
		preflight(level, "", from, method, headers...)
		for _, n := range Neighbours(from) {
			if !p.policy.Wildcard() && !slices.Contains(allowed, n.Origin) {
				get(level+1, n.What, n.Origin)
				preflight(level+1, n.What, n.Origin, method)
			}
		}
	}
	add(0, "GET without Origin", "", "GET", nil)
	if !slices.Contains(allowed, unlistedOrigin) {
		get(0, anyone, unlistedOrigin)
		preflight(0, anyone, unlistedOrigin, method)
	}
	if len(allowed) == 0 {
		return
	}
	from := allowed[0]
	add(1, "HEAD from "+from, "", "HEAD", []browser.Header{{Name: "origin", Value: from}})
	add(1, "GET from "+from, "with a cookie", "GET", []browser.Header{{Name: "origin", Value: from}, {Name: "cookie", Value: madeUp + "=1"}})
	for _, m := range methods[min(1, len(methods)):min(len(methods), maxListed)] {
		preflight(1, "", from, m)
	}
	preflight(1, "an unlisted method", from, unlistedMethod)
	preflight(1, "an unlisted header", from, method, unlistedHeader)
	preflight(1, privateNetwork, from, method)
}
