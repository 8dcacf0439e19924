package convert

import (
	"slices"
	"strings"
)

// Sets of hosts and paths. Each overlap may say yes where there is none, and each
// cover may say no where there is one: then a conversion is refused that could
// have been made, and never the other way round.

// hostsOverlap reports whether two patterns have a host in common; "" is any host.
func hostsOverlap(a, b string) bool { return hostCovers(a, b) || hostCovers(b, a) }

// hostCovers reports whether every host of b is one of a.
func hostCovers(a, b string) bool {
	if a == "" || a == b {
		return true
	}
	below, wildcard := strings.CutPrefix(a, "*")
	return wildcard && b != "" && strings.HasSuffix(b, below) && len(b) > len(below)
}

// listOf returns the patterns of a list, "" for the one that is nil.
func listOf(hosts []string) []string {
	if len(hosts) == 0 {
		return []string{""}
	}
	return hosts
}

func pathsOf(paths []path) []path {
	if len(paths) == 0 {
		return []path{{kind: anyPath}}
	}
	return paths
}

// within reports whether text goes on behind stem in the same segment.
func beside(text, stem string) bool {
	rest, ok := strings.CutPrefix(text, stem)
	return ok && rest != "" && rest[0] != '/'
}

func isBelow(text, stem string) bool {
	rest, ok := strings.CutPrefix(text, stem)
	return ok && (rest == "" || rest[0] == '/')
}

// pathsOverlap reports whether two paths have one in common.
func pathsOverlap(a, b path) bool {
	if a.anyCase || b.anyCase {
		a.text, b.text = strings.ToLower(a.text), strings.ToLower(b.text)
	}
	if a.kind > b.kind {
		a, b = b, a
	}
	switch {
	case a.kind == anyPath:
		return true
	case a.kind == exactPath:
		return holds(b, a.text)
	case a.kind == belowPath && b.kind == belowPath:
		return isBelow(a.text, b.text) || isBelow(b.text, a.text)
	case a.kind == belowPath && b.kind == prefixPath:
		return strings.HasPrefix(a.text+"/", b.text) || strings.HasPrefix(b.text, a.text+"/")
	case a.kind == belowPath: // and besidePath
		return beside(a.text, b.text) || strings.HasPrefix(b.text, a.text+"/")
	case a.kind == prefixPath && b.kind == prefixPath:
		return strings.HasPrefix(a.text, b.text) || strings.HasPrefix(b.text, a.text)
	case a.kind == prefixPath: // and besidePath
		return strings.HasPrefix(b.text, a.text) || beside(a.text, b.text)
	}
	return a.text == b.text || beside(a.text, b.text) || beside(b.text, a.text)
}

// holds reports whether a path is among those that p stands for.
func holds(p path, text string) bool {
	switch p.kind {
	case exactPath:
		return text == p.text
	case belowPath:
		return isBelow(text, p.text)
	case prefixPath:
		return strings.HasPrefix(text, p.text)
	case besidePath:
		return beside(text, p.text)
	}
	return true
}

// pathCovers reports whether every path of b is one of a.
func pathCovers(a, b path) bool {
	if a.anyCase != b.anyCase && b.anyCase {
		return a.kind == anyPath
	}
	if a.anyCase {
		a.text, b.text = strings.ToLower(a.text), strings.ToLower(b.text)
	}
	switch {
	case a.kind == anyPath:
		return true
	case b.kind == anyPath || a.kind == exactPath && b.kind != exactPath:
		return false
	case b.kind == exactPath || b.kind == belowPath && a.kind != exactPath:
		return holds(a, b.text)
	case a.kind == belowPath: // and prefixPath or besidePath
		return strings.HasPrefix(b.text, a.text+"/")
	case a.kind == prefixPath:
		return strings.HasPrefix(b.text, a.text)
	case b.kind == prefixPath: // within besidePath
		return beside(b.text, a.text)
	}
	return a.text == b.text || beside(b.text, a.text)
}

// cell is one host pattern with one path.
type cell struct {
	host string
	path path
}

// step is what a route and a rule have in common.
type step struct {
	hosts       []string
	paths       []path
	conditional bool
	gone        bool // decides nothing any more
	policy      *policy
	set         *hostSet // of the hosts, once it is asked for
}

func (s *step) overlaps(c cell) bool {
	return !s.gone && s.named().overlaps(c.host) && somePath(s.paths, func(p path) bool { return pathsOverlap(p, c.path) })
}

// named are the step's hosts.
func (s *step) named() *hostSet {
	if s.set == nil {
		s.set = setOf(s.hosts)
	}
	return s.set
}

func (s *step) covers(c cell) bool {
	return s.named().covers(c.host) && somePath(s.paths, func(p path) bool { return pathCovers(p, c.path) })
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
	return s.any || s.exact[host] || slices.ContainsFunc(s.wild, func(w string) bool { return hostCovers(w, host) })
}

func (s *hostSet) overlaps(host string) bool {
	if host == "" || s.covers(host) {
		return true
	}
	if host[0] == '*' {
		for h := range s.exact {
			if hostCovers(host, h) {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.wild, func(w string) bool { return hostsOverlap(w, host) })
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

func someHost(hosts []string, is func(string) bool) bool {
	for _, h := range hosts {
		if is(h) {
			return true
		}
	}
	return len(hosts) == 0 && is("")
}

func somePath(paths []path, is func(path) bool) bool {
	for _, p := range paths {
		if is(p) {
			return true
		}
	}
	return len(paths) == 0 && is(path{})
}

func (s *step) cells() (all []cell) {
	for _, h := range listOf(s.hosts) {
		for _, p := range pathsOf(s.paths) {
			all = append(all, cell{h, p})
		}
	}
	return all
}
