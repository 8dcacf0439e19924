package automaton

import "slices"

// Builder makes automata. It keeps memory from one to the next.
type Builder struct {
	// Steps is how many steps were taken for all of them.
	Steps int

	limit int // of the steps for this one
	table table

	// A state while it is made: the places in the program that a string may have
	// come to, ascending, and the kind of its last character.
	places []uint16 // of all states
	from   []uint32 // by state, where its places begin in that list
	before []kind

	stack  []uint16
	marks  []uint32 // by place, the round in which it was last seen
	round  uint32
	kernel []uint16
	taking []uint16 // places that take a character, under one condition
}

// Regex returns the automaton of what a regex matches as a whole, as
// \A(?:regex)\z does; fold disregards case. The error is the library's for what is
// no regex, else a LimitError.
func (b *Builder) Regex(regex string, fold bool) (*Automaton, error) {
	p, err := parse(regex, fold)
	if err != nil {
		return nil, err
	}
	return b.build(p)
}

// Part returns the automaton of the strings that hold a text: at the begin unless
// something may stand before it, and at the end unless something may stand after.
func (b *Builder) Part(text string, before, after, fold bool) (*Automaton, error) {
	p, err := compile(literal(text, before, after, fold))
	if err != nil {
		return nil, err
	}
	return b.build(p)
}

// build makes sets of places into states (the subset construction), and then the
// smallest automaton of them.
func (b *Builder) build(p *program) (*Automaton, error) {
	b.limit = b.Steps + MaxSteps
	b.places, b.from, b.before = b.places[:0], append(b.from[:0], 0), b.before[:0]
	b.marks = slices.Grow(b.marks[:0], len(p.code))[:len(p.code)]
	clear(b.marks)
	b.round = 0
	b.table.reset()

	classes, kinds := p.classes()
	width := len(kinds)
	a := &Automaton{classes: classes, width: width}

	b.beginSet()
	b.reach(p, p.start)
	start, err := b.state(p.kindAtStart())
	if err != nil {
		return nil, err
	}
	a.start = start
	for s := State(0); int(s) < len(b.before); s++ {
		a.next = append(a.next, make([]State, width)...)
		a.accepts = append(a.accepts, s != Dead && b.conclude(p, s, edge))
		if s == Dead {
			continue
		}
		for _, after := range []kind{newline, word, other} {
			if !slices.Contains(kinds[1:], after) {
				continue
			}
			b.conclude(p, s, after)
			for class := 1; class < width; class++ {
				if kinds[class] != after {
					continue
				}
				if b.Steps += len(b.taking) + 1; b.Steps > b.limit {
					return nil, errSteps
				}
				b.beginSet()
				for _, place := range b.taking {
					if inst := &p.code[place]; p.members[inst.set].has(byte(class)) {
						b.reach(p, inst.out)
					}
				}
				if a.next[int(s)*width+class], err = b.state(after); err != nil {
					return nil, err
				}
			}
		}
	}
	return b.minimise(a)
}

// beginSet starts collecting places.
func (b *Builder) beginSet() {
	b.round++
	b.kernel = b.kernel[:0]
}

// reach adds a place, through all that asks for nothing.
func (b *Builder) reach(p *program, place uint16) {
	b.stack = append(b.stack[:0], place)
	for len(b.stack) > 0 {
		place := b.stack[len(b.stack)-1]
		b.stack = b.stack[:len(b.stack)-1]
		if b.marks[place] == b.round {
			continue
		}
		b.marks[place] = b.round
		b.Steps++
		switch inst := &p.code[place]; inst.op {
		case opSet, opIf, opMatch:
			b.kernel = append(b.kernel, place)
		case opGoto:
			b.stack = append(b.stack, inst.out)
		case opSplit:
			b.stack = append(b.stack, inst.arg, inst.out)
		}
	}
}

// conclude finds, for a state and the kind of character that comes next, the
// places that take a character, and reports whether the program is at its end.
func (b *Builder) conclude(p *program, s State, after kind) (end bool) {
	b.beginSet()
	b.taking = b.taking[:0]
	conditions := holding(b.before[s], after)
	all := b.places[b.from[s]:b.from[s+1]]
	b.kernel = append(b.kernel, all...)
	for _, place := range all {
		b.marks[place] = b.round
	}
	for i := 0; i < len(b.kernel); i++ {
		b.Steps++
		switch inst := &p.code[b.kernel[i]]; inst.op {
		case opSet:
			b.taking = append(b.taking, b.kernel[i])
		case opMatch:
			end = true
		case opIf:
			if inst.condition&^conditions == 0 {
				b.reach(p, inst.out)
			}
		}
	}
	return end
}

// state returns the state of the places collected, a new one where need be. The
// first is Dead: no place at all.
func (b *Builder) state(before kind) (State, error) {
	if len(b.before) == 0 {
		kernel := b.kernel
		b.kernel = nil
		b.add(other)
		b.kernel = kernel
	}
	if len(b.kernel) == 0 {
		return Dead, nil
	}
	sortPlaces(b.kernel)
	hash := uint32(before) + 1
	for _, place := range b.kernel {
		hash = (hash ^ uint32(place)) * 16777619
	}
	found := b.table.find(hash, func(s uint32) bool {
		return b.before[s] == before && slices.Equal(b.places[b.from[s]:b.from[s+1]], b.kernel)
	})
	if found >= 0 {
		return State(found), nil
	}
	if len(b.before) > MaxStates {
		return Dead, errStates
	}
	b.table.add(hash, uint32(len(b.before)))
	return b.add(before), nil
}

// sortPlaces sorts by Shell's method. The library's sort would be in the module a
// second time, for this type alone.
func sortPlaces(list []uint16) {
	for gap := len(list) / 2; gap > 0; gap /= 2 {
		for i := gap; i < len(list); i++ {
			for j := i; j >= gap && list[j] < list[j-gap]; j -= gap {
				list[j], list[j-gap] = list[j-gap], list[j]
			}
		}
	}
}

func (b *Builder) add(before kind) State {
	b.places = append(b.places, b.kernel...)
	b.from = append(b.from, uint32(len(b.places)))
	b.before = append(b.before, before)
	return State(len(b.before) - 1)
}

// classes tells bytes apart where some set of the program does, or where it asks
// for kinds. Class 0 is of the bytes that nothing takes. kinds are those of the
// classes.
func (p *program) classes() (classes [256]uint8, kinds []kind) {
	split := func(has func(c byte) bool) {
		const none = 0xff
		moved := [256]uint8{}
		for i := range moved {
			moved[i] = none
		}
		count := uint8(0)
		for c := range 128 {
			count = max(count, classes[c]+1)
		}
		kept := [256]bool{} // classes with a byte that stays
		for c := range 128 {
			if !has(byte(c)) {
				kept[classes[c]] = true
			}
		}
		for c := range 128 {
			if old := classes[c]; has(byte(c)) && kept[old] {
				if moved[old] == none {
					moved[old] = count
					count++
				}
				classes[c] = moved[old]
			}
		}
	}
	taken := bytes128{}
	for i := range p.sets {
		taken[0] |= p.sets[i][0]
		taken[1] |= p.sets[i][1]
	}
	// The first split leaves class 0 to what nothing takes, even if that is nothing
	// of ASCII: the bytes above are in it.
	for c := range 128 {
		if taken.has(byte(c)) {
			classes[c] = 1
		}
	}
	if p.conditions&aboutWords != 0 {
		split(func(c byte) bool { return taken.has(c) && wordBytes.has(c) })
	}
	if p.conditions&aboutLines != 0 {
		split(func(c byte) bool { return taken.has(c) && newlineBytes.has(c) })
	}
	for i := range p.sets {
		split(p.sets[i].has)
	}
	width := 1
	for c := range 128 {
		width = max(width, int(classes[c])+1)
	}
	kinds = make([]kind, width)
	p.members = make([]bytes128, len(p.sets))
	for c := range 128 {
		class := classes[c]
		kinds[class] = p.kindOf(byte(c))
		for i := range p.sets {
			if class != 0 && p.sets[i].has(byte(c)) {
				p.members[i].add(class)
			}
		}
	}
	return classes, kinds
}
