package main

import (
	"cmp"
	"fmt"
	"log"
	"maps"
	"slices"
	"strings"
)

// What table.go consists of is described in suffix.go; the constants here are
// those there.
const (
	symbols     = "-.0123456789abcdefghijklmnopqrstuvwxyz"
	firstSymbol = 8
	far         = 1 << 6
	last        = 1 << 7
	near        = 48

	rule      = 1
	wildcard  = 2
	exception = 4
)

type state struct {
	kind  byte
	edges map[byte]*state // by symbol
	size  int             // of what is reached from here, as a tree
	id    int
	at    int // where it begins, counted from the end of the table
	begun bool
}

// compile returns the table of the rules.
func compile(rules []string) string {
	root := &state{}
	for _, r := range rules {
		root.add(r)
	}
	w := writer{bare: &state{kind: rule}}
	known := map[string]*state{}
	w.bare = merge(w.bare, known)
	root = merge(root, known)
	w.write(root)
	slices.Reverse(w.table)
	return string(append([]byte{last | rule}, w.table...))
}

func (s *state) add(r string) {
	kind := byte(rule)
	if name, ok := strings.CutPrefix(r, "*."); ok {
		kind, r = wildcard, name
	} else if name, ok := strings.CutPrefix(r, "!"); ok {
		kind, r = exception, name
	}
	for i := len(r) - 1; i >= 0; i-- {
		symbol := strings.IndexByte(symbols, r[i])
		if symbol < 0 {
			log.Fatalf("the rule %q has a byte that no symbol stands for", r)
		}
		c := byte(symbol + firstSymbol)
		if s.edges == nil {
			s.edges = map[byte]*state{}
		}
		if s.edges[c] == nil {
			s.edges[c] = &state{}
		}
		s = s.edges[c]
	}
	s.kind |= kind
}

// merge replaces states from which the same is read by one of them, and returns
// the one for s.
func merge(s *state, known map[string]*state) *state {
	key := fmt.Sprint(s.kind)
	s.size = 1
	for _, c := range slices.Sorted(maps.Keys(s.edges)) {
		next := merge(s.edges[c], known)
		s.edges[c] = next
		s.size += next.size
		key += fmt.Sprint(" ", c, next.id)
	}
	if same := known[key]; same != nil {
		return same
	}
	s.id = len(known)
	known[key] = s
	return s
}

// writer writes the table from its end to its begin, so that every state is
// written before those that lead to it, and distances are known.
type writer struct {
	table []byte // backwards
	bare  *state
}

func (w *writer) write(s *state) {
	// The one byte of bare takes less, written anew, than the distance to it.
	if s.begun && s != w.bare {
		return
	}
	s.begun = true
	symbols := slices.Sorted(maps.Keys(s.edges))
	// What is written last is nearest. The last edge's state follows its row,
	// and may not be written before.
	order := slices.Clone(symbols)
	order = order[:max(0, len(order)-1)]
	slices.SortStableFunc(order, func(a, b byte) int { return cmp.Compare(s.edges[b].size, s.edges[a].size) })
	for _, c := range order {
		if s.edges[c] != w.bare {
			w.write(s.edges[c])
		}
	}
	for i := len(symbols) - 1; i >= 0; i-- {
		c, next := symbols[i], s.edges[symbols[i]]
		isLast := i == len(symbols)-1
		if isLast {
			w.write(next)
		}
		behind := len(w.table)
		switch {
		case isLast && next.at == behind:
		case !isLast && next == w.bare:
		default:
			w.table = append(w.table, w.distance(behind-next.at)...)
			c |= far
		}
		if isLast {
			c |= last
		}
		w.table = append(w.table, c)
	}
	if s.kind != 0 {
		c := s.kind
		if len(symbols) == 0 {
			c |= last
		}
		w.table = append(w.table, c)
	}
	s.at = len(w.table)
}

// distance returns the bytes of a distance, backwards.
func (w *writer) distance(n int) []byte {
	if n < near {
		return []byte{byte(n)}
	}
	n -= near
	if n>>8+near > 255 {
		log.Fatal("the table has outgrown its distances: make near smaller, here and in suffix.go")
	}
	return []byte{byte(n), byte(n>>8 + near)}
}
