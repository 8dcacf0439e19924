// Package suffix knows the public suffixes: the names below which anyone can register a
// name, such as com, co.uk and github.io. Browsers separate sites by the same list
// (publicsuffix.org), with both of its parts: the registries' domains, and those of
// companies that hand out names below their own.
//
// It is part of the module: it uses Go 1.23, imports only embed and strings, and a
// look-up does not allocate.
package suffix

import _ "embed"

// The list itself is public_suffix_list.dat, of which a test makes table.bin and
// list.go, and says when they are of another: make suffixes renews all three.
//
//go:generate go test -run ^TestTheTableIsOfTheList$ . -update

// The table is an automaton that reads a host from its end, byte by byte: what
// rules have in common at either side stands there once, which takes two thirds
// of a sorted list whose entries leave out what they share with the one before,
// and a look-up costs the length of the host. A state is a row of edges in the
// order of their symbols. An edge begins with one byte:
//
//	bits 0-5  the symbol: a byte of a host, or, first in the row, what the rules
//	          say of a host that begins here, as a Kind
//	bit 6     far: a distance to the next state follows
//	bit 7     last: the row ends
//
// The next state of an edge that is not far stands behind the row where the edge
// is the last one, and is bare otherwise. A distance counts from behind itself:
// below near it is one byte, else near and two bytes, the high one first and near
// added to that.
const (
	symbolMask = 1<<6 - 1
	far        = 1 << 6
	last       = 1 << 7
	near       = 48

	firstSymbol = 8 // of a byte of a host, in the order of symbols
)

const symbols = "-.0123456789abcdefghijklmnopqrstuvwxyz"

//go:embed table.bin
var table string

// Kind is what the rules say of one host.
type Kind uint8

// The kinds; a host can be of several.
const (
	Rule      Kind = 1 << iota // the host is a public suffix
	Wildcard                   // every host of one label more is
	Exception                  // the host is none, though a Wildcard says so
)

// State is how far a host was read, from its last byte to its first.
type State uint32

const (
	bare State = 0 // a rule, and none below it
	// Start is the state before the last byte.
	Start State = 1
)

// Next reads one byte more. It returns false where no rule reads on like that.
func (s State) Next(c byte) (State, bool) {
	symbol := symbolOf(c)
	for i, more := uint32(s), true; more; {
		var e edge
		e, i, more = edgeAt(i)
		if e.symbol == symbol {
			return e.next, true
		}
	}
	return s, false
}

type edge struct {
	symbol byte
	next   State
}

// edgeAt returns the edge at i, and where the next edge of the row is, if there
// are more.
func edgeAt(i uint32) (e edge, behind uint32, more bool) {
	b := table[i]
	i++
	e.symbol = b & symbolMask
	switch {
	case b&far != 0:
		distance := uint32(table[i])
		i++
		if distance >= near {
			distance = (distance-near)<<8 + uint32(table[i]) + near
			i++
		}
		e.next = State(i + distance)
	case b&last != 0:
		e.next = State(i)
	default:
		e.next = bare
	}
	return e, i, b&last == 0
}

// Kind returns what the rules say of the host that was read so far.
func (s State) Kind() Kind {
	if edge := table[s] & symbolMask; edge < firstSymbol {
		return Kind(edge)
	}
	return 0
}

// symbolOf returns a symbol that is on no edge for bytes that are in no rule.
func symbolOf(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z':
		return c - 'a' + firstSymbol + 12
	case '0' <= c && c <= '9':
		return c - '0' + firstSymbol + 2
	case c == '.':
		return firstSymbol + 1
	case c == '-':
		return firstSymbol
	}
	return symbolMask
}

// Public returns where the public suffix of a host begins: in "www.example.co.uk"
// at 12. Where no rule applies it is the last label. The host is a name in lower
// case without a trailing dot; of an address it says nothing.
func Public(host string) int {
	begin := -1
	state, more := Start, true
	for i := len(host) - 1; i >= 0 && more; i-- {
		if state, more = state.Next(host[i]); !more || i > 0 && host[i-1] != '.' {
			continue
		}
		kind := state.Kind()
		if kind&Exception != 0 {
			return parent(host, i)
		}
		if kind&Rule != 0 {
			begin = i
		}
		if kind&Wildcard != 0 && i > 0 {
			begin = labelBefore(host, i-1)
		}
	}
	if begin < 0 {
		return labelBefore(host, len(host))
	}
	return begin
}

// Registrable returns the public suffix of a host with the label before it: what
// one registers, "example.co.uk" of "www.example.co.uk". It returns false for a
// host that is a public suffix itself, and one with an empty label.
func Registrable(host string) (string, bool) {
	i := Public(host)
	if i == 0 {
		return "", false
	}
	begin := labelBefore(host, i-1)
	if begin == i-1 || i == len(host) {
		return "", false
	}
	return host[begin:], true
}

// Within returns a public suffix that is the host or below it, such as
// s3.amazonaws.com for amazonaws.com: the names below such a host belong to more
// than one owner. It returns false where all belong to one.
func Within(host string) (string, bool) {
	if Public(host) == 0 {
		return host, true
	}
	state, more := Start, true
	for i := len(host) - 1; i >= 0 && more; i-- {
		state, more = state.Next(host[i])
	}
	if !more {
		return "", false
	}
	if state.Kind()&Wildcard != 0 {
		return "any." + host, true
	}
	if state, more = state.Next('.'); !more {
		return "", false
	}
	// Rules follow for certain: the first one in the order of the table.
	name := "." + host
	for state.Kind()&(Rule|Wildcard) == 0 {
		e, _, _ := edgeAt(uint32(state))
		name = string(symbols[e.symbol-firstSymbol]) + name
		state = e.next
	}
	if state.Kind()&Rule == 0 {
		name = "any." + name
	}
	return name, true
}

// labelBefore returns where the label begins that ends at end.
func labelBefore(host string, end int) int {
	for end > 0 && host[end-1] != '.' {
		end--
	}
	return end
}

// parent returns where the host of one label less begins than the one at begin.
func parent(host string, begin int) int {
	for begin < len(host) && host[begin] != '.' {
		begin++
	}
	return begin + 1
}
