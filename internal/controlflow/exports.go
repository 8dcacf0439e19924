package controlflow

// What the proxy calls is a function that Go's compiler makes (genWasmExportWrapper):
// it puts the arguments on Go's stack and calls the function in question. It reads the
// stack pointer from memory, where engines keep globals, for each of them, and waits
// each time for what it has just written there.

// keepStackPointer makes such a function, which has so many parameters, keep the stack
// pointer in a local as far as nothing is called in between.
func keepStackPointer(body []byte, params uint64, neverBack map[uint64]bool) []byte {
	r := &reader{b: body}
	r.skipLocals()
	if r.at != 1 || params > 0x7f {
		return body // it has locals of its own
	}
	local := byte(params)
	kept := []byte{1, 1, typeI32}
	known := false
	var before []bool // what was known before each if that is open
	for r.more() {
		in := r.instruction()
		switch {
		case in.op == opGlobalGet && in.arg == 0 && known:
			kept = append(kept, opLocalGet, local)
			continue
		case in.op == opGlobalGet && in.arg == 0:
			kept = append(kept, opGlobalGet, 0, opLocalTee, local)
			known = true
			continue
		case in.op == opGlobalSet && in.arg == 0:
			kept = append(kept, opLocalTee, local)
			known = true
		case in.op == opCall:
			known = known && neverBack[in.arg]
		case in.op == opIf:
			before = append(before, known)
		case in.op == opEnd && len(before) > 0:
			known = known && before[len(before)-1]
			before = before[:len(before)-1]
		case in.op == opBlock, in.op == opLoop, in.op == opElse, in.op == opCallIndirect:
			return body // it has another shape
		}
		kept = append(kept, in.raw...)
	}
	return kept
}

// keepStackPointers does that for the functions that are exported.
func (m *module) keepStackPointers(exports []string, neverBack map[uint64]bool) {
	for _, name := range exports {
		i := m.exports[name] - m.imports
		m.bodies[i] = keepStackPointer(m.bodies[i], m.params[m.types[i]], neverBack)
	}
}
