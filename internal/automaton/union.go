package automaton

// MaxUnion is how many automata a request may be compared with.
const MaxUnion = 16

var errUnion = &LimitError{"does not fit together with the other matchers of the list: more than 16 automata of 4,000 states"}

// Union returns automata that accept together what those of the list do: one,
// where that fits the bounds, so that a request costs the same however many
// matchers there are.
func (b *Builder) Union(list []*Automaton) ([]*Automaton, error) {
	// Those of as many matchers are joined first, as a binary counter adds: each
	// automaton is then gone through a few times, and not once for every other one.
	type weighed struct {
		*Automaton
		weight int
	}
	var open []weighed
	var full []*Automaton // too large to be joined any more
	for _, a := range list {
		top := weighed{a, 1}
		for len(open) > 0 && open[len(open)-1].weight <= top.weight {
			below := open[len(open)-1]
			open = open[:len(open)-1]
			joined, err := b.combine(below.Automaton, top.Automaton, either)
			if err != nil {
				if full = append(full, below.Automaton); len(full) > MaxUnion {
					return nil, errUnion
				}
				continue
			}
			top = weighed{joined, below.weight + top.weight}
		}
		open = append(open, top)
	}
	for i := len(open) - 1; i >= 0; i-- {
		if i > 0 {
			if joined, err := b.combine(open[i-1].Automaton, open[i].Automaton, either); err == nil {
				open[i-1].Automaton = joined
				continue
			}
		}
		full = append(full, open[i].Automaton)
	}
	if len(full) > MaxUnion {
		return nil, errUnion
	}
	return full, nil
}

func either(x, y bool) bool { return x || y }

// Difference returns the automaton of what x accepts and y does not.
func (b *Builder) Difference(x, y *Automaton) (*Automaton, error) {
	return b.combine(x, y, func(x, y bool) bool { return x && !y })
}

// Intersection returns the automaton of what both accept.
func (b *Builder) Intersection(x, y *Automaton) (*Automaton, error) {
	return b.combine(x, y, func(x, y bool) bool { return x && y })
}

// combine returns the automaton of what accepts says, given what x and y do: nothing
// of what neither accepts.
func (b *Builder) combine(x, y *Automaton, accepts func(x, y bool) bool) (*Automaton, error) {
	b.limit = b.Steps + MaxSteps/2
	a := &Automaton{}
	// A class of both is a pair of theirs.
	pairs := [][2]uint8{{0, 0}}
	for c := range a.classes {
		pair := [2]uint8{x.classes[c], y.classes[c]}
		class := 0
		for class < len(pairs) && pairs[class] != pair {
			class++
		}
		if class == len(pairs) {
			pairs = append(pairs, pair)
		}
		a.classes[c] = uint8(class)
	}
	a.width = len(pairs)
	b.table.reset()
	var states [][2]State
	state := func(p, q State) State {
		pair := [2]State{p, q}
		hash := (uint32(p)<<16 | uint32(q)) * 2654435761
		hash ^= hash >> 15
		if found := b.table.find(hash, func(s uint32) bool { return states[s] == pair }); found >= 0 {
			return State(found)
		}
		b.table.add(hash, uint32(len(states)))
		states = append(states, pair)
		return State(len(states) - 1)
	}
	state(Dead, Dead)
	a.start = state(x.start, y.start)
	for i := 0; i < len(states); i++ {
		if len(states) > MaxStates+1 {
			return nil, errStates
		}
		if b.Steps += a.width; b.Steps > b.limit {
			return nil, errSteps
		}
		p, q := states[i][0], states[i][1]
		a.accepts = append(a.accepts, accepts(x.accepts[p], y.accepts[q]))
		for _, pair := range pairs {
			a.next = append(a.next, state(x.next[int(p)*x.width+int(pair[0])], y.next[int(q)*y.width+int(pair[1])]))
		}
	}
	return b.minimise(a)
}
