// Package controlflow gives functions of a module that Go's compiler made their
// control flow back.
//
// Go knows goroutines and WebAssembly knows no way to leave a function in the middle
// and to come back. So Go's compiler numbers the basic blocks of each function, wraps
// them into one loop, and every branch, a loop's and an if's alike, says the number of
// the next block and goes through a table at the top of that loop. Engines can not see
// through this: nothing stays in registers from one block to the next.
//
// Here such a function gets a second form, in which branches are WebAssembly's own.
// It is right whenever the function is entered at its beginning. Where a goroutine
// comes back into the middle of it, which it does after its stack was moved or when a
// panic is recovered, the old form goes on: all that a block expects of the ones
// before stands on Go's stack, in memory.
//
// What the compiler makes is described in cmd/internal/obj/wasm of Go's sources.
// A function that looks otherwise stays as it is.
package controlflow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"corsfilter/internal/hotpath"
)

// Report says what Restructure did.
type Report struct {
	// Restructured are the functions that got a second form, Left those that should
	// have and did not, with the reason.
	Restructured, Left []string
}

// String is the report in one line.
func (r Report) String() string {
	line := fmt.Sprintf("%d functions restructured", len(r.Restructured))
	if len(r.Left) > 0 {
		line += "; left as the compiler made them: " + strings.Join(r.Left, "; ")
	}
	return line
}

// Module gives the filter's functions that streams run through a second form.
func Module(wasm []byte) ([]byte, Report) {
	return Restructure(wasm, "corsfilter_", slices.Sorted(maps.Keys(hotpath.Callbacks)), hotpath.Cold)
}

// Restructure gives the functions whose symbols have the prefix, as far as calls lead
// to them from the exports, a second form; those that are cold, by their names without
// package and receiver, stay as they are. So does every function, and if need be the
// whole module, of which something is not known: the report says what. The module must
// have the names of its functions (go build without -ldflags=-s), and keeps them.
func Restructure(wasm []byte, prefix string, exports []string, cold func(name string) bool) (restructured []byte, report Report) {
	left := func(what string, err error) { report.Left = append(report.Left, what+": "+err.Error()) }
	m, err := readModule(wasm)
	if err == nil && len(m.names) == 0 {
		err = errors.New("it has no names of functions; build it without -ldflags=-s")
	}
	if err != nil {
		left("the module", err)
		return wasm, report
	}
	neverBack := m.neverBack()
	for _, index := range m.reached(prefix, exports, cold, left) {
		name := m.names[index]
		switch err := m.secondForm(index, neverBack); err {
		case errNoBranches:
		case nil:
			report.Restructured = append(report.Restructured, name)
		default:
			left(name, err)
		}
	}
	return m.bytes(true), report
}

// secondForm gives a function a second form, or leaves it as it is.
func (m *module) secondForm(index uint64, neverBack map[uint64]bool) (err error) {
	defer caught(&err)
	typ, body := m.types[index-m.imports], m.bodies[index-m.imports]
	f, err := parseFunction(body, neverBack)
	if err != nil {
		return err
	}
	g, err := f.graph()
	if err != nil {
		return err
	}
	structured := g.structured(m.imports + uint64(len(m.bodies)))
	if f.calls {
		m.add(typ, body, m.names[index]+".resumed")
	}
	m.bodies[index-m.imports] = structured
	return nil
}

// Strip takes the names out of a module.
func Strip(wasm []byte) []byte {
	m, err := readModule(wasm)
	if err != nil {
		return wasm
	}
	return m.bytes(false)
}

// nameOf is a function's name without package and receiver, and without the types
// that a generic one is made for.
func nameOf(symbol string) string {
	name, _, _ := strings.Cut(symbol, "_go.shape.")
	return name[strings.LastIndexByte(name, '.')+1:]
}

// reached returns the functions that calls lead to from the exports, in the order of
// their numbers. A function literal is reached with the function that it stands in:
// what is deferred is called through a table.
func (m *module) reached(prefix string, exports []string, cold func(string) bool, left func(string, error)) (all []uint64) {
	var queue []uint64
	seen := map[uint64]bool{}
	add := func(index uint64) {
		if index >= m.imports && !seen[index] {
			seen[index] = true
			queue = append(queue, index)
		}
	}
	for _, name := range exports {
		if index, ok := m.exports[name]; ok {
			add(index)
		} else {
			left(name, errors.New("the module does not export it"))
		}
	}
	for len(queue) > 0 {
		index := queue[0]
		queue = queue[1:]
		if symbol := m.names[index]; strings.HasPrefix(symbol, prefix) {
			if cold(nameOf(symbol)) {
				continue
			}
			all = append(all, index)
		} else if !slices.Contains(exports, m.names[index]) {
			continue // not ours, and what it calls is not either
		}
		code, _ := instructions(m.bodies[index-m.imports])
		for _, in := range code {
			if in.op == opCall {
				add(in.arg)
			}
		}
		for other, name := range m.names {
			if strings.HasPrefix(name, m.names[index]+".func") {
				add(other)
			}
		}
	}
	slices.Sort(all)
	return all
}
