// Package automaton turns matchers (regexes, prefixes, suffixes, parts) into
// deterministic automata over the bytes of a string, as small as they can be. A
// match costs one step in a table for each byte, whatever the matcher was, and
// what an automaton accepts can be decided, where a regex could only be tried.
//
// It is part of the module: Go 1.23, and of the library what reads a regex's
// syntax. Strings are ASCII, as origins are: a byte above that ends every match.
package automaton

import "slices"

// State is a state of an automaton.
type State uint16

// Dead is the state from which nothing is accepted any more.
const Dead State = 0

// Automaton accepts or rejects strings as a whole. The zero Automaton rejects
// all. It must not be changed.
type Automaton struct {
	classes [256]uint8 // of bytes that are the same to every state; those of 0 lead to Dead
	width   int        // the number of classes
	next    []State    // by state, then class
	accepts []bool
	start   State
}

// Match reports whether the string is accepted. It does not allocate.
func (a *Automaton) Match(s string) bool {
	if len(a.next) == 0 {
		return false
	}
	state := a.start
	for i := 0; i < len(s) && state != Dead; i++ {
		state = a.next[int(state)*a.width+int(a.classes[s[i]])]
	}
	return a.accepts[state]
}

// Start is the state before the first byte.
func (a *Automaton) Start() State { return a.start }

// Next is the state behind one byte more.
func (a *Automaton) Next(s State, c byte) State {
	if len(a.next) == 0 {
		return Dead
	}
	return a.next[int(s)*a.width+int(a.classes[c])]
}

// After is the state behind a string.
func (a *Automaton) After(s State, text string) State {
	for i := 0; i < len(text); i++ {
		s = a.Next(s, text[i])
	}
	return s
}

// Accepts reports whether a string may end in the state.
func (a *Automaton) Accepts(s State) bool { return len(a.next) > 0 && a.accepts[s] }

// Len returns the number of states, Dead included.
func (a *Automaton) Len() int { return len(a.accepts) }

// Equal reports whether two automata accept the same: there is one table for each
// language.
func (a *Automaton) Equal(b *Automaton) bool {
	return a.start == b.start && a.width == b.width && a.classes == b.classes && slices.Equal(a.accepts, b.accepts) && slices.Equal(a.next, b.next)
}
