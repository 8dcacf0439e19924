package config

import (
	"slices"
	"strings"

	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// maxHostLen is the longest :authority, in bytes, that rules look at: a host
// name has at most 253 (RFC 1035, section 2.3.4), and a port comes on top.
const maxHostLen = 260

// Rule is a policy for some hosts and paths.
type Rule struct {
	// Name is what the configuration calls it, or rules[i]; Index is i.
	Name   string
	Index  int
	Policy *Policy
	paths  []pathPattern
}

// pathPattern is an exact path, or all of it and below.
type pathPattern struct {
	path  string
	below bool
}

func (p pathPattern) matches(path string) bool {
	if !p.below {
		return path == p.path
	}
	rest, ok := strings.CutPrefix(path, p.path)
	return ok && (rest == "" || rest[0] == '/')
}

func (r *Rule) matchesPath(path string) bool {
	for i := range r.paths {
		if r.paths[i].matches(path) {
			return true
		}
	}
	return len(r.paths) == 0
}

// ruleIndex finds the first rule that matches a host and a path. Rules are
// listed by host, each list in their order, so that a look-up costs the length
// of the host and the rules of that host, not all rules.
type ruleIndex struct {
	rules   []Rule
	anyHost ruleList
	hosts   origin.HostMap
	byHost  []ruleList // of the hosts
	links   []ruleLink
}

// ruleList is a list of rules, in their order: places in the links, from 1. One
// slice holds the lists of all hosts, so that they cost no allocation each.
type ruleList struct{ first, last int32 }

type ruleLink struct{ rule, next int32 }

// add puts a rule at the end of a list, where it does not stand there.
func (x *ruleIndex) add(list *ruleList, rule int32) {
	if list.last > 0 && x.links[list.last-1].rule == rule {
		return
	}
	x.links = append(x.links, ruleLink{rule: rule})
	place := int32(len(x.links))
	if list.last > 0 {
		x.links[list.last-1].next = place
	} else {
		list.first = place
	}
	list.last = place
}

// reset takes all rules out, and keeps their memory.
func (x *ruleIndex) reset() {
	x.hosts.Reset(0)
	x.rules, x.anyHost, x.byHost, x.links = x.rules[:0], ruleList{}, x.byHost[:0], x.links[:0]
}

// find returns the first rule for the host (without port, in lower case) and
// path (without query), or nil.
func (x *ruleIndex) find(host, path string) *Rule {
	best := x.first(x.anyHost, path, int32(len(x.rules)))
	for i, at := x.hosts.First("", host); i >= 0; i, at = x.hosts.Next("", host, at) {
		best = x.first(x.byHost[i], path, best)
	}
	if int(best) == len(x.rules) {
		return nil
	}
	return &x.rules[best]
}

// first returns the first rule of the list that matches the path, or before
// where that one comes earlier.
func (x *ruleIndex) first(list ruleList, path string, before int32) int32 {
	for at := list.first; at > 0; {
		link := x.links[at-1]
		if link.rule >= before {
			break
		}
		if x.rules[link.rule].matchesPath(path) {
			return link.rule
		}
		at = link.next
	}
	return before
}

// rawRule is a rule as written.
type rawRule struct {
	place
	name   rawName
	hosts  []rawName
	paths  []rawName
	policy *rawPolicy
}

var ruleKeys = keysOf("name", "hosts", "paths", "policy")

// rawRules reads a list of rules, behind those that are there.
func (p *parser) rawRules(rules []rawRule, v value) []rawRule {
	p.elements(v, func(v value) {
		if !v.IsObject() {
			p.wrongType(v, "an object")
			return
		}
		if len(rules) < cap(rules) {
			rules = rules[:len(rules)+1] // with the memory of one of an earlier configuration
		} else {
			rules = append(rules, rawRule{})
		}
		rule := &rules[len(rules)-1]
		rule.reset(v.place)
		given := false
		p.members(v, ruleKeys, func(k key, v value) {
			switch k.name {
			case "name":
				rule.name.place = v.place
				rule.name.name, _ = p.text(v)
			case "hosts":
				rule.hosts = p.someNames(rule.hosts, v)
			case "paths":
				rule.paths = p.someNames(rule.paths, v)
			case "policy":
				given = true
				if policy := p.rawPolicy(v, policyKeys); v.IsObject() {
					rule.policy = policy
				}
			}
		})
		if !given {
			p.fail(v.place, "", Missing, "the rule has no policy", `write "policy": {…}, or {"mode": "off"} for no CORS there`)
		}
		if !given && len(rule.hosts) == 0 && len(rule.paths) == 0 {
			rules = rules[:len(rules)-1] // there is nothing to check
		}
	})
	return rules
}

// reset empties it, and leaves the lists their memory.
func (r *rawRule) reset(at place) {
	*r = rawRule{place: at, hosts: r.hosts[:0], paths: r.paths[:0]}
}

// someNames reads a list of strings that must not be empty.
func (p *parser) someNames(names []rawName, v value) []rawName {
	if v.IsArray() && v.count() == 0 {
		p.fail(v.place, v.Raw, Missing, "an empty list matches nothing", "leave the key out to match everything")
	}
	return p.names(names, v)
}

func (p *parser) compileRules(raw []rawRule) {
	index := &p.config.rules
	index.makeRoom(raw)
	if p.ruleOfName == nil {
		p.ruleOfName = map[string]int{}
	}
	clear(p.ruleOfName)
	names := p.ruleOfName
	catchAll := ""
	for i, e := range raw {
		if first, again := names[e.name.name]; again {
			p.warn(e.name.place, quote(e.name.name), Duplicate, "has the name of "+raw[first].path(), "give each rule its own, so that messages tell them apart")
		}
		if e.name.name != "" {
			names[e.name.name] = i
		}
		if catchAll != "" && !p.warnings.skip(e.place) {
			p.warn(e.place, "", Unreachable, catchAll+" matches everything before it", "move that rule to the end")
		}
		index.rules = index.rules[:i+1]
		rule := &index.rules[i]
		*rule = Rule{Name: e.name.name, Index: i, paths: rule.paths[:0]}
		if rule.Name == "" {
			rule.Name = e.path()
		}
		for _, path := range e.paths {
			if pattern, ok := p.pathPattern(path); ok {
				rule.paths = append(rule.paths, pattern)
			}
		}
		anyHost := len(e.hosts) == 0
		for _, h := range e.hosts {
			if h.name == "*" {
				anyHost = true
				continue
			}
			if host, below, ok := p.hostPattern(h); ok {
				at := index.hosts.Index("", host, below)
				if at == len(index.byHost) {
					index.byHost = append(index.byHost, ruleList{})
				}
				index.add(&index.byHost[at], int32(i))
			}
		}
		if anyHost {
			index.add(&index.anyHost, int32(i))
		}
		if anyHost && (len(e.paths) == 0 || slices.ContainsFunc(e.paths, func(p rawName) bool { return p.name == "/*" })) && catchAll == "" {
			catchAll = e.path()
		}
		if e.policy != nil {
			rule.Policy = p.compilePolicy(e.policy)
		}
	}
}

// makeRoom makes room for rules before there is any.
func (x *ruleIndex) makeRoom(raw []rawRule) {
	var hosts int
	for i := range raw {
		hosts += len(raw[i].hosts)
	}
	x.rules = origin.Room(x.rules, len(raw))
	x.links = origin.Room(x.links, hosts)
	x.byHost = origin.Room(x.byHost, hosts)
	x.hosts.Reset(hosts)
}

func (p *parser) hostPattern(e rawName) (host string, below, ok bool) {
	host, below, err := origin.ParseHostPattern(e.name)
	if err != nil {
		p.fail(e.place, quote(e.name), BadHost, err.Reason, err.Remedy)
		return "", false, false
	}
	if strings.ToLower(e.name) != e.name {
		p.warn(e.place, quote(e.name), Lowered, "hosts are compared in lower case", "write "+quote(strings.ToLower(e.name)))
	}
	return strings.TrimSuffix(host, "."), below, true
}

func (p *parser) pathPattern(e rawName) (pathPattern, bool) {
	example := `write one such as "/v1/*" or "/status"`
	fail := func(reason, remedy string) (pathPattern, bool) {
		p.fail(e.place, quote(e.name), BadPath, reason, remedy)
		return pathPattern{}, false
	}
	path, below := strings.CutSuffix(e.name, "/*")
	switch {
	case !strings.HasPrefix(e.name, "/"):
		return fail("a path starts with a slash", "write "+quote("/"+e.name))
	case strings.ContainsAny(e.name, "?#"):
		return fail("paths are compared up to the query", "write "+quote(e.name[:strings.IndexAny(e.name, "?#")]))
	case strings.Contains(path, "*"):
		return fail("\"*\" stands for whole segments at the end only", example)
	case strings.ContainsFunc(e.name, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fail("a path on the wire has no spaces, control characters or letters beyond ASCII", "write them percent-encoded")
	}
	return pathPattern{path, below}, true
}

// Select returns the policy for a request, and the rule that gives it, which is
// nil for the top-level policy. policy is nil where neither applies: then the
// filter leaves the request alone. authority and path are :authority and :path
// as received. It does not allocate.
func (c *Config) Select(authority, path string) (policy *Policy, rule *Rule) {
	var buf origin.Buffer
	return c.SelectIn(authority, path, &buf)
}

// SelectIn is Select with memory to work in, which need not be cleared.
func (c *Config) SelectIn(authority, path string, buf *origin.Buffer) (policy *Policy, rule *Rule) {
	if len(c.rules.rules) == 0 {
		return c.Default, nil
	}
	path, _, _ = strings.Cut(path, "?")
	host := ""
	if len(authority) <= maxHostLen {
		host = hostOf(authority, buf)
	}
	if rule := c.rules.find(host, path); rule != nil {
		return rule.Policy, rule
	}
	return c.Default, nil
}

// hostOf cuts off the port and one trailing dot, and lower-cases the rest, into
// buf where it must. A name with the dot is the same host, spelled as absolute
// (RFC 3986, section 3.2.2), and must meet the same rule.
func hostOf(authority string, buf *origin.Buffer) string {
	authority, _, _ = origin.SplitPort(authority)
	authority = strings.TrimSuffix(authority, ".")
	for i := 0; i < len(authority); i++ {
		if c := authority[i]; 'A' <= c && c <= 'Z' {
			return header.AsString(header.AppendLower(buf[:0], authority))
		}
	}
	return authority
}
