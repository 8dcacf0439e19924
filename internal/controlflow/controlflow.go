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
// Three things more cost time for the same reason, that they go through memory or
// through 64 bits where nothing needs it, and are straightened out: conditions
// (conditions.go), calls of imports (imports.go), and what the proxy calls (exports.go).
// And a module that has started takes less memory (blocks.go).
//
// What the compiler makes is described in cmd/internal/obj/wasm of Go's sources.
// A function that looks otherwise stays as it is.
package controlflow

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"corsfilter/internal/hotpath"
)

// Report says what Restructure did.
type Report struct {
	// Restructured are the functions that got a second form, Left those that have
	// branches and did not, with the reason.
	Restructured []string
	Left         []string
	// HalfBlocks says that the runtime takes half as large blocks of memory.
	HalfBlocks bool
}

// noReturn are functions that never come back to the block that calls them, by their
// names: what stands behind such a call belongs to another block, which is not
// reached from there. (runtime.panicCheck1 and its like do come back.)
var noReturn = regexp.MustCompile(`^runtime\.(sigpanic|gopanic|goPanic\w*|panic[a-z]\w*|notInitialized|throw|fatal\w*)$`)

// Module gives the filter's functions that streams run through a second form.
func Module(wasm []byte) ([]byte, Report, error) {
	return Restructure(wasm, "corsfilter_", slices.Sorted(maps.Keys(hotpath.Callbacks)), hotpath.Cold)
}

// Restructure gives the functions whose symbols have the prefix, as far as calls lead
// to them from the exports, a second form; those that are cold, by their names without
// package and receiver, stay as they are. The module must have the names of its
// functions (go build without -ldflags=-s), and keeps them.
func Restructure(wasm []byte, prefix string, exports []string, cold func(name string) bool) (restructured []byte, report Report, err error) {
	defer func() {
		if p := recover(); p != nil {
			bad, ok := p.(malformed)
			if !ok {
				panic(p)
			}
			err = errors.New("not a module as Go's compiler makes it: " + string(bad))
		}
	}()
	m := readModule(wasm)
	if len(m.names) == 0 {
		return nil, report, errors.New("the module has no names of functions; build it without -ldflags=-s")
	}
	neverBack := map[uint64]bool{}
	for index, name := range m.names {
		if noReturn.MatchString(name) {
			neverBack[index] = true
		}
	}
	reached, err := m.reached(prefix, exports, cold)
	if err != nil {
		return nil, report, err
	}
	forwarders := m.forwarders()
	for _, index := range reached {
		name := m.names[index]
		f, err := parseFunction(m.bodies[index-m.imports], neverBack)
		if err == errNoBranches {
			continue
		}
		var g *graph
		if err == nil {
			f.inline(forwarders)
			f.straighten()
			g, err = f.graph()
		}
		if err != nil {
			report.Left = append(report.Left, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		resume := uint64(0)
		if f.calls {
			resume = m.add(m.types[index-m.imports], m.bodies[index-m.imports], name+".resumed")
		}
		m.bodies[index-m.imports] = g.structured(resume)
		report.Restructured = append(report.Restructured, name)
	}
	m.keepStackPointers(exports, neverBack)
	report.HalfBlocks = m.halveBlocks()
	return m.bytes(true), report, nil
}

// Strip takes the names out of a module.
func Strip(wasm []byte) []byte { return readModule(wasm).bytes(false) }

// nameOf is a function's name without package and receiver, and without the types
// that a generic one is made for.
func nameOf(symbol string) string {
	name, _, _ := strings.Cut(symbol, "_go.shape.")
	return name[strings.LastIndexByte(name, '.')+1:]
}

// reached returns the functions that calls lead to from the exports, in the order of
// their numbers. A function literal is reached with the function that it stands in:
// what is deferred is called through a table.
func (m *module) reached(prefix string, exports []string, cold func(string) bool) (all []uint64, err error) {
	var queue []uint64
	seen := map[uint64]bool{}
	add := func(index uint64) {
		if index >= m.imports && !seen[index] {
			seen[index] = true
			queue = append(queue, index)
		}
	}
	for _, name := range exports {
		index, ok := m.exports[name]
		if !ok {
			return nil, fmt.Errorf("the module does not export %s", name)
		}
		add(index)
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
		for _, in := range instructions(m.bodies[index-m.imports]) {
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
	return all, nil
}
