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
	// Name is what the configuration calls it, or rules[i].
	Name   string
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
	anyHost []int32
	byHost  origin.HostTree[[]int32]
}

// find returns the first rule for the host (without port, in lower case) and
// path (without query), or nil.
func (x *ruleIndex) find(host, path string) *Rule {
	best := x.first(x.anyHost, path, int32(len(x.rules)))
	search := x.byHost.Search(host)
	for list := search.Next(); list != nil; list = search.Next() {
		best = x.first(*list, path, best)
	}
	if int(best) == len(x.rules) {
		return nil
	}
	return &x.rules[best]
}

// first returns the first rule of the list that matches the path, or before
// where that one comes earlier.
func (x *ruleIndex) first(list []int32, path string, before int32) int32 {
	for _, i := range list {
		if i >= before {
			break
		}
		if x.rules[i].matchesPath(path) {
			return i
		}
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

var ruleKeys = []string{"name", "hosts", "paths", "policy"}

func (r *parser) rawRules(v value) (rules []rawRule) {
	r.elements(v, func(v value) {
		rule := rawRule{place: v.place, name: rawName{v.place, v.path}}
		r.members(v, exactly(ruleKeys), ruleKeys, func(name string, v value) {
			switch name {
			case "name":
				rule.name.name, _ = r.text(v)
				rule.name.place = v.place
			case "hosts":
				rule.hosts = r.strings(v)
			case "paths":
				rule.paths = r.strings(v)
			case "policy":
				if p := r.rawPolicy(v, policySpan, policyKeys, nil); v.IsObject() {
					rule.policy = p
				}
			}
		})
		if v.IsObject() && !v.Get("policy").Exists() {
			r.fail(v.place, "", Missing, "the rule has no policy", `write "policy": {…}, or {"mode": "off"} for no CORS there`)
		}
		rules = append(rules, rule)
	})
	return rules
}

// strings reads a list of strings that must not be empty.
func (r *parser) strings(v value) (list []rawName) {
	r.elements(v, func(v value) {
		if s, ok := r.text(v); ok {
			list = append(list, rawName{v.place, s})
		}
	})
	if v.IsArray() && v.Get("#").Int() == 0 {
		r.fail(v.place, v.Raw, Missing, "an empty list matches nothing", "leave the key out to match everything")
	}
	return list
}

func (r *parser) compileRules(raw []rawRule) (index ruleIndex) {
	names := map[string]string{}
	catchAll := ""
	for i, e := range raw {
		if first, again := names[e.name.name]; again {
			r.warn(e.name.place, quote(e.name.name), Duplicate, "has the name of "+first, "give each rule its own, so that messages tell them apart")
		}
		names[e.name.name] = e.path
		if catchAll != "" {
			r.warn(e.place, "", Unreachable, catchAll+" matches everything before it", "move that rule to the end")
		}
		rule := Rule{Name: e.name.name}
		for _, p := range e.paths {
			if pattern, ok := r.pathPattern(p); ok {
				rule.paths = append(rule.paths, pattern)
			}
		}
		anyHost := len(e.hosts) == 0
		for _, h := range e.hosts {
			if h.name == "*" {
				anyHost = true
				continue
			}
			if host, below, ok := r.hostPattern(h); ok {
				list := index.byHost.At(host, below)
				if n := len(*list); n == 0 || (*list)[n-1] != int32(i) {
					*list = append(*list, int32(i))
				}
			}
		}
		if anyHost {
			index.anyHost = append(index.anyHost, int32(i))
		}
		if anyHost && (len(e.paths) == 0 || slices.ContainsFunc(e.paths, func(p rawName) bool { return p.name == "/*" })) && catchAll == "" {
			catchAll = e.path
		}
		if e.policy != nil {
			rule.Policy = r.compilePolicy(e.policy)
		}
		index.rules = append(index.rules, rule)
	}
	return index
}

func (r *parser) hostPattern(e rawName) (host string, below, ok bool) {
	host, below, err := origin.ParseHostPattern(e.name)
	if err != nil {
		r.fail(e.place, quote(e.name), BadHost, err.Reason, err.Remedy)
		return "", false, false
	}
	if strings.ToLower(e.name) != e.name {
		r.warn(e.place, quote(e.name), Lowered, "hosts are compared in lower case", "write "+quote(strings.ToLower(e.name)))
	}
	return host, below, true
}

func (r *parser) pathPattern(e rawName) (pathPattern, bool) {
	example := `write one such as "/v1/*" or "/status"`
	fail := func(reason, remedy string) (pathPattern, bool) {
		r.fail(e.place, quote(e.name), BadPath, reason, remedy)
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
	}
	for i := 0; i < len(e.name); i++ {
		if c := e.name[i]; c <= ' ' || c >= 0x7f {
			return fail("a path on the wire has no spaces, control characters or letters beyond ASCII", "write them percent-encoded")
		}
	}
	return pathPattern{path, below}, true
}

// Select returns the policy for a request, and the rule that gives it, which is
// nil for the top-level policy. policy is nil where neither applies: then the
// filter leaves the request alone. authority and path are :authority and :path
// as received. It does not allocate.
func (c *Config) Select(authority, path string) (policy *Policy, rule *Rule) {
	if len(c.rules.rules) == 0 {
		return c.Default, nil
	}
	path, _, _ = strings.Cut(path, "?")
	var buf [maxHostLen]byte
	host := ""
	if len(authority) <= maxHostLen {
		host = hostOf(authority, &buf)
	}
	if rule := c.rules.find(host, path); rule != nil {
		return rule.Policy, rule
	}
	return c.Default, nil
}

// hostOf cuts the port off and lower-cases the rest, into buf where it must.
func hostOf(authority string, buf *[maxHostLen]byte) string {
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && strings.LastIndexByte(authority, ']') < i {
		authority = authority[:i]
	}
	for i := 0; i < len(authority); i++ {
		if c := authority[i]; 'A' <= c && c <= 'Z' {
			return bytesAsString(header.AppendLower(buf[:0], authority))
		}
	}
	return authority
}
