package controlflow

import (
	"encoding/binary"
	"errors"
	"slices"
)

// The structured form is made along the dominator tree: a segment's code, then what
// only it leads to (Norman Ramsey, "Beyond Relooper: Recursive Translation of
// Unstructured Control Flow to Structured Control Flow", 2022). A segment that
// branches lead forward to stands behind a block that they leave; one that branches
// lead back to is a loop.

var errIrreducible = errors.New("a loop has two beginnings")

// graph is how control flows among the segments that are reached.
type graph struct {
	f         *function
	order     []int // reverse postorder
	number    []int // of each segment in it; -1: not reached
	next      [][]int
	before    [][]int
	dominator []int   // immediate
	loop      []bool  // a branch leads back to it
	behind    [][]int // the segments behind blocks that the segment opens, the nearest first
	isBehind  []bool
}

// graph finds out how control flows.
func (f *function) graph() (*graph, error) {
	g := &graph{f: f}
	g.connect()
	g.dominate()
	return g, g.label()
}

// structured returns the body of the structured form.
func (g *graph) structured() []byte {
	f, w := g.f, &writer{graph: g}
	w.b = append(append(w.b, f.locals...), start...)
	if f.unwinds {
		w.b = append(w.b, opBlock, noResult)
	}
	w.segment(f.entry)
	w.b = append(w.b, opUnreachable)
	if f.unwinds {
		w.b = append(w.b, opEnd, opI32Const, 1)
	}
	return append(w.b, opEnd)
}

// connect finds out where control goes from each segment.
func (g *graph) connect() {
	segments := g.f.segments
	n := len(segments)
	g.next, g.before, g.number = make([][]int, n), make([][]int, n), slices.Repeat([]int{-1}, n)
	for i, s := range segments {
		for _, p := range s.pieces {
			for _, to := range p.to {
				if to != unwind {
					g.next[i] = append(g.next[i], to)
				}
			}
		}
		if !s.ends && s.next >= 0 {
			g.next[i] = append(g.next[i], s.next)
		}
	}
	seen := make([]bool, n)
	var visit func(i int)
	visit = func(i int) {
		seen[i] = true
		for _, to := range g.next[i] {
			if !seen[to] {
				visit(to)
			}
		}
		g.order = append(g.order, i)
	}
	visit(g.f.entry)
	slices.Reverse(g.order)
	for i, s := range g.order {
		g.number[s] = i
		for _, to := range g.next[s] {
			g.before[to] = append(g.before[to], s)
		}
	}
}

// dominate finds each segment's immediate dominator: the last one that control must
// have passed (Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm").
func (g *graph) dominate() {
	g.dominator = slices.Repeat([]int{-1}, len(g.f.segments))
	g.dominator[g.f.entry] = g.f.entry
	for changed := true; changed; {
		changed = false
		for _, i := range g.order[1:] {
			found := -1
			for _, from := range g.before[i] {
				switch {
				case g.dominator[from] < 0:
				case found < 0:
					found = from
				default:
					found = g.common(found, from)
				}
			}
			if g.dominator[i] != found {
				g.dominator[i], changed = found, true
			}
		}
	}
}

// common is the last segment that dominates both.
func (g *graph) common(a, b int) int {
	for a != b {
		if g.number[a] > g.number[b] {
			a = g.dominator[a]
		} else {
			b = g.dominator[b]
		}
	}
	return a
}

// back reports whether control goes back where it goes from one segment to the other.
func (g *graph) back(from, to int) bool { return g.number[to] <= g.number[from] }

// label finds out which segments are loops, and which stand behind blocks.
func (g *graph) label() error {
	n := len(g.f.segments)
	g.loop, g.isBehind, g.behind = make([]bool, n), make([]bool, n), make([][]int, n)
	for _, i := range g.order {
		for _, from := range g.before[i] {
			if !g.back(from, i) {
				g.isBehind[i] = g.isBehind[i] || g.f.segments[from].branchesTo(i)
				continue
			}
			if g.common(from, i) != i {
				return errIrreducible
			}
			g.loop[i] = true
		}
		if g.isBehind[i] {
			// In this order they come the nearest first.
			g.behind[g.dominator[i]] = append(g.behind[g.dominator[i]], i)
		}
	}
	return nil
}

func (s *segment) branchesTo(i int) bool {
	return slices.ContainsFunc(s.pieces, func(p piece) bool {
		return slices.Contains(p.to, i)
	})
}

// writer writes the structured form.
type writer struct {
	*graph
	b      []byte
	labels []label // of the blocks and loops that are open, the innermost last
}

// label is what a branch can go to: the beginning of a segment that is a loop, or the
// end of the block that one stands behind.
type label struct {
	segment int
	loop    bool
}

func (w *writer) open(op byte, l label) {
	w.b = append(w.b, op, noResult)
	w.labels = append(w.labels, l)
}

func (w *writer) close() {
	w.b = append(w.b, opEnd)
	w.labels = w.labels[:len(w.labels)-1]
}

// depth is how many blocks and loops a branch leaves to get from one segment to the
// other.
func (w *writer) depth(from, to int) uint64 {
	at := slices.Index(w.labels, label{to, w.back(from, to)})
	if at < 0 {
		panic(malformed("a branch has no label")) // label has made one for each
	}
	return uint64(len(w.labels) - 1 - at)
}

// segment writes a segment and all that it dominates.
func (w *writer) segment(i int) {
	if w.loop[i] {
		w.open(opLoop, label{i, true})
	}
	behind := w.behind[i]
	for _, s := range slices.Backward(behind) {
		w.open(opBlock, label{s, false})
	}
	s := &w.f.segments[i]
	for _, p := range s.pieces {
		if p.raw != nil {
			w.b = append(w.b, p.raw...)
			continue
		}
		if w.b = append(w.b, p.branch); p.branch == opBrTable {
			w.b = binary.AppendUvarint(w.b, uint64(len(p.to)-1))
		}
		for _, to := range p.to {
			depth := uint64(len(w.labels) + p.within)
			if to != unwind {
				depth = w.depth(i, to)
			}
			w.b = binary.AppendUvarint(w.b, depth)
		}
	}
	w.goOn(i)
	for _, s := range behind {
		w.close()
		w.segment(s)
	}
	if w.loop[i] {
		w.close()
	}
}

// goOn writes how control gets from the end of a segment to the next one.
func (w *writer) goOn(i int) {
	next := w.f.segments[i].next
	switch {
	case w.f.segments[i].ends:
	case next < 0:
		w.b = append(w.b, opUnreachable)
	case w.back(i, next) || w.isBehind[next]:
		w.b = binary.AppendUvarint(append(w.b, opBr), w.depth(i, next))
	default:
		w.segment(next)
	}
}
