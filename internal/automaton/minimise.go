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
		block := parts.waiting[len(parts.waiting)-1]
		parts.waiting = parts.waiting[:len(parts.waiting)-1]
		parts.isWaiting[block] = false
		splitter = append(splitter[:0], parts.members(block)...)
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
	order     []State // by block
	place     []int   // of a state in order
	block     []State // of a state
	begin     []int   // of a block in order
	end       []int
	marked    []int // how many members of a block stand in front, marked
	waiting   []State
	isWaiting []bool
}

func newPartition(a *Automaton) *partition {
	n := len(a.accepts)
	p := &partition{order: make([]State, 0, n), place: make([]int, n), block: make([]State, n)}
	for _, accepting := range []bool{false, true} {
		begin := len(p.order)
		for s := range n {
			if a.accepts[s] == accepting {
				p.place[s], p.block[s] = len(p.order), State(len(p.begin))
				p.order = append(p.order, State(s))
			}
		}
		if len(p.order) > begin {
			p.add(begin, len(p.order))
			p.wait(State(len(p.begin) - 1))
		}
	}
	return p
}

func (p *partition) add(begin, end int) {
	p.begin, p.end = append(p.begin, begin), append(p.end, end)
	p.marked, p.isWaiting = append(p.marked, 0), append(p.isWaiting, false)
}

func (p *partition) wait(block State) {
	p.waiting = append(p.waiting, block)
	p.isWaiting[block] = true
}

func (p *partition) members(block State) []State { return p.order[p.begin[block]:p.end[block]] }

// mark moves a state to the front of its block, and notes a block marked for the
// first time.
func (p *partition) mark(s State, touched []State) []State {
	block := p.block[s]
	front := p.begin[block] + p.marked[block]
	if p.place[s] < front {
		return touched
	}
	if p.marked[block] == 0 {
		touched = append(touched, block)
	}
	other := p.order[front]
	p.order[front], p.order[p.place[s]] = s, other
	p.place[other], p.place[s] = p.place[s], front
	p.marked[block]++
	return touched
}

// split makes the marked states of a block one of their own, where there are
// others.
func (p *partition) split(block State) {
	marked := p.marked[block]
	p.marked[block] = 0
	begin, end := p.begin[block], p.end[block]
	if marked == end-begin {
		return
	}
	middle := begin + marked
	apart := State(len(p.begin))
	p.add(begin, middle)
	p.begin[block] = middle
	for _, s := range p.order[begin:middle] {
		p.block[s] = apart
	}
	if p.isWaiting[block] || marked <= end-middle {
		p.wait(apart)
	} else {
		p.wait(block)
	}
}

// quotient makes a state of each block, and a class of classes that lead to the same
// blocks from everywhere. Classes stand in the order of their first byte, behind
// class 0, and states in the order in which they are reached, so that there is one
// table for each language.
func (a *Automaton) quotient(p *partition) *Automaton {
	dead := p.block[Dead]
	leads := func(block int, class int) State { // from a block, by a class
		return p.block[a.next[int(p.order[p.begin[block]])*a.width+class]]
	}
	m := &Automaton{}
	kept := []int{-1} // a class of a for each of m's; class 0 leads to Dead alone
	merged := make([]int, a.width)
	for class := range merged {
		merged[class] = -1
	}
	for c, class := range a.classes {
		if merged[class] < 0 {
			merged[class] = slices.IndexFunc(kept, func(k int) bool {
				for block := range p.begin {
					want := dead
					if k >= 0 {
						want = leads(block, k)
					}
					if leads(block, int(class)) != want {
						return false
					}
				}
				return true
			})
			if merged[class] < 0 {
				merged[class] = len(kept)
				kept = append(kept, int(class))
			}
		}
		m.classes[c] = uint8(merged[class])
	}
	m.width = len(kept)
	number := make([]State, len(p.begin))
	blocks := []State{dead} // by number
	known := make([]bool, len(p.begin))
	known[dead] = true
	visit := func(block State) State {
		if !known[block] {
			known[block] = true
			number[block] = State(len(blocks))
			blocks = append(blocks, block)
		}
		return number[block]
	}
	m.start = visit(p.block[a.start])
	for i := 0; i < len(blocks); i++ {
		block := int(blocks[i])
		m.accepts = append(m.accepts, a.accepts[p.order[p.begin[block]]])
		m.next = append(m.next, Dead)
		for _, class := range kept[1:] {
			m.next = append(m.next, visit(leads(block, class)))
		}
	}
	return m
}
