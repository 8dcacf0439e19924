// Package route finds the first rule that a request's host and path match, and
// decides which rules are never the first. It imports internal/automaton,
// internal/header and internal/origin, and is part of the module: Go 1.23, and a
// look-up allocates nothing.
package route

import (
	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
)

// Index holds the hosts and paths of rules, which are numbered from 0 in order. A look-up
// costs the length of the host and the path; it skips rules that have neither. It must not
// be changed while it is searched.
type Index struct {
	rules   int32
	anyHost list
	anyPath list
	hosts   origin.HostMap
	byHost  []list // of the hosts
	paths   pathMap
	byPath  []list // of the paths
	regexes list   // rules with a regex
	// automata are the regexes of each rule, up to the last rule with any.
	automata [][]*automaton.Automaton
	letters  int // how many texts of that kind there are

	links []link  // of lists while they are made
	order []int32 // of all lists, once they are
}

// list is a list of rules in order. While rules are added it is a chain of links, with the
// places of its first and last one, counted from 1. Seal makes it a part of the order, so
// that two lists can be searched together in large steps.
type list struct{ from, to int32 }

type link struct{ rule, next int32 }

// Reset removes everything, and makes room for the given numbers of hosts, of their bytes in
// total, and of paths.
func (x *Index) Reset(hosts, bytes, paths int) {
	x.hosts.Reset(hosts, bytes)
	x.paths.reset(paths)
	clear(x.automata)
	*x = Index{
		hosts: x.hosts, byHost: origin.Room(x.byHost, hosts), paths: x.paths, byPath: origin.Room(x.byPath, paths),
		automata: x.automata[:0], links: origin.Room(x.links, hosts+paths), order: x.order,
	}
}

// Next begins the next rule; what is added next belongs to it.
func (x *Index) Next() { x.rules++ }

// add appends the rule to a list, unless it is there already.
//
//go:noinline
func (x *Index) add(l *list) {
	rule := x.rules - 1
	if l.to > 0 && x.links[l.to-1].rule == rule {
		return
	}
	x.links = append(x.links, link{rule: rule})
	place := int32(len(x.links))
	if l.to > 0 {
		x.links[l.to-1].next = place
	} else {
		l.from = place
	}
	l.to = place
}

// AnyHost lets the rule apply to any host.
func (x *Index) AnyHost() { x.add(&x.anyHost) }

// Host lets the rule apply to a host, or to all hosts below one.
func (x *Index) Host(host string, below bool) {
	at := x.hosts.Index("", host, below)
	if at == len(x.byHost) {
		x.byHost = append(x.byHost, list{})
	}
	x.add(&x.byHost[at])
}

// AnyPath lets the rule apply to any path.
func (x *Index) AnyPath() { x.add(&x.anyPath) }

// Path lets the rule apply to the paths that a text means. For a Regex it is the text that
// Literal returns, and a call of Regexes must follow.
func (x *Index) Path(kind Kind, text string) {
	at := x.paths.index(text, kind)
	if at == len(x.byPath) {
		x.byPath = append(x.byPath, list{})
		if kind == Letters {
			x.letters++
		}
	}
	x.add(&x.byPath[at])
}

// Regexes are the automata of the rule's regexes, of whole paths.
func (x *Index) Regexes(automata []*automaton.Automaton) {
	for len(x.automata) < int(x.rules)-1 {
		x.automata = append(x.automata, nil)
	}
	x.automata = append(x.automata, automata)
	x.add(&x.regexes)
}

// Seal ends the adding of rules.
func (x *Index) Seal() {
	x.order = origin.Room(x.order, len(x.links))
	x.seal(&x.anyHost)
	x.seal(&x.anyPath)
	x.seal(&x.regexes)
	for i := range x.byHost {
		x.seal(&x.byHost[i])
	}
	for i := range x.byPath {
		x.seal(&x.byPath[i])
	}
}

//go:noinline
func (x *Index) seal(l *list) {
	from := int32(len(x.order))
	for at := l.from; at > 0; at = x.links[at-1].next {
		x.order = append(x.order, x.links[at-1].rule)
	}
	*l = list{from, int32(len(x.order))}
}

// Len is the number of rules.
func (x *Index) Len() int { return int(x.rules) }

// Find returns the first rule for the host (without port, in lower case) and the path
// (without query), or -1. It does not allocate.
func (x *Index) Find(host, path string) int {
	best := x.rules
	// The host's wildcards; there are hardly ever more.
	var lists [8]list
	lists[0] = x.anyHost
	n := 1
	for i, at := x.hosts.First("", host); i >= 0; i, at = x.hosts.Next("", host, at) {
		if n == len(lists) {
			best = x.match(path, lists[:], allKinds, best)
			n = 0
		}
		lists[n] = x.byHost[i]
		n++
	}
	if best = x.match(path, lists[:n], allKinds, best); best == x.rules {
		return -1
	}
	return int(best)
}

// match returns the first rule in the lists with an entry of these kinds for the path, or
// before if that is earlier.
func (x *Index) match(path string, hosts []list, among uint8, before int32) int32 {
	for i := range hosts {
		before = x.common(hosts[i], x.anyPath, before)
	}
	var c cursor
	for {
		entry := x.paths.next(&c, path, among)
		if entry < 0 {
			return before
		}
		if x.paths.entries[entry].kind == Regex {
			before = x.accepting(path, hosts, x.byPath[entry], before)
			continue
		}
		for i := range hosts {
			before = x.common(hosts[i], x.byPath[entry], before)
		}
	}
}

// accepting returns the first rule with a regex that accepts the path, as match does.
func (x *Index) accepting(path string, hosts []list, with list, before int32) int32 {
	for _, host := range hosts {
		for rest := with; ; {
			rule := x.meet(&host, &rest, before)
			if rule == before {
				break
			}
			if x.accepts(rule, path) {
				before = rule
				break
			}
			rest.from++
		}
	}
	return before
}

func (x *Index) accepts(rule int32, path string) bool {
	for _, a := range x.automata[rule] {
		if a.Match(path) {
			return true
		}
	}
	return false
}

// common returns the first rule that is in both lists, or before if that is earlier.
func (x *Index) common(a, b list, before int32) int32 { return x.meet(&a, &b, before) }

// meet is common, and shortens the lists to what follows from that rule on.
func (x *Index) meet(a, b *list, before int32) int32 {
	for a.from < a.to && b.from < b.to {
		r, s := x.order[a.from], x.order[b.from]
		switch {
		case r >= before || s >= before:
			return before
		case r < s:
			a.from = x.seek(a.from, a.to, s)
		case s < r:
			b.from = x.seek(b.from, b.to, r)
		default:
			return r
		}
	}
	return before
}

// seek returns the first place from from to to that has no rule before this one. from
// has one.
func (x *Index) seek(from, to, rule int32) int32 {
	step := int32(1)
	for from+step < to && x.order[from+step] < rule {
		from += step
		step *= 2
	}
	// It is after from, and not after from+step.
	for to = min(to, from+step); from+1 < to; {
		if middle := from + (to-from)/2; x.order[middle] < rule {
			from = middle
		} else {
			to = middle
		}
	}
	return to
}
