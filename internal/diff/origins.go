package diff

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
	"corsfilter/internal/reach"
)

// origins is a list of origins, compiled and split up.
type origins struct {
	*config.Origins
	exact map[string]string // those that are named one by one, and the entry as it is written
	wide  []wide
}

// wide is an entry that matches many origins.
type wide struct {
	written   string
	automaton *automaton.Automaton
}

// nobody is the list of a policy that decides nothing.
var nobody = &origins{Origins: &config.Origins{}}

// everyone accepts what any pattern does.
const everyone = `(?s:.*)`

// originsOf splits up a list. Lists that are written alike share the result.
func (c *comparer) originsOf(list []config.SourceOrigin, compiled *config.Origins) *origins {
	var key strings.Builder
	for _, e := range list {
		key.WriteString(Written(e) + "\x00")
	}
	if known, ok := c.lists[key.String()]; ok {
		return known
	}
	o := &origins{Origins: compiled, exact: map[string]string{}}
	c.lists[key.String()] = o
	if compiled.Any {
		a, err := c.builder.Regex(everyone, false)
		if c.fails("*", err) {
			return o
		}
		o.wide = []wide{{"*", a}}
		return o
	}
	var parser origin.PatternParser
	for _, e := range list {
		if e.Value == "null" && (e.Kind == config.Pattern || e.Kind == config.Exact) {
			continue
		}
		regex, part := e.Value, false
		switch e.Kind {
		case config.Pattern, config.Exact:
			p, err := parser.Parse(e.Value)
			if c.fails(e.Value, err) {
				continue
			}
			if texts := single(p); texts != nil {
				for _, text := range texts {
					o.exact[text] = Written(e)
				}
				continue
			}
			regex = regexOf(p)
		case config.Prefix, config.Suffix, config.Contains:
			part = true
		}
		a, err := c.builder.Regex(regex, e.IgnoreCase)
		if part {
			a, err = c.builder.Part(e.Value, e.Kind != config.Prefix, e.Kind != config.Suffix, e.IgnoreCase)
		}
		if !c.fails(Written(e), err) {
			o.wide = append(o.wide, wide{Written(e), a})
		}
	}
	return o
}

// Written is an entry as messages show it.
func Written(e config.SourceOrigin) string {
	if e.Kind == config.Pattern || e.Kind == config.Exact {
		return strings.ToLower(e.Value)
	}
	text := "{" + e.Kind.String() + ": " + strconv.Quote(e.Value)
	if e.IgnoreCase {
		text += ", ignore_case"
	}
	return text + "}"
}

// single are the origins that a pattern names; nil if it matches many.
func single(p origin.Pattern) (texts []string) {
	if p.Subdomains || p.AnyHost() || p.AnyPort {
		return nil
	}
	for _, port := range p.Ports {
		text := p.Scheme + "://" + p.Host
		if port != 0 {
			text += ":" + strconv.Itoa(int(port))
		}
		texts = append(texts, text)
	}
	return texts
}

// regexOf says what a pattern accepts, of well-formed origins.
func regexOf(p origin.Pattern) string {
	host := regexp.QuoteMeta(p.Host)
	switch {
	case p.AnyHost():
		host = `(\[[^\]]*\]|[^:\[\]]*)`
	case p.Subdomains:
		host = `[^:\[\]]+\.` + host
	}
	ports := []string{}
	for _, port := range p.Ports {
		if port == 0 {
			ports = append(ports, "")
		} else {
			ports = append(ports, ":"+strconv.Itoa(int(port)))
		}
	}
	if p.AnyPort {
		ports = []string{`(:\d+)?`}
	}
	return regexp.QuoteMeta(p.Scheme+"://") + host + "(" + strings.Join(ports, "|") + ")"
}

// part is what one list allows and another does not.
type part struct {
	entries []string // that allow it
	witness string   // the shortest of its origins; "" where there are none but what is no origin
	owners  string   // how many registrable domains they are of; "" of none
	some    bool
	any     bool // "*" is in it, which is for requests without a well-formed origin as well
}

// without returns what list a allows and b does not.
func (c *comparer) without(a, b *origins) (p part) {
	if a == b || b.Any {
		return part{}
	}
	if known, ok := c.parts[[2]*origins{a, b}]; ok {
		return known
	}
	domains, most := map[string]bool{}, 0
	add := func(entry, witness string) {
		p.some = true
		if !slices.Contains(p.entries, entry) {
			p.entries = append(p.entries, entry)
		}
		if better(witness, p.witness) {
			p.witness = witness
		}
	}
	p.any = a.Any
	if a.Null && !b.Null {
		add("null", "null")
	}
	for text, entry := range a.exact {
		if b.Match(text) != config.Matches {
			add(entry, text)
			domains[reach.Owner(text)] = true
		}
	}
	for i := range a.wide {
		w := &a.wide[i]
		rest := c.subtract(w, b)
		if rest == nil {
			continue
		}
		found, witness := c.explore(w.written, rest)
		for _, d := range found.Domains {
			domains[d.Name] = true
		}
		// Numbers below 0 are of more than can be counted, the largest of most.
		if n := found.Count; n < 0 && (most >= 0 || n > most) || most >= 0 && n > max(most, reach.MaxDomains) {
			most = n
		}
		if witness != "" {
			add(w.written, witness)
		}
	}
	if most >= 0 {
		most = max(most, len(domains))
	}
	if most != 0 {
		p.owners = (&reach.Reach{Count: most}).Owners()
	}
	if p.any {
		p.some, p.owners, p.entries = true, "every page there is", []string{"*"}
	}
	slices.Sort(p.entries)
	c.parts[[2]*origins{a, b}] = p
	return p
}

// explore says what an automaton accepts, and the shortest origin of that; "" where
// there is none.
func (c *comparer) explore(entry string, a *automaton.Automaton) (found reach.Reach, witness string) {
	found, err := c.explorer.Explore(a, func(string) bool { return false })
	if c.fails(entry, err) {
		return found, ""
	}
	witness = found.Unintended
	for _, d := range found.Domains {
		if better(d.Example, witness) {
			witness = d.Example
		}
	}
	return found, witness
}

// better reports whether an origin is a better example than another one: https, or
// shorter.
func better(x, y string) bool {
	rank := func(s string) int {
		switch {
		case strings.HasPrefix(s, "https://"):
			return 0
		case strings.HasPrefix(s, "http://"):
			return 1
		case s == "null":
			return 3
		}
		return 2
	}
	return x != "" && (y == "" || cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(len(x), len(y)), cmp.Compare(x, y)) < 0)
}

// subtract returns the part of an entry that a list does not allow; nil if there is
// none.
func (c *comparer) subtract(w *wide, b *origins) *automaton.Automaton {
	for i := range b.wide {
		if b.wide[i].written == w.written {
			return nil
		}
	}
	rest := w.automaton
	take := func(a *automaton.Automaton, err error) bool {
		if err == nil {
			a, err = c.builder.Difference(rest, a)
		}
		if c.fails(w.written, err) {
			return false
		}
		rest = a
		return true
	}
	for i := range b.wide {
		if !take(b.wide[i].automaton, nil) {
			return nil
		}
	}
	for text := range b.exact {
		if rest.Match(text) && !take(c.builder.Part(text, false, false, false)) {
			return nil
		}
	}
	if rest.Start() == automaton.Dead {
		return nil
	}
	return rest
}

// shared returns an origin that both lists allow; "" where there is none.
func (c *comparer) shared(a, b *origins) (witness string) {
	if known, ok := c.both[[2]*origins{a, b}]; ok {
		return known
	}
	defer func() { c.both[[2]*origins{a, b}] = witness }()
	for _, lists := range [][2]*origins{{a, b}, {b, a}} {
		for text := range lists[0].exact {
			if lists[1].Match(text) == config.Matches && better(text, witness) {
				witness = text
			}
		}
	}
	for i := 0; i < len(a.wide) && witness == ""; i++ {
		for j := 0; j < len(b.wide) && witness == ""; j++ {
			both, err := c.builder.Intersection(a.wide[i].automaton, b.wide[j].automaton)
			if c.fails(a.wide[i].written, err) || both.Start() == automaton.Dead {
				continue
			}
			_, witness = c.explore(a.wide[i].written, both)
		}
	}
	if witness == "" && a.Match("null") == config.Matches && b.Match("null") == config.Matches {
		witness = "null"
	}
	return witness
}
