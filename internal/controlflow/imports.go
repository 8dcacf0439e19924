package controlflow

import (
	"bytes"
	"slices"
)

// For each import Go's compiler makes a function (genWasmImportWrapper) that takes the
// arguments off Go's stack, calls the import, and puts the result on the stack. Nothing
// in it branches, and all registers are free where it is called: so what it does stands
// in the place of the call just as well.

var (
	// A function comes back by taking the return address off Go's stack, and by saying
	// that the stack is not to be unwound.
	dropAddress = []byte{opLocalGet, 1, opI32Const, 8, opI32Add, opLocalTee, 1, opGlobalSet, 0}
	comeBack    = append(slices.Clone(dropAddress), opI32Const, 0, opReturn, opUnreachable, opEnd)

	// A function is called with the number of the block to begin with. Behind the call
	// the stack pointer is copied, and the function left where the stack is unwound.
	fromTheStart = []byte{opI32Const, 0}
	behindCall   = start
)

// forwarders returns what the functions do that call an import and nothing else, by
// their numbers: all between the start and coming back.
func (m *module) forwarders() map[uint64][]byte {
	all := map[uint64][]byte{}
	for i, body := range m.bodies {
		if inner, ok := forwarded(body, m.imports); ok {
			all[m.imports+uint64(i)] = inner
		}
	}
	return all
}

func forwarded(body []byte, imports uint64) (inner []byte, ok bool) {
	r := &reader{b: body}
	r.skipLocals()
	if inner, ok = bytes.CutPrefix(body[r.at:], start); !ok {
		return nil, false
	}
	if inner, ok = bytes.CutSuffix(inner, comeBack); !ok {
		return nil, false
	}
	calls := 0
	for r = (&reader{b: inner}); r.more(); {
		switch in := r.instruction(); {
		case in.op == opCall && in.arg < imports:
			calls++
		case in.op >= opLocalGet && in.op <= opLocalTee && (in.arg == 1 || in.arg == register):
			// The stack pointer, and where the result is for a moment.
		case in.op == opGlobalGet && in.arg == 0:
		case in.op >= opFirstLoad && in.op <= opLastStore, in.op == opI64ExtendI32U:
		default:
			return nil, false
		}
	}
	return inner, calls == 1
}

// inline puts what forwarders do in the place of the calls to them.
func (f *function) inline(forwarders map[uint64][]byte) {
	if !f.hasRegister() {
		return
	}
	for i := range f.segments {
		s := &f.segments[i]
		for at := 1; at+3 < len(s.pieces); at++ {
			p := s.pieces[at-1 : at+4]
			inner, ok := forwarders[p[1].callee()]
			if ok && bytes.Equal(p[0].raw, fromTheStart) && bytes.Equal(slices.Concat(p[2].raw, p[3].raw), behindCall) && p[4].kind == leaveIf {
				s.pieces = slices.Replace(s.pieces, at-1, at+4, pieces(inner, dropAddress)...)
			}
		}
	}
}

// callee is the number of the function that the piece calls, or that of an import where
// it calls none.
func (p *piece) callee() uint64 {
	if !p.is(opCall) {
		return 0
	}
	return (&reader{b: p.raw[1:]}).unsigned()
}

// register is the local that the first of Go's registers is, 64 bits wide. Locals
// before it are the parameter and the stack pointer.
const register = 2

// hasRegister reports whether the function has it.
func (f *function) hasRegister() bool {
	groups := f.localGroups()
	return len(groups) > 1 && groups[0] == localGroup{1, typeI32} && groups[1].typ == typeI64 && groups[1].n > 0
}
