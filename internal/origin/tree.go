package origin

import "strings"

// HostTree maps host names, and all hosts below a name, to values. A look-up
// walks the labels of the host from the right, so that it costs the length of
// the host and not the number of entries. The zero HostTree is empty; it must
// not be changed once it is searched.
type HostTree[T any] struct {
	nodes    []hostNode
	children map[hostEdge]int32
	values   []T
}

// One map for the whole tree, keyed by parent and label, takes a tenth of the
// memory that a map in each node takes.
type hostEdge struct {
	parent int32
	label  string
}

// hostNode holds the places of its values, from 1: most nodes have one or none.
type hostNode struct {
	exact, below int32
}

// Reserve makes room for n hosts, so that adding them does not copy the tree
// over and over: in the module what is left behind stays.
func (t *HostTree[T]) Reserve(n int) {
	if t.children == nil {
		t.children = make(map[hostEdge]int32, n)
		t.nodes = append(make([]hostNode, 0, n+2), hostNode{})
		t.values = make([]T, 0, n)
	}
}

// At returns the value of the host, or of all hosts below it where below is
// set, to be filled in; it is made where it was not there. The pointer is good
// until the next call.
func (t *HostTree[T]) At(host string, below bool) *T {
	t.Reserve(0)
	at := int32(0)
	for more := true; more; {
		var label string
		label, host, more = lastLabel(host)
		edge := hostEdge{at, label}
		next, ok := t.children[edge]
		if !ok {
			next = int32(len(t.nodes))
			t.nodes = append(t.nodes, hostNode{})
			t.children[edge] = next
		}
		at = next
	}
	place := &t.nodes[at].exact
	if below {
		place = &t.nodes[at].below
	}
	if *place == 0 {
		var empty T
		t.values = append(t.values, empty)
		*place = int32(len(t.values))
	}
	return &t.values[*place-1]
}

// Search starts a look-up of the host, which must be in lower case.
func (t *HostTree[T]) Search(host string) HostSearch[T] {
	return HostSearch[T]{tree: t, host: host, end: len(host), more: len(t.nodes) > 0}
}

// HostSearch goes through the values that apply to one host, from the widest
// wildcard to the host itself. It remembers how far it has come as a number: a
// string stored through a pointer would move the host to the heap.
type HostSearch[T any] struct {
	tree *HostTree[T]
	host string
	end  int
	at   int32
	more bool
}

// Next returns the next value that applies, or nil when there is none left.
func (s *HostSearch[T]) Next() *T {
	for s.more {
		label, rest, more := lastLabel(s.host[:s.end])
		next, ok := s.tree.children[hostEdge{s.at, label}]
		if !ok {
			s.more = false
			return nil
		}
		s.at, s.end, s.more = next, len(rest), more
		node := &s.tree.nodes[next]
		if more && node.below != 0 {
			return &s.tree.values[node.below-1]
		}
		if !more && node.exact != 0 {
			return &s.tree.values[node.exact-1]
		}
	}
	return nil
}

// lastLabel cuts the last label off a host. more is false where it was the
// only one. Addresses are cut like names: no pattern has a wildcard in front
// of one, so that they match as a whole or not at all.
func lastLabel(host string) (label, rest string, more bool) {
	i := strings.LastIndexByte(host, '.')
	if i < 0 {
		return host, "", false
	}
	return host[i+1:], host[:i], true
}
