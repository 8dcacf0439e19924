package traefik

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"corsfilter/internal/automaton"
	"corsfilter/internal/convert"
)

// Rules of Traefik's routers, as pkg/rules and pkg/muxer/http read them at release
// 3.7.9: an expression in Go's syntax of calls, &&, || and !.

// maxBranches is how many alternatives a rule may have, written out.
const maxBranches = 256

// traefikTerm is one call of a rule.
type traefikTerm struct {
	matcher string
	args    []string
	not     bool
}

func (t traefikTerm) String() string {
	text := t.matcher + "(`" + strings.Join(t.args, "`, `") + "`)"
	if t.not {
		return "!" + text
	}
	return text
}

// traefikMatchers are the matchers of both syntaxes. Each may be written in lower
// case, in upper case, or with a capital first letter.
var traefikMatchers = []string{"Host", "HostHeader", "HostRegexp", "Path", "PathPrefix", "PathRegexp", "Method", "Header", "HeaderRegexp", "Headers", "HeadersRegexp", "Query", "QueryRegexp", "ClientIP"}

// traefikBranches writes a rule as alternatives, each a list of terms that hold
// together.
func traefikBranches(rule string) ([][]traefikTerm, error) {
	if len(rule) > 16<<10 {
		return nil, fmt.Errorf("the rule is longer than 16 KiB")
	}
	e, err := parser.ParseExpr(rule)
	if err != nil {
		return nil, fmt.Errorf("the rule cannot be parsed: %w", err)
	}
	return traefikWalk(e, false)
}

func traefikWalk(e ast.Expr, not bool) ([][]traefikTerm, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return traefikWalk(e.X, not)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return traefikWalk(e.X, !not)
		}
	case *ast.BinaryExpr:
		if e.Op != token.LAND && e.Op != token.LOR {
			break
		}
		left, err := traefikWalk(e.X, not)
		if err != nil {
			return nil, err
		}
		right, err := traefikWalk(e.Y, not)
		if err != nil {
			return nil, err
		}
		if (e.Op == token.LOR) != not {
			left = append(left, right...)
		} else {
			var both [][]traefikTerm
			for _, l := range left {
				for _, r := range right {
					if both = append(both, slices.Concat(l, r)); len(both) > maxBranches {
						break
					}
				}
			}
			left = both
		}
		if len(left) > maxBranches {
			return nil, fmt.Errorf("the rule has more than %d alternatives", maxBranches)
		}
		return left, nil
	case *ast.CallExpr:
		return traefikCall(e, not)
	}
	return nil, fmt.Errorf("the rule has something other than matchers, !, && and ||")
}

func traefikCall(e *ast.CallExpr, not bool) ([][]traefikTerm, error) {
	name, ok := e.Fun.(*ast.Ident)
	if !ok {
		return nil, fmt.Errorf("the rule calls something that is not a matcher")
	}
	i := slices.IndexFunc(traefikMatchers, func(m string) bool { return strings.EqualFold(m, name.Name) })
	if i < 0 {
		return nil, fmt.Errorf("%s is not a matcher of Traefik's rules", name.Name)
	}
	term := traefikTerm{matcher: traefikMatchers[i], not: not}
	for _, arg := range e.Args {
		literal, ok := arg.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return nil, fmt.Errorf("%s takes strings", term.matcher)
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil || text == "" {
			return nil, fmt.Errorf("%s has no value", term.matcher)
		}
		term.args = append(term.args, text)
	}
	if len(term.args) == 0 {
		return nil, fmt.Errorf("%s has no value", term.matcher)
	}
	return [][]traefikTerm{{term}}, nil
}

// traefikHost is a pattern of hosts; of one with a wildcard, one says that the
// wildcard is one label.
type traefikHost struct {
	pattern string
	one     bool
}

func (h traefikHost) covers(other traefikHost) bool {
	if h.one && other.pattern != h.pattern && strings.Count(other.pattern, ".") != strings.Count(h.pattern, ".") {
		return false
	}
	return convert.HostCovers(h.pattern, other.pattern) && (!h.one || other.pattern != h.pattern || other.one)
}

// traefikMatch is a route's match in the making.
type traefikMatch struct {
	hosts []traefikHost // nil is any
	paths []convert.Path
	when  []convert.Condition
	// methods are those that it takes; nil is any.
	methods []convert.Value
	// but are what it leaves out: the matches of terms that are negated.
	but []traefikMatch
}

// patterns are those of hosts.
func patterns(hosts []traefikHost) (all []string) {
	for _, h := range hosts {
		all = append(all, h.pattern)
	}
	return all
}

// narrowHosts keeps what is in both; false: nothing is.
func (m *traefikMatch) narrowHosts(hosts []traefikHost) bool {
	if m.hosts == nil {
		m.hosts = hosts
		return true
	}
	var both []traefikHost
	for _, a := range m.hosts {
		for _, b := range hosts {
			switch {
			case a.covers(b):
				both = append(both, b)
			case b.covers(a):
				both = append(both, a)
			}
		}
	}
	m.hosts = both
	return len(both) > 0
}

// narrowPaths keeps what is in both; false: nothing is.
func (m *traefikMatch) narrowPaths(paths []convert.Path, at convert.Place) bool {
	if len(paths) == 0 {
		return true
	}
	if m.paths == nil {
		m.paths = paths
		return true
	}
	for _, a := range m.paths {
		for _, b := range paths {
			if convert.PathsOverlap(a, b) && !convert.PathCovers(a, b) && !convert.PathCovers(b, a) {
				m.when = append(m.when, convert.Condition{What: "two paths at once", At: at})
			}
		}
	}
	m.paths = bothPaths(m.paths, paths)
	return len(m.paths) > 0
}

// bothPaths are the paths of what is in both, nil where nothing is. Where two have
// something in common and neither is all of the other, it is more.
func bothPaths(some, others []convert.Path) (both []convert.Path) {
	for _, a := range convert.PathsOf(some) {
		for _, b := range convert.PathsOf(others) {
			switch {
			case convert.PathCovers(a, b):
				both = append(both, b)
			case convert.PathsOverlap(a, b):
				both = append(both, a)
			}
		}
	}
	return both
}

// regex are the paths of one, with what else it asks for.
func (m *traefikMatch) regex(regex string, at convert.Place) []convert.Path {
	made := convert.Route{}
	convert.Match{Route: &made}.Regex(regex, at)
	m.when = append(m.when, made.When...)
	return made.Paths
}

// inBraces is a name in a template of version 2.
var inBraces = regexp.MustCompile(`\{[a-zA-Z]\w*[:}]`)

// isVersion2 reports whether a rule is written in the syntax of Traefik 2, which
// version 3 refuses, or takes for something that no request has.
func isVersion2(branches [][]traefikTerm) bool {
	return slices.ContainsFunc(branches, func(terms []traefikTerm) bool {
		return slices.ContainsFunc(terms, func(t traefikTerm) bool {
			switch t.matcher {
			case "HostHeader", "Headers", "HeadersRegexp":
				return true
			case "Host", "Path", "PathPrefix", "HostRegexp", "Method":
				return len(t.args) > 1 || inBraces.MatchString(t.args[0])
			}
			return false
		})
	})
}

// match translates terms that hold together; false: nothing matches them.
func matchOf(r convert.Reader, terms []traefikTerm, v2 bool, at convert.Place) (m traefikMatch, ok bool) {
	when := func(what, remedy string) {
		m.when = append(m.when, convert.Condition{What: what, At: at, Remedy: remedy})
	}
	for _, t := range terms {
		if t.not {
			t.not = false
			out, ok := matchOf(r, []traefikTerm{t}, v2, at)
			switch {
			case !ok: // leaves nothing out
			case len(out.when)+len(out.methods) > 0 || slices.ContainsFunc(out.hosts, func(h traefikHost) bool { return h.one }):
				when("!"+t.String()+", everything else", "write a router for what is left out, with a greater priority, and take that out")
			default:
				m.but = append(m.but, out)
			}
			continue
		}
		fits := true
		switch t.matcher {
		case "Host", "HostHeader":
			hosts := []traefikHost{}
			for _, arg := range t.args {
				host := strings.TrimSuffix(strings.ToLower(arg), ".")
				if host == "*" && !v2 {
					hosts = nil
					break
				}
				if v2 && strings.Contains(host, "*") { // no wildcard there, and no host
					continue
				}
				hosts = append(hosts, traefikHost{host, strings.HasPrefix(host, "*.") && !v2})
			}
			if hosts != nil {
				fits = m.narrowHosts(hosts)
			}
		case "HostRegexp":
			var hosts []traefikHost
			for _, arg := range t.args {
				regex := convert.WholeRegex(arg, false)
				if v2 {
					regex = traefikTemplate(arg, "[^.]+")
				}
				own, plain := traefikHosts(regex)
				if !plain {
					when(fmt.Sprintf("the regex %q of the host", arg), "write the hosts, or a wildcard in front such as *.example.com")
					hosts = nil
					break
				}
				hosts = append(hosts, own...)
			}
			if hosts != nil {
				fits = m.narrowHosts(hosts)
			}
		case "Path", "PathPrefix":
			var paths []convert.Path
			for _, arg := range t.args {
				kind, end := convert.ExactPath, ""
				if t.matcher == "PathPrefix" {
					kind, end = convert.PrefixPath, ".*"
				}
				if v2 && strings.Contains(arg, "{") {
					paths = append(paths, m.regex(traefikTemplate(arg, "[^/]+")+end, at)...)
					continue
				}
				paths = append(paths, convert.Path{Kind: kind, Text: arg, At: at})
			}
			fits = m.narrowPaths(paths, at)
		case "PathRegexp":
			fits = m.narrowPaths(m.regex(convert.WholeRegex(t.args[0], false), at), at)
		case "Method":
			var methods []convert.Value
			for _, arg := range t.args {
				if name := strings.ToUpper(arg); len(m.methods) == 0 || slices.ContainsFunc(m.methods, func(v convert.Value) bool { return v.Text == name }) {
					methods = append(methods, convert.Value{Text: name, At: at})
				}
			}
			m.methods, fits = methods, len(methods) > 0
		case "Query", "QueryRegexp":
			when(fmt.Sprintf(convert.Query, t.args[0]), "")
		case "ClientIP":
			when("the client's address", "")
		default:
			when(fmt.Sprintf(convert.Header, t.args[0]), "")
		}
		if !fits {
			return m, false
		}
	}
	return m, true
}

// traefikTemplate writes a template of version 2, such as "{name:[a-z]+}.example",
// as a regex; a name alone stands for what otherwise says.
func traefikTemplate(template, otherwise string) string {
	var b strings.Builder
	for rest := template; ; {
		before, after, found := strings.Cut(rest, "{")
		b.WriteString(regexp.QuoteMeta(before))
		if !found {
			return b.String()
		}
		depth, end := 1, 0
		for ; end < len(after) && depth > 0; end++ {
			switch after[end] {
			case '{':
				depth++
			case '}':
				depth--
			}
		}
		inner := strings.TrimSuffix(after[:end], "}")
		if _, regex, ok := strings.Cut(inner, ":"); ok {
			b.WriteString("(?:" + regex + ")")
		} else {
			b.WriteString(otherwise)
		}
		rest = after[end:]
	}
}

// traefikHosts writes a regex of the whole host as patterns, where it is one in
// disguise: few hosts, or labels in front of few.
func traefikHosts(regex string) (hosts []traefikHost, ok bool) {
	re, err := syntax.Parse(regex, syntax.Perl)
	if err != nil || len(regex) > 1000 {
		return nil, false
	}
	wildcard, one := "", false
	if re.Op == syntax.OpConcat {
		first := re.Sub[0]
		for first.Op == syntax.OpCapture {
			first = first.Sub[0]
		}
		repeats := first.Op == syntax.OpPlus || first.Op == syntax.OpStar
		switch {
		case repeats && (first.Sub[0].Op == syntax.OpAnyChar || first.Sub[0].Op == syntax.OpAnyCharNotNL):
			wildcard = "*"
		case first.Op == syntax.OpPlus && (first.Sub[0].String() == `[^.]` || isLabel(first.Sub[0])):
			wildcard, one = "*", true
		}
		if wildcard != "" {
			re = &syntax.Regexp{Op: syntax.OpConcat, Sub: re.Sub[1:]}
		}
	}
	texts, few := textsOf(re.String())
	if !few {
		return nil, false
	}
	for _, text := range texts {
		if wildcard != "" && !strings.HasPrefix(text, ".") || text == "" {
			return nil, false
		}
		hosts = append(hosts, traefikHost{wildcard + strings.ToLower(text), one})
	}
	return hosts, true
}

// isLabel reports whether a class takes every letter that a label has, and no dot.
func isLabel(re *syntax.Regexp) bool {
	if re.Op != syntax.OpCharClass {
		return false
	}
	class, err := regexp.Compile(`\A` + re.String() + `\z`)
	if err != nil || class.MatchString(".") {
		return false
	}
	for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789-" {
		if !class.MatchString(string(c)) {
			return false
		}
	}
	return true
}

// maxTexts is how many hosts a regex may stand for, to be written as such, and maxHost how
// long they are.
const (
	maxTexts = 64
	maxHost  = 253
)

// textsOf returns all texts that a regex matches as a whole; false where they are more
// than a few.
func textsOf(regex string) (all []string, few bool) {
	var b automaton.Builder
	a, err := b.Regex(regex, false)
	few = err == nil
	var add func(s automaton.State, text []byte)
	add = func(s automaton.State, text []byte) {
		if a.Accepts(s) {
			all = append(all, string(text))
		}
		few = few && len(all) <= maxTexts && len(text) <= maxHost
		for c := byte(0); few && c < 0x80; c++ {
			if next := a.Next(s, c); next != automaton.Dead {
				add(next, append(text, c))
			}
		}
	}
	if few {
		add(a.Start(), nil)
	}
	return all, few
}
