package automaton

import "slices"

// minimise returns the smallest automaton that accepts the same, by Hopcroft's
// algorithm: states are told apart until those that are left together do the same.
// Its states stand in the order in which they are reached, so that equal automata
// are equal tables.
func (b *Builder) minimise(a *Automaton) (*Automaton, error) {
	n := len(a.accepts)
	if b.Steps += n * a.width; b.Steps > b.limit {
		return nil, errSteps
	}
	parts := newPartition(a)
	inverse, from := a.inverse()
	var splitter, touched []State
	for len(parts.waiting) > 0 {
		block := &parts.blocks[parts.waiting[len(parts.waiting)-1]]
		parts.waiting = parts.waiting[:len(parts.waiting)-1]
		block.waiting = false
		splitter = append(splitter[:0], parts.order[block.begin:block.end]...)
		for class := range a.width {
			touched = touched[:0]
			for _, to := range splitter {
				at := class*(n+1) + int(to)
				for _, s := range inverse[from[at]:from[at+1]] {
					b.Steps++
					touched = parts.mark(s, touched)
				}
			}
			for _, t := range touched {
				parts.split(t)
			}
		}
		if b.Steps > b.limit {
			return nil, errSteps
		}
	}
	return a.quotient(parts), nil
}

// inverse lists, for each class and state, the states that lead there: those of a
// class and state stand from from[class*(n+1)+state] to the next.
func (a *Automaton) inverse() (states []State, from []uint32) {
	n := len(a.accepts)
	states, from = make([]State, n*a.width), make([]uint32, a.width*(n+1)+1)
	for class := range a.width {
		at := from[class*(n+1):]
		for s := range n {
			at[1+int(a.next[s*a.width+class])]++
		}
		at[0] = uint32(class * n)
		for s := range n {
			at[s+1] += at[s]
		}
		fill := slices.Clone(at[:n])
		for s := range n {
			to := a.next[s*a.width+class]
			states[fill[to]] = State(s)
			fill[to]++
		}
	}
	return states, from
}

// partition is the states in blocks.
type partition struct {
	order   []State // by block
	place   []int   // of a state in order
	block   []State // of a state
	blocks  []block
	waiting []State // blocks that others have not been split by
}

// block is a part of a partition's order. Marked members stand in front.
type block struct {
	begin, end, marked int
	waiting            bool
}

func newPartition(a *Automaton) *partition {
	n := len(a.accepts)
	p := &partition{order: make([]State, 0, n), place: make([]int, n), block: make([]State, n)}
	for _, accepting := range []bool{false, true} {
		begin := len(p.order)
		for s := range n {
			if a.accepts[s] == accepting {
				p.place[s], p.block[s] = len(p.order), State(len(p.blocks))
				p.order = append(p.order, State(s))
			}
		}
		if len(p.order) > begin {
			p.wait(p.add(begin, len(p.order)))
		}
	}
	return p
}

func (p *partition) add(begin, end int) State {
	p.blocks = append(p.blocks, block{begin: begin, end: end})
	return State(len(p.blocks) - 1)
}

func (p *partition) wait(block State) {
	p.waiting = append(p.waiting, block)
	p.blocks[block].waiting = true
}

// mark moves a state to the front of its block, and notes a block marked for the
// first time.
func (p *partition) mark(s State, touched []State) []State {
	block := &p.blocks[p.block[s]]
	front := block.begin + block.marked
	if p.place[s] < front {
		return touched
	}
	if block.marked == 0 {
		touched = append(touched, p.block[s])
	}
	other := p.order[front]
	p.order[front], p.order[p.place[s]] = s, other
	p.place[other], p.place[s] = p.place[s], front
	block.marked++
	return touched
}

// split makes the marked states of a block one of their own, where there are
// others.
func (p *partition) split(number State) {
	old := &p.blocks[number]
	begin, marked, others := old.begin, old.marked, old.end-old.begin-old.marked
	old.marked = 0
	if others == 0 {
		return
	}
	old.begin += marked
	waiting := old.waiting
	split := p.add(begin, begin+marked)
	for _, s := range p.order[begin : begin+marked] {
		p.block[s] = split
	}
	if waiting || marked <= others {
		p.wait(split)
	} else {
		p.wait(number)
	}
}

// quotient makes a state of each block, and a class of classes that lead to the same
// blocks from everywhere. Classes stand in the order of their first byte, behind
// class 0, which leads to Dead, and states in the order in which they are reached, so
// that there is one table for each language.
func (a *Automaton) quotient(p *partition) *Automaton {
	m := &Automaton{}
	kept := []int{0} // a class of a for each of m's
	merged := make([]int, a.width)
	for class := range merged {
		merged[class] = -1
	}
	for c, class := range a.classes {
		if merged[class] < 0 {
			merged[class] = slices.IndexFunc(kept, func(k int) bool { return a.alike(p, k, int(class)) })
			if merged[class] < 0 {
				merged[class] = len(kept)
				kept = append(kept, int(class))
			}
		}
		m.classes[c] = uint8(merged[class])
	}
	m.width = len(kept)
	dead := p.block[Dead]
	blocks := []State{dead} // by number
	number := make([]State, len(p.blocks))
	visit := func(s State) State {
		block := p.block[s]
		if number[block] == 0 && block != dead {
			number[block] = State(len(blocks))
			blocks = append(blocks, block)
		}
		return number[block]
	}
	m.start = visit(a.start)
	for i := 0; i < len(blocks); i++ {
		s := p.member(blocks[i])
		m.accepts = append(m.accepts, a.accepts[s])
		for _, class := range kept {
			m.next = append(m.next, visit(a.next[s*a.width+class]))
		}
	}
	return m
}

// alike reports whether two classes lead to the same blocks from everywhere.
func (a *Automaton) alike(p *partition, x, y int) bool {
	for block := range p.blocks {
		s := p.member(State(block))
		if p.block[a.next[s*a.width+x]] != p.block[a.next[s*a.width+y]] {
			return false
		}
	}
	return true
}

// member is a state of a block: what holds for one holds for all.
func (p *partition) member(block State) int { return int(p.order[p.blocks[block].begin]) }
