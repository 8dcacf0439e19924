package convert

import (
	"slices"
	"strings"

	"corsfilter/internal/automaton"
)

// Sets of hosts and paths. Each overlap may say yes where there is none, and each
// cover may say no where there is one: then a conversion is refused that could
// have been made, and never the other way round.

// HostsOverlap reports whether two patterns have a host in common; "" is any host.
func HostsOverlap(a, b string) bool { return HostCovers(a, b) || HostCovers(b, a) }

// HostCovers reports whether every host of b is one of a.
func HostCovers(a, b string) bool {
	if a == "" || a == b {
		return true
	}
	below, wildcard := strings.CutPrefix(a, "*")
	return wildcard && b != "" && strings.HasSuffix(b, below) && len(b) > len(below)
}

// ListOf returns the patterns of a list, "" for the one that is nil.
func ListOf(hosts []string) []string {
	if len(hosts) == 0 {
		return []string{""}
	}
	return hosts
}

func PathsOf(paths []Path) []Path {
	if len(paths) == 0 {
		return []Path{{Kind: AnyPath}}
	}
	return paths
}

// holds reports whether a path is in a set.
func (p Path) holds(path string) bool {
	switch p.Kind {
	case ExactPath:
		return path == p.Text
	case BelowPath:
		rest, ok := strings.CutPrefix(path, p.Text)
		return ok && (rest == "" || rest[0] == '/')
	case PrefixPath:
		return strings.HasPrefix(path, p.Text)
	case RegexPath:
		return p.set.Match(path)
	}
	return true
}

// stem is how the paths of a set begin, but for the text of a BelowPath itself; all that
// begin so are in it, where it is no ExactPath and no RegexPath.
func (p Path) stem() string {
	switch p.Kind {
	case BelowPath:
		return p.Text + "/"
	case RegexPath:
		return p.literal
	}
	return p.Text
}

// PathsOverlap reports whether two sets have a path in common.
func PathsOverlap(a, b Path) bool {
	if a.Kind == ExactPath || b.Kind == RegexPath && a.Kind != RegexPath {
		a, b = b, a
	}
	switch {
	case b.Kind == ExactPath:
		return a.holds(b.Text)
	case !strings.HasPrefix(a.stem(), b.stem()) && !strings.HasPrefix(b.stem(), a.stem()):
		return false
	case a.Kind == RegexPath && b.Kind == RegexPath:
		return finds(a.set, b.set, "/", func(a, b bool) bool { return a && b })
	case a.Kind == RegexPath:
		return a.set.After(a.set.Start(), b.stem()) != automaton.Dead || b.Kind == BelowPath && a.holds(b.Text)
	}
	return true
}

// PathCovers reports whether every path of b is one of a.
func PathCovers(a, b Path) bool {
	switch {
	case a.Kind == AnyPath:
		return true
	case b.Kind == ExactPath:
		return a.holds(b.Text)
	case a.Kind == ExactPath || b.Kind == AnyPath || !strings.HasPrefix(b.stem(), a.stem()) || b.Kind == BelowPath && !a.holds(b.Text):
		return false
	case a.Kind == RegexPath && b.Kind == RegexPath:
		return a.Text == b.Text || !finds(a.set, b.set, "/", func(a, b bool) bool { return b && !a })
	case a.Kind == RegexPath:
		return !finds(a.set, nil, b.stem(), func(a, _ bool) bool { return !a })
	}
	return true
}

// maxPairs bounds how many pairs of states two automata have.
const maxPairs = 1 << 20

// finds reports whether there is a path behind some text of which two automata say what
// is looked for, or may be one. Where b is dead, or is none and accepts all, it has
// nothing to say.
func finds(a, b *automaton.Automaton, behind string, what func(a, b bool) bool) bool {
	type states struct{ a, b automaton.State }
	at, width := states{a: a.After(a.Start(), behind)}, 1
	if b != nil {
		at.b, width = b.After(b.Start(), behind), b.Len()
	}
	if a.Len()*width > maxPairs {
		return true
	}
	seen, open := make([]bool, a.Len()*width), []states{at}
	for len(open) > 0 {
		at, open = open[len(open)-1], open[:len(open)-1]
		if what(a.Accepts(at.a), b == nil || b.Accepts(at.b)) {
			return true
		}
		for c := byte('!'); c <= '~'; c++ { // what proxies accept in a path
			next := states{a: a.Next(at.a, c)}
			if b != nil {
				next.b = b.Next(at.b, c)
			}
			if known := &seen[int(next.a)*width+int(next.b)]; !*known && c != '?' && c != '#' && (b == nil || next.b != automaton.Dead) {
				*known = true
				open = append(open, next)
			}
		}
	}
	return false
}

// cell is one host pattern with one path.
type cell struct {
	host string
	path Path
}

// step is what a route and a rule have in common.
type step struct {
	hosts       []string
	paths       []Path
	conditional bool
	gone        bool // decides nothing any more
	policy      *Policy
	set         *hostSet // of the hosts, once it is asked for
}

func (s *step) overlaps(c cell) bool {
	return !s.gone && s.named().overlaps(c.host) && slices.ContainsFunc(PathsOf(s.paths), func(p Path) bool { return PathsOverlap(p, c.path) })
}

// named are the step's hosts.
func (s *step) named() *hostSet {
	if s.set == nil {
		s.set = setOf(s.hosts)
	}
	return s.set
}

func (s *step) covers(c cell) bool {
	return s.named().covers(c.host) && slices.ContainsFunc(PathsOf(s.paths), func(p Path) bool { return PathCovers(p, c.path) })
}

// hostSet is a list of host patterns, to be asked for many hosts.
type hostSet struct {
	any   bool
	exact map[string]bool
	wild  []string
}

func setOf(hosts []string) *hostSet {
	s := &hostSet{any: len(hosts) == 0, exact: map[string]bool{}}
	for _, h := range hosts {
		switch {
		case h == "":
			s.any = true
		case h[0] == '*':
			s.wild = append(s.wild, h)
		default:
			s.exact[h] = true
		}
	}
	return s
}

func (s *hostSet) covers(host string) bool {
	return s.any || s.exact[host] || slices.ContainsFunc(s.wild, func(w string) bool { return HostCovers(w, host) })
}

func (s *hostSet) overlaps(host string) bool {
	if host == "" || s.covers(host) {
		return true
	}
	if host[0] == '*' {
		for h := range s.exact {
			if HostCovers(host, h) {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.wild, func(w string) bool { return HostsOverlap(w, host) })
}

// sequence are steps in their order, found by the hosts that they name.
type sequence struct {
	steps   []step
	byHost  map[string][]int
	general []int // those for a wildcard, or for any host
}

func sequenceOf(steps []step) *sequence {
	q := &sequence{steps: steps, byHost: map[string][]int{}}
	var last []string
	var set *hostSet
	for i := range steps {
		s := &steps[i]
		if set == nil || !slices.Equal(last, s.hosts) { // routes of one virtual host follow each other
			last, set = s.hosts, setOf(s.hosts)
		}
		s.set = set
		if set.any || len(set.wild) > 0 {
			q.general = append(q.general, i)
		}
		for h := range set.exact {
			q.byHost[h] = append(q.byHost[h], i)
		}
	}
	return q
}

// from calls visit for the steps from i on that may take a host, in their order,
// until it returns false.
func (q *sequence) from(i int, host string, visit func(j int) bool) {
	if host == "" || host[0] == '*' {
		for j := i; j < len(q.steps) && visit(j); j++ {
		}
		return
	}
	own, general := q.byHost[host], q.general
	a, _ := slices.BinarySearch(own, i)
	b, _ := slices.BinarySearch(general, i)
	for a < len(own) || b < len(general) {
		j := 0
		switch {
		case b == len(general) || a < len(own) && own[a] < general[b]:
			j = own[a]
			a++
		default:
			if j = general[b]; a < len(own) && own[a] == j {
				a++
			}
			b++
		}
		if !visit(j) {
			return
		}
	}
}

func (s step) cells() (all []cell) {
	for _, h := range ListOf(s.hosts) {
		for _, p := range PathsOf(s.paths) {
			all = append(all, cell{h, p})
		}
	}
	return all
}

// HostRank is how closely a pattern matches: 0 a name, 1 a wildcard, 2 any.
func HostRank(host string) int {
	switch {
	case host == "":
		return 2
	case host[0] == '*':
		return 1
	}
	return 0
}

// HostList is the list of one host; "" is any.
func HostList(host string) []string {
	if host == "" {
		return nil
	}
	return []string{host}
}

// Intersect returns the hosts that are in both lists; "" is any.
func Intersect(some, others []string) (both []string) {
	for _, a := range ListOf(some) {
		within := []string{}
		for _, b := range ListOf(others) {
			if HostCovers(b, a) {
				within = []string{a}
				break
			}
			if HostCovers(a, b) {
				within = append(within, b)
			}
		}
		both = append(both, within...)
	}
	return both
}
