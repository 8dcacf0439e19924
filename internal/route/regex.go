package route

import "corsfilter/internal/automaton"

// The bytes that a path may have behind its slash: proxies refuse a request with any
// other. What follows a question mark is no part of it.
const (
	firstByte = '!'
	lastByte  = '~'
	// pathBytes is how many they are.
	pathBytes = lastByte - firstByte + 1 - len("?#")
)

func inPath(c byte) bool { return firstByte <= c && c <= lastByte && c != '?' && c != '#' }

// Literal returns the text with which everything begins that an automaton accepts.
func Literal(a *automaton.Automaton) string {
	var text []byte
	var room [256]byte
	state := a.Start()
	for !a.Accepts(state) {
		ways := room[:0]
		for c := range 256 {
			if a.Next(state, byte(c)) != automaton.Dead {
				ways = append(ways, byte(c))
			}
		}
		if len(ways) != 1 {
			break
		}
		text = append(text, ways[0])
		state = a.Next(state, ways[0])
	}
	return string(text)
}

// Any reports whether an automaton accepts a path at all.
func Any(a *automaton.Automaton) bool {
	known := make([]bool, a.Len())
	open := []automaton.State{a.Next(a.Start(), '/')}
	for len(open) > 0 {
		state := open[len(open)-1]
		open = open[:len(open)-1]
		if state == automaton.Dead || known[state] {
			continue
		}
		known[state] = true
		if a.Accepts(state) {
			return true
		}
		for c := byte(firstByte); c <= lastByte; c++ {
			if inPath(c) {
				open = append(open, a.Next(state, c))
			}
		}
	}
	return false
}

// Pattern returns the text and its kind that stand for the same paths as an automaton
// accepts.
func Pattern(a *automaton.Automaton) (kind Kind, text string, ok bool) {
	text = Literal(a)
	if len(text) == 0 || text[0] != '/' {
		return 0, "", false
	}
	for i := 0; i < len(text); i++ {
		if !inPath(text[i]) || text[i] == '*' {
			return 0, "", false
		}
	}
	state := a.After(a.Start(), text)
	switch {
	case text == "/" && everything(a, state):
		return Below, "", true
	case everything(a, state):
		return Letters, text, text[len(text)-1] != '/' // "/v1/*" is "/v1" as well
	case !a.Accepts(state):
		return 0, "", false
	}
	kind = Exact
	for c := byte(firstByte); c <= lastByte; c++ {
		to := a.Next(state, c)
		switch {
		case !inPath(c) || to == automaton.Dead:
		case c == '/' && everything(a, to):
			kind = Below
		default:
			return 0, "", false
		}
	}
	return kind, text, true
}

// everything reports whether whatever comes behind a state is accepted.
//
//go:noinline
func everything(a *automaton.Automaton, state automaton.State) bool {
	if !a.Accepts(state) {
		return false
	}
	for c := byte(firstByte); c <= lastByte; c++ {
		if inPath(c) && a.Next(state, c) != state {
			return false
		}
	}
	return true
}
