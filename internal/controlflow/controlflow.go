// Package controlflow gives functions of a module that Go's compiler made their
// control flow back.
//
// Go knows goroutines and WebAssembly knows no way to leave a function in the middle
// and to come back. So Go's compiler numbers the basic blocks of each function, wraps
// them into one loop, and every branch, a loop's and an if's alike, says the number of
// the next block and goes through a table at the top of that loop. Engines cannot see
// through this: nothing stays in registers from one block to the next, and to compile
// it takes them half as long again.
//
// This package rewrites such a function with WebAssembly's own branches. Tables are
// left for what they are needed for: a goroutine that comes back into the middle, as it
// does after its stack was moved or when a panic is recovered. All that a block expects
// then of the ones before stands on Go's stack, in memory.
//
// What the compiler makes is described in cmd/internal/obj/wasm of Go's sources.
// A function that looks otherwise stays as it is.
package controlflow

import (
	"errors"
	"fmt"
	"strings"
)

// Report says what Restructure did.
type Report struct {
	// Restructured are the rewritten functions, Left those of which
	// something is not known, with the reason.
	Restructured, Left []string
	// Irreducible are those with a loop that has two beginnings, which WebAssembly has
	// no branches for. They stay as they are.
	Irreducible []string
}

// String is the report in one line.
func (r Report) String() string {
	line := fmt.Sprintf("%d functions restructured, %d stay since a loop has two beginnings", len(r.Restructured), len(r.Irreducible))
	if len(r.Left) > 0 {
		line += "; left as the compiler made them: " + strings.Join(r.Left, "; ")
	}
	return line
}

// Restructure rewrites the functions of a module. A function of which something is
// not known stays as it is, and if need be the whole module: the report says what. The
// module must have the names of its functions (go build without -ldflags=-s), and
// keeps them.
func Restructure(wasm []byte) (restructured []byte, report Report) {
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
	for i, body := range m.bodies {
		name := m.names[m.imports+uint64(i)]
		switch rewritten, err := restructure(body, neverBack); err {
		case errNoBranches:
		case errIrreducible:
			report.Irreducible = append(report.Irreducible, name)
		case nil:
			m.bodies[i] = rewritten
			report.Restructured = append(report.Restructured, name)
		default:
			left(name, err)
		}
	}
	return m.bytes(true), report
}

// restructure rewrites the body of a function.
func restructure(body []byte, neverBack map[uint64]bool) (rewritten []byte, err error) {
	defer caught(&err)
	f, err := parseFunction(body, neverBack)
	if err != nil {
		return nil, err
	}
	if err := f.addDoors(); err != nil {
		return nil, err
	}
	g, err := f.graph()
	if err != nil {
		return nil, err
	}
	return g.structured(), nil
}

// Strip takes the names out of a module.
func Strip(wasm []byte) []byte {
	m, err := readModule(wasm)
	if err != nil {
		return wasm
	}
	return m.bytes(false)
}
