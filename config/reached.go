package config

import (
	"strings"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
	"corsfilter/internal/route"
)

// reached is the memory for finding rules that no request reaches.
type reached struct {
	clear    []bool                 // by rule: there is no mistake in its hosts and paths
	automata []*automaton.Automaton // of all regexes in their order, nil for a mistake
	cover    route.Cover

	row   []route.RuleSet // who takes which of a rule's paths, on the hosts at hand
	paths []takenPath     // of the rule's paths, on hosts that are not taken as a whole
	hosts []takenHost     // of the rule's hosts
}

// takenPath says on how many of a rule's hosts earlier rules take a path, which host is the
// first of them, and which rules.
type takenPath struct {
	hosts, first int
	by           route.RuleSet
}

// takenHost is one of a rule's hosts whose requests earlier rules take completely.
type takenHost struct {
	index int
	by    route.RuleSet
}

func (r *reached) reset() {
	clear(r.automata)
	r.clear, r.automata = r.clear[:0], r.automata[:0]
}

// checkReached refuses rules that no request reaches, because earlier rules take their hosts
// and paths, and warns of single hosts and paths for which that is so. It reports nothing
// that takes too long to decide.
func (p *parser) checkReached(rules []SourceRule) {
	r := &p.reached
	r.cover.Begin(&p.config.index)
	automata := r.automata
	for i := range rules {
		if r.clear[i] && i > 0 {
			p.checkRule(rules, i, automata)
		}
		for j := range rules[i].Paths {
			if rules[i].Paths[j].Regex {
				automata = automata[1:]
			}
		}
	}
}

// checkRule checks one rule, whose regexes come first in the list.
func (p *parser) checkRule(rules []SourceRule, rule int, automata []*automaton.Automaton) {
	r, e := &p.reached, &rules[rule]
	hosts := max(len(e.Hosts), 1)
	r.hosts, r.paths = r.hosts[:0], origin.Room(r.paths, max(len(e.Paths), 1))
	for range max(len(e.Paths), 1) {
		r.paths = append(r.paths, takenPath{})
	}
	asterisk := false
	some, _ := r.lookFor(e, rule, 0)
	for i := 0; i < hosts; {
		// Hosts that the same earlier rules have are handled together.
		group, verdict := some, route.Open
		if group {
			verdict = r.fillRow(e, automata)
			asterisk = asterisk || verdict == route.Asterisk
		}
		if r.cover.Exhausted() {
			return
		}
		from, same := i, true
		for i++; i < hosts && same; i++ {
			if some, same = r.lookFor(e, rule, i); !same {
				break
			}
		}
		switch {
		case !group:
		case verdict == route.Open:
			for j, by := range r.row {
				if by.Len > 0 {
					r.paths[j].add(from, i-from, by)
				}
			}
		default:
			var all route.RuleSet
			for _, by := range r.row {
				all.Join(by)
			}
			for ; from < i; from++ {
				r.hosts = append(r.hosts, takenHost{from, all})
			}
		}
	}
	if len(r.hosts) == hosts {
		p.sayUnreachable(rules, rule, asterisk)
		return
	}
	for _, h := range r.hosts {
		p.sayTaken(rules, rule, h.by, e.Hosts[h.index].place, quote(e.Hosts[h.index].Value), "")
	}
	for j, taken := range r.paths {
		if taken.hosts == 0 || len(e.Paths) == 0 {
			continue
		}
		path, on := &e.Paths[j], ""
		if others := taken.hosts - 1; others+1+len(r.hosts) < hosts {
			on = " on " + quote(e.Hosts[taken.first].Value)
			if others > 0 {
				on += " and " + count(others, "host") + " more"
			}
		}
		text := path.quoted()
		p.sayTaken(rules, rule, taken.by, path.place, text, on)
	}
}

func (t *takenPath) add(first, hosts int, by route.RuleSet) {
	if t.hosts == 0 {
		t.first = first
	}
	t.hosts += hosts
	t.by.Join(by)
}

// lookFor looks for earlier rules that also have a rule's i-th host.
func (r *reached) lookFor(e *SourceRule, rule, i int) (some, same bool) {
	if len(e.Hosts) == 0 {
		return r.cover.Host(rule, "*")
	}
	return r.cover.Host(rule, strings.TrimSuffix(strings.ToLower(e.Hosts[i].Value), "."))
}

// fillRow finds out which earlier rules take which of a rule's paths, on the host that was
// looked for, and what remains.
func (r *reached) fillRow(e *SourceRule, automata []*automaton.Automaton) (left route.Verdict) {
	r.row, left = r.row[:0], route.Taken
	note := func(v route.Verdict) {
		by := r.cover.By
		if v == route.Open {
			by = route.RuleSet{}
		}
		r.row, left = append(r.row, by), min(left, v)
	}
	if len(e.Paths) == 0 {
		note(r.cover.AnyPath())
	}
	for i := range e.Paths {
		switch path := &e.Paths[i]; {
		case r.cover.Exhausted():
			return route.Open
		case path.Regex:
			note(r.cover.Regex(automata[0]))
			automata = automata[1:]
		default:
			note(r.cover.Path(textOfPath(path.Value)))
		}
	}
	return left
}

// sayUnreachable reports that earlier rules take all of a rule, except perhaps OPTIONS *.
func (p *parser) sayUnreachable(rules []SourceRule, rule int, asterisk bool) {
	e := &rules[rule]
	if (asterisk && p.warnings.skip(e.place)) || (!asterisk && p.mistakes.skip(e.place)) {
		return
	}
	var all route.RuleSet
	for _, h := range p.reached.hosts {
		all.Join(h.by)
	}
	who, first := before(rules, all, "before it takes all of its hosts and paths", "before it take all of its hosts and paths")
	if asterisk {
		p.warn(e.place, "", Covered, "nothing but OPTIONS * reaches it: "+who, "move "+e.path()+" before "+first+", or leave it out")
		return
	}
	p.fail(e.place, "", Unreachable, "no request reaches it: "+who, "move "+e.path()+" before "+first+", or leave it out")
}

// sayTaken reports that earlier rules take all requests for a host or a path of a rule.
func (p *parser) sayTaken(rules []SourceRule, rule int, by route.RuleSet, at place, value, on string) {
	if p.warnings.skip(at) {
		return
	}
	who, first := before(rules, by, "before it takes all requests for it"+on, "before it take all requests for it"+on)
	p.warn(at, value, Covered, who, "move "+rules[rule].path()+" before "+first+", or leave this out")
}

// before names rules that do something, and the first of them by its path alone.
func before(rules []SourceRule, by route.RuleSet, does, do string) (who, first string) {
	for i, rule := range by.Rules[:by.Len] {
		e := &rules[rule]
		switch {
		case i == 0:
			first = e.path()
		case i == by.Len-1 && !by.More:
			who += " and "
		default:
			who += ", "
		}
		who += e.path()
		if e.Name.Value != "" {
			who += " " + quote(e.Name.Value)
		}
	}
	switch {
	case by.More:
		who += " and others " + do
	case by.Len > 1:
		who += " " + do
	default:
		who += " " + does
	}
	return who, first
}

// takenByRules reports whether rules take all requests, except perhaps OPTIONS *.
func (p *parser) takenByRules(s *Source) bool {
	p.reached.cover.Host(len(s.Rules), "*")
	return p.reached.cover.AnyPath() != route.Open
}

// warnDefaultTaken warns of settings at the top level that no request gets.
func (p *parser) warnDefaultTaken(s *Source) {
	if len(s.Rules) == 0 || !p.takenByRules(s) {
		return
	}
	who, _ := before(s.Rules, p.reached.cover.By, "takes all requests", "take all requests")
	p.warn(s.rules, "", Covered, "the settings at the top level never apply: "+who, "leave them out, or narrow the hosts or paths of a rule")
}

// noteLeftAlone notes what happens to requests that no rule takes, if there are any and there
// is no policy for them.
func (p *parser) noteLeftAlone(s *Source) {
	if !p.takenByRules(s) {
		p.notes.add(s.rules, "", LeftAlone, "requests that no rule takes are left alone, including the CORS headers that upstream sends", `add "allow_origins": [] at the top level to close them`)
	}
}
