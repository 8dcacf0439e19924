package controlflow

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// A goroutine may come back behind any call, when its stack was moved or another one
// ran meanwhile: the number that the function is called with says where to go on. A
// branch of WebAssembly's own leads into a loop at its beginning only. So there is a
// door to the function, and one to each loop with something within that is come back
// to: a segment which branches by that number, to what it is the number of or to the
// door of a loop around that. Nothing in locals is needed there: all stands on Go's
// stack. The number is kept in a local of its own, and is 0 again where something has
// come back, so that from then on doors lead where their loops begin.

// loop is one of a function, by its first segment.
type loop struct {
	first  int
	within []bool // the segments of it
	size   int
	outer  *loop // the next larger one
	door   int   // a segment; -1: none
}

// addDoors makes it possible to come back, if there is anything to come back to.
func (f *function) addDoors() error {
	if !slices.ContainsFunc(f.segments, func(s segment) bool { return s.resumes }) {
		return nil
	}
	g, err := f.graph()
	if err != nil {
		return err
	}
	loops := g.loops()
	count := len(f.segments)
	around := make([]*loop, count) // the smallest loop that each is within, and not the first of
	for i := range around {
		if at := slices.IndexFunc(loops, func(l *loop) bool { return l.within[i] && l.first != i }); at >= 0 {
			around[i] = loops[at]
		}
	}
	open := false
	for i := range count {
		for l := around[i]; f.segments[i].resumes && l != nil && l.door < 0; l = l.outer {
			l.door, open = f.add(segment{ends: true}), true
		}
	}
	var resumed uint64
	var root []piece
	if open {
		resumed = f.newLocal()
		root = []piece{ofLocal(opLocalGet, 0), ofLocal(opLocalSet, resumed)}
	}
	before := func(i int) int { // what leads to a loop leads to its door
		if at := slices.IndexFunc(loops, func(l *loop) bool { return l.first == i && l.door >= 0 }); at >= 0 {
			return loops[at].door
		}
		return i
	}
	// by is the branch by the number from the door of a loop, or of the function if it
	// is nil, and to something else by all numbers that it is not about.
	by := func(door *loop, other int) piece {
		p := piece{branch: opBrTable}
		for _, number := range f.table {
			at, to := int(number), other
			if at == f.entry && door == nil {
				to = before(at)
			} else if f.segments[at].resumes && (door == nil || door.within[at] && door.first != at) {
				to = before(at)
				for l := around[at]; l != door; l = l.outer {
					to = l.door
				}
			}
			p.to = append(p.to, to)
		}
		p.to = append(p.to, other)
		return p
	}
	for i := range count {
		s := &f.segments[i]
		for _, p := range s.pieces {
			for k, to := range p.to {
				p.to[k] = before(to)
			}
		}
		if s.next >= 0 {
			s.next = before(s.next)
		}
		if open && (s.resumes || i == f.entry) {
			s.pieces = slices.Insert(s.pieces, 0, piece{raw: []byte{opI32Const, 0}}, ofLocal(opLocalSet, resumed))
		}
	}
	for _, l := range loops {
		if l.door >= 0 {
			f.segments[l.door].pieces = []piece{ofLocal(opLocalGet, resumed), by(l, l.first)}
		}
	}
	trap := f.add(segment{pieces: []piece{{raw: []byte{opUnreachable}}}, ends: true})
	f.entry = f.add(segment{pieces: append(root, ofLocal(opLocalGet, 0), by(nil, trap)), ends: true})
	return nil
}

// add adds a segment, and returns its number.
func (f *function) add(s segment) int {
	f.segments = append(f.segments, s)
	return len(f.segments) - 1
}

// newLocal declares a local of 32 bits behind all others, and returns its number.
func (f *function) newLocal() uint64 {
	r := &reader{b: f.locals}
	groups, number := r.unsigned(), uint64(1) // the parameter is 0
	behind := f.locals[r.at:]
	for range groups {
		number += r.unsigned()
		r.byte()
	}
	f.locals = append(append(binary.AppendUvarint(nil, groups+1), behind...), 1, i32)
	return number
}

func ofLocal(op byte, number uint64) piece {
	return piece{raw: binary.AppendUvarint([]byte{op}, number)}
}

// loops finds the loops, the smallest first.
func (g *graph) loops() (all []*loop) {
	for _, first := range g.order {
		if !g.loop[first] {
			continue
		}
		l := &loop{first: first, within: make([]bool, len(g.f.segments)), size: 1, door: -1}
		l.within[first] = true
		var visit func(i int)
		visit = func(i int) {
			if l.within[i] {
				return
			}
			l.within[i] = true
			l.size++
			for _, from := range g.before[i] {
				visit(from)
			}
		}
		for _, from := range g.before[first] {
			if g.back(from, first) {
				visit(from)
			}
		}
		all = append(all, l)
	}
	slices.SortStableFunc(all, func(a, b *loop) int { return cmp.Compare(a.size, b.size) })
	for i, l := range all {
		if at := slices.IndexFunc(all[i+1:], func(m *loop) bool { return m.within[l.first] }); at >= 0 {
			l.outer = all[i+1+at]
		}
	}
	return all
}
