package config

import (
	"strings"

	"github.com/tidwall/gjson"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
	"corsfilter/internal/route"
)

// maxHostLen is the longest :authority, in bytes, that rules match: a host name has at most
// 253 (RFC 1035, section 2.3.4), and a port is added.
const maxHostLen = 260

// Rule is a policy for some hosts and paths.
type Rule struct {
	// Name is what the configuration calls it, or rules[i]; Index is i.
	Name   string
	Index  int
	Policy *Policy
}

const (
	noPolicy       = "the rule has no policy"
	noPolicyRemedy = `write "policy": {…}, or {"mode": "off"} for no CORS there`
)

var ruleKeys = keysOf("name", "hosts", "paths", "policy")

// rules reads a list of rules, and appends them.
func (p *parser) rules(rules []SourceRule, v value) []SourceRule {
	p.source.rules = v.place
	p.elements(v, func(v value) {
		if !v.IsObject() {
			p.wrongType(v, "an object")
			return
		}
		if len(rules) < cap(rules) {
			rules = rules[:len(rules)+1] // with the memory of one of an earlier configuration
		} else {
			rules = append(rules, SourceRule{})
		}
		rule := &rules[len(rules)-1]
		rule.reset(v.place)
		given := false
		p.members(v, ruleKeys, func(k key, v value) {
			switch k.name {
			case "name":
				rule.Name.place = v.place
				rule.Name.Value, _ = p.text(v)
			case "hosts":
				before := p.mistakes.count
				rule.Hosts = p.someNames(rule.Hosts, v)
				rule.unclear = rule.unclear || p.mistakes.count > before
			case "paths":
				before := p.mistakes.count
				rule.Paths = p.paths(rule.Paths, v)
				rule.unclear = rule.unclear || p.mistakes.count > before
			case "policy":
				given = true
				if policy := p.readPolicy(v, policyKeys); v.IsObject() {
					rule.Policy = policy
				}
			}
		})
		if !given {
			p.fail(v.place, "", Missing, noPolicy, noPolicyRemedy)
		}
		if !given && len(rule.Hosts) == 0 && len(rule.Paths) == 0 {
			rules = rules[:len(rules)-1] // there is nothing to check
		}
	})
	return rules
}

// someNames reads a list of strings that must not be empty.
func (p *parser) someNames(names []Name, v value) []Name {
	p.notEmpty(v)
	return p.names(names, v)
}

func (p *parser) notEmpty(v value) {
	if v.IsArray() && v.count() == 0 {
		p.fail(v.place, v.Raw, Missing, "an empty list matches nothing", "leave the key out to match everything")
	}
}

var pathKeys = keysOf("regex")

// paths reads a list of strings and regexes, and appends them.
func (p *parser) paths(paths []SourcePath, v value) []SourcePath {
	p.notEmpty(v)
	p.elements(v, func(v value) {
		path := SourcePath{place: v.place, written: v.Raw}
		switch {
		case v.Type == gjson.String:
			path.Value = v.Str
		case v.IsObject():
			given, before := false, p.mistakes.count
			p.members(v, pathKeys, func(_ key, v value) {
				given = true
				path.Value, path.Regex = p.text(v)
			})
			if !given && p.mistakes.count == before {
				p.fail(v.place, v.Raw, Missing, "the object does not say which paths", `write one such as {"regex": "/v[0-9]+/orders"}`)
			}
			if !path.Regex {
				return
			}
		default:
			p.wrongType(v, `a string or {"regex": "…"}`)
			return
		}
		paths = append(paths, path)
	})
	return paths
}

func (p *parser) compileRules(rules []SourceRule) {
	c := p.config
	c.rules = origin.Room(c.rules, len(rules))
	var hosts, bytes, paths int
	for i := range rules {
		for _, h := range rules[i].Hosts {
			bytes += len(h.Value)
		}
		hosts += max(len(rules[i].Hosts), 1)
		paths += max(len(rules[i].Paths), 1)
	}
	c.index.Reset(hosts, bytes, paths)
	if p.ruleOfName == nil {
		p.ruleOfName = map[string]int{}
	}
	clear(p.ruleOfName)
	names := p.ruleOfName
	p.reached.reset()
	for i := range rules {
		e := &rules[i]
		if first, again := names[e.Name.Value]; again {
			p.warn(e.Name.place, quote(e.Name.Value), Duplicate, "has the name of "+rules[first].path(), "give each rule its own, so that messages can tell them apart")
		}
		if e.Name.Value != "" {
			names[e.Name.Value] = i
		}
		rule := Rule{Name: e.Name.Value, Index: i}
		if rule.Name == "" {
			rule.Name = e.path()
		}
		c.index.Next()
		paths, hosts := p.compilePaths(e), p.compileHosts(e)
		p.reached.clear = append(p.reached.clear, paths && hosts && !e.unclear)
		if e.Policy != nil {
			rule.Policy = p.compilePolicy(e.Policy)
		}
		c.rules = append(c.rules, rule)
	}
	c.index.Seal()
	p.checkReached(rules)
}

// compileHosts reports whether there was no mistake, as compilePaths does.
func (p *parser) compileHosts(e *SourceRule) (clear bool) {
	index := &p.config.index
	clear = true
	anyHost := len(e.Hosts) == 0 && !e.unclear
	for _, h := range e.Hosts {
		if h.Value == "*" {
			anyHost = true
		} else if host, below, ok := p.hostPattern(h); ok {
			index.Host(host, below)
		} else {
			clear = false
		}
	}
	if anyHost {
		index.AnyHost()
	}
	return clear
}

func (p *parser) compilePaths(e *SourceRule) (clear bool) {
	index := &p.config.index
	clear = true
	if len(e.Paths) == 0 && !e.unclear {
		index.AnyPath()
	}
	p.list = p.list[:0]
	var last *SourcePath
	for i := range e.Paths {
		path := &e.Paths[i]
		if !path.Regex {
			if p.checkPath(path) {
				index.Path(textOfPath(path.Value))
			} else {
				clear = false
			}
			continue
		}
		a := p.compileRegex(path)
		p.reached.automata = append(p.reached.automata, a)
		if a == nil {
			clear = false
			continue
		}
		last = path
		index.Path(route.Regex, route.Literal(a))
		p.list = append(p.list, a)
	}
	if last == nil {
		return clear
	}
	united, err := p.automata.Union(p.list)
	if err != nil {
		p.fail(last.place, last.written, Costly, err.Error(), pathsRemedy)
	}
	index.Regexes(united)
	p.list = p.list[:0]
	return clear
}

func (p *parser) hostPattern(e Name) (host string, below, ok bool) {
	host, below, err := origin.ParseHostPattern(e.Value)
	if err != nil {
		p.fail(e.place, quote(e.Value), BadHost, err.Reason, err.Remedy)
		return "", false, false
	}
	if strings.ToLower(e.Value) != e.Value {
		p.warn(e.place, quote(e.Value), Lowered, "hosts are compared in lower case", "write "+quote(strings.ToLower(e.Value)))
	}
	return strings.TrimSuffix(host, "."), below, true
}

const (
	examplePath = `write one such as "/v1/*", "/v1*" or "/status"`
	pathsRemedy = `list the paths, such as "/v1/*" or "/v1*": lookups cost the same however many there are`
)

// checkPath refuses a string that is not a path.
func (p *parser) checkPath(e *SourcePath) bool {
	fail := func(reason, remedy string) bool {
		p.fail(e.place, quote(e.Value), BadPath, reason, remedy)
		return false
	}
	text := strings.TrimSuffix(e.Value, "*")
	switch {
	case !strings.HasPrefix(e.Value, "/"):
		return fail("a path starts with a slash", "write "+quote("/"+e.Value))
	case strings.ContainsAny(e.Value, "?#"):
		return fail("paths are compared up to the query", "write "+quote(e.Value[:strings.IndexAny(e.Value, "?#")]))
	case strings.ContainsFunc(e.Value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fail("a path on the wire has no spaces, control characters or letters beyond ASCII", "write them percent-encoded")
	case strings.HasSuffix(text, "*") && !strings.Contains(strings.TrimRight(text, "*"), "*"):
		return fail("one \"*\" at the end matches everything that follows", "write "+quote(strings.TrimRight(text, "*")+"*"))
	case strings.Contains(text, "*"):
		return fail("\"*\" stands at the end only", examplePath+`, or a regex such as {"regex": "/v[0-9]+/orders"}`)
	}
	return true
}

// textOfPath splits a path as written.
func textOfPath(path string) (kind route.Kind, text string) {
	if text, below := strings.CutSuffix(path, "/*"); below {
		return route.Below, text
	}
	if text, more := strings.CutSuffix(path, "*"); more {
		return route.Letters, text
	}
	return route.Exact, path
}

var pathTexts = matcherTexts{
	noun: "regex", empty: "empty, so it would match no path", emptyRemedy: `write "/*" for every path, or the paths themselves`,
	remedy: pathsRemedy, syntax: `write a regex in RE2 syntax, or a path such as "/v1/*"`,
}

// compileRegex makes an automaton of a regex for paths; nil if that is not possible.
func (p *parser) compileRegex(e *SourcePath) *automaton.Automaton {
	a := p.compileMatcher(&SourceOrigin{Kind: Regex, Value: e.Value, place: e.place, written: e.written}, &pathTexts)
	if a == nil {
		return nil
	}
	if !route.Any(a) {
		p.warn(e.place, e.written, NoEffect, "no path matches it: paths begin with a slash, and are compared up to the query", `write it for the whole path, such as "/v[0-9]+/orders"`)
	} else if kind, text, ok := route.Pattern(a); ok {
		p.warn(e.place, e.written, BetterAsPattern, "an equivalent path needs no regex", "write "+quote(text+[...]string{route.Exact: "", route.Below: "/*", route.Letters: "*"}[kind]))
	}
	return a
}

// Select returns the policy for a request, and its rule, which is nil for the top-level
// policy. policy is nil if neither applies: then the filter leaves the request alone. authority and path are :authority and :path
// as received. It does not allocate.
func (c *Config) Select(authority, path string) (policy *Policy, rule *Rule) {
	var buf origin.Buffer
	return c.SelectIn(authority, path, &buf)
}

// SelectIn is Select with scratch memory, which need not be cleared.
func (c *Config) SelectIn(authority, path string, buf *origin.Buffer) (policy *Policy, rule *Rule) {
	if len(c.rules) == 0 {
		return c.Default, nil
	}
	path, _, _ = strings.Cut(path, "?")
	host := ""
	if len(authority) <= maxHostLen {
		host = hostOf(authority, buf)
	}
	if found := c.index.Find(host, path); found >= 0 {
		rule := &c.rules[found]
		return rule.Policy, rule
	}
	return c.Default, nil
}

// hostOf cuts off the port and one trailing dot, and lower-cases the rest, into buf if it
// must. A name with the dot is the same host, written as absolute (RFC 3986, section 3.2.2),
// and must match the same rule.
func hostOf(authority string, buf *origin.Buffer) string {
	authority, _, _ = origin.SplitPort(authority)
	return origin.Lower(strings.TrimSuffix(authority, "."), buf)
}
