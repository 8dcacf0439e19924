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

const (
	noPolicy       = "the rule has no policy"
	noPolicyRemedy = `write "policy": {…}, or {"mode": "off"} for no CORS there`
)

var ruleKeys = keysOf("name", "hosts", "paths", "policy")

// rules reads a list of rules, behind those that are there.
func (p *parser) rules(rules []SourceRule, v value) []SourceRule {
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
				rule.Hosts = p.someNames(rule.Hosts, v)
			case "paths":
				rule.Paths = p.someNames(rule.Paths, v)
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
	if v.IsArray() && v.count() == 0 {
		p.fail(v.place, v.Raw, Missing, "an empty list matches nothing", "leave the key out to match everything")
	}
	return p.names(names, v)
}

func (p *parser) compileRules(rules []SourceRule) {
	index := &p.config.rules
	index.makeRoom(rules)
	if p.ruleOfName == nil {
		p.ruleOfName = map[string]int{}
	}
	clear(p.ruleOfName)
	names := p.ruleOfName
	catchAll := ""
	for i, e := range rules {
		if first, again := names[e.Name.Value]; again {
			p.warn(e.Name.place, quote(e.Name.Value), Duplicate, "has the name of "+rules[first].path(), "give each rule its own, so that messages tell them apart")
		}
		if e.Name.Value != "" {
			names[e.Name.Value] = i
		}
		if catchAll != "" && !p.warnings.skip(e.place) {
			p.warn(e.place, "", Unreachable, catchAll+" matches everything before it", "move that rule to the end")
		}
		index.rules = index.rules[:i+1]
		rule := &index.rules[i]
		*rule = Rule{Name: e.Name.Value, Index: i, paths: rule.paths[:0]}
		if rule.Name == "" {
			rule.Name = e.path()
		}
		for _, path := range e.Paths {
			if pattern, ok := p.pathPattern(path); ok {
				rule.paths = append(rule.paths, pattern)
			}
		}
		anyHost := len(e.Hosts) == 0
		for _, h := range e.Hosts {
			if h.Value == "*" {
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
		if anyHost && (len(e.Paths) == 0 || slices.ContainsFunc(e.Paths, func(p Name) bool { return p.Value == "/*" })) && catchAll == "" {
			catchAll = e.path()
		}
		if e.Policy != nil {
			rule.Policy = p.compilePolicy(e.Policy)
		}
	}
}

// makeRoom makes room for rules before there is any.
func (x *ruleIndex) makeRoom(rules []SourceRule) {
	var hosts int
	for i := range rules {
		hosts += len(rules[i].Hosts)
	}
	x.rules = origin.Room(x.rules, len(rules))
	x.links = origin.Room(x.links, hosts)
	x.byHost = origin.Room(x.byHost, hosts)
	x.hosts.Reset(hosts)
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

func (p *parser) pathPattern(e Name) (pathPattern, bool) {
	example := `write one such as "/v1/*" or "/status"`
	fail := func(reason, remedy string) (pathPattern, bool) {
		p.fail(e.place, quote(e.Value), BadPath, reason, remedy)
		return pathPattern{}, false
	}
	path, below := strings.CutSuffix(e.Value, "/*")
	switch {
	case !strings.HasPrefix(e.Value, "/"):
		return fail("a path starts with a slash", "write "+quote("/"+e.Value))
	case strings.ContainsAny(e.Value, "?#"):
		return fail("paths are compared up to the query", "write "+quote(e.Value[:strings.IndexAny(e.Value, "?#")]))
	case strings.Contains(path, "*"):
		return fail("\"*\" stands for whole segments at the end only", example)
	case strings.ContainsFunc(e.Value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
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
