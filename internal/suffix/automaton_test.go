package suffix

import (
	"cmp"
	"fmt"
	"log"
	"maps"
	"slices"
	"strings"
)

// node is a state of the table while it is made.
type node struct {
	kind  Kind
	edges map[byte]*node // by symbol
	size  int            // of what is reached from here, as a tree
	id    int
	at    int // where it begins, counted from the end of the table
	begun bool
}

// compile returns the table of the rules.
func compile(rules []string) string {
	root := &node{}
	for _, r := range rules {
		root.add(r)
	}
	w := writer{bare: &node{kind: Rule}}
	known := map[string]*node{}
	w.bare = merge(w.bare, known)
	root = merge(root, known)
	w.write(root)
	slices.Reverse(w.table)
	return string(append([]byte{last | byte(Rule)}, w.table...))
}

func (s *node) add(r string) {
	kind := Rule
	if name, ok := strings.CutPrefix(r, "*."); ok {
		kind, r = Wildcard, name
	} else if name, ok := strings.CutPrefix(r, "!"); ok {
		kind, r = Exception, name
	}
	for i := len(r) - 1; i >= 0; i-- {
		symbol := strings.IndexByte(symbols, r[i])
		if symbol < 0 {
			log.Fatalf("the rule %q has a byte that no symbol stands for", r)
		}
		c := byte(symbol + firstSymbol)
		if s.edges == nil {
			s.edges = map[byte]*node{}
		}
		if s.edges[c] == nil {
			s.edges[c] = &node{}
		}
		s = s.edges[c]
	}
	s.kind |= kind
}

// merge replaces states from which the same is read by one of them, and returns
// the one for s.
func merge(s *node, known map[string]*node) *node {
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
	bare  *node
}

func (w *writer) write(s *node) {
	// Repeating the one byte of bare takes less than the distance to it.
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
		c := byte(s.kind)
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
