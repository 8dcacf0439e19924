package convert

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Routes that ask for methods. Rules do not, and need not: a browser sends a preflight,
// which is OPTIONS, and then the request. Where whatever takes the two has the same
// policy, the method makes no difference.

// accepts reports whether the route takes requests of a method.
func (r Route) accepts(method string) bool {
	return len(r.Methods) == 0 || slices.ContainsFunc(r.Methods, func(v Value) bool { return v.Text == method })
}

// methods makes routes that ask for methods routes that do not, where all other methods
// are decided the same behind them or get an answer of the proxy itself. Elsewhere the
// methods become a condition.
func (c *Conversion) methods(t Table) {
	named := []string{"OPTIONS", "any other"}
	steps := make([]step, len(t.Routes))
	for i, r := range t.Routes {
		steps[i] = step{hosts: r.Hosts, paths: r.Paths, conditional: len(r.When) > 0, policy: r.Policy}
		for _, v := range r.Methods {
			named = append(named, v.Text)
		}
	}
	named = Unique(named)
	if len(named) == 2 && !slices.ContainsFunc(t.Routes, func(r Route) bool { return len(r.Methods) > 0 }) {
		return
	}
	q := sequenceOf(steps)
	for i := range t.Routes {
		r := &t.Routes[i]
		if len(r.Methods) == 0 {
			continue
		}
		same, more := true, false
		var taken []Change // of routes whose requests this one takes without its methods
		for _, at := range steps[i].cells() {
			for _, method := range named {
				if r.accepts(method) {
					continue
				}
				for _, v := range c.after(q, i, at, func(j int) bool { return t.Routes[j].accepts(method) }) {
					switch answers := v.by < 0 || t.Routes[v.by].Replies; {
					case v.policy.Key() == r.Policy.Key():
						if v.by >= 0 {
							taken = append(taken, t.Routes[v.by].Changes...)
						}
					case answers && method != "OPTIONS":
						more = true
					default:
						same = false
					}
				}
			}
		}
		switch {
		case !same:
			what := "methods without OPTIONS, the method of a preflight"
			if r.accepts("OPTIONS") {
				what = "methods"
			}
			r.When = append(slices.Clone(r.When), Condition{what, r.Methods[0].At, "take the methods out, or give the routes that take the same hosts and paths the same policy"})
		case r.Policy != nil:
			if more {
				taken = append(taken, Change{MoreResponses, "the proxy's own answer to a method that no route takes, such as 404, also carries CORS headers"})
			}
			taken = slices.DeleteFunc(Unique(taken), func(c Change) bool { return slices.Contains(r.Changes, c) })
			WithChanges(t.Routes[i:i+1], taken...)
		}
		r.Methods = nil
		steps[i].conditional = len(r.When) > 0
	}
}

// Method adds methods that the match asks for, and Asks where they cannot be listed.
func (m Match) Method(node *yaml.Node, methods ...string) {
	if len(methods) == 0 || len(m.Methods) > 0 {
		m.Asks(node, "the method, and that of a preflight is OPTIONS", "list the methods, with OPTIONS, for requests of browsers")
		return
	}
	at := m.Object.At(node)
	for _, name := range methods {
		m.Methods = append(m.Methods, Value{name, at})
	}
}

var methodsInRegex = regexp.MustCompile(`^\^?\(?(?:\?:)?([A-Z]+(?:\|[A-Z]+)*)\)?\$?$`)

// RegexMethods are the methods of a regex such as "GET|POST"; none where it is another one.
func RegexMethods(regex string) []string {
	found := methodsInRegex.FindStringSubmatch(regex)
	if found == nil {
		return nil
	}
	return strings.Split(found[1], "|")
}

// headerMethods are those that a matcher of Envoy's header :method lists.
func headerMethods(matcher *yaml.Node) []string {
	if invert := Child(matcher, "invert_match"); invert != nil && Text(invert) != "false" {
		return nil
	}
	for _, path := range [][]string{{"exact_match"}, {"string_match", "exact"}} {
		if exact := Text(Child(matcher, path...)); exact != "" {
			return []string{exact}
		}
	}
	for _, path := range [][]string{{"safe_regex_match", "regex"}, {"string_match", "safe_regex", "regex"}, {"regex_match"}} {
		if regex := Text(Child(matcher, path...)); regex != "" {
			return RegexMethods(regex)
		}
	}
	return nil
}
