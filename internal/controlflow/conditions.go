package controlflow

import (
	"encoding/binary"
	"slices"
)

// A condition that Go's compiler keeps in one of its registers, if only from one
// instruction to the next, is made 64 bits wide for that, and compared with 0 once or
// twice more before it is branched on. Engines do all of it. straighten takes out what
// makes no difference. What goes into registers still does: another block may read it,
// and what none reads the engine leaves out.
func (f *function) straighten() {
	for i := range f.segments {
		s := &f.segments[i]
		s.pieces = slices.DeleteFunc(s.pieces, func(p piece) bool { return p.is(opNop) })
		for at := 0; at < len(s.pieces); at++ {
			if n, with := f.shorter(s.pieces[at:]); n > 0 {
				s.pieces = slices.Replace(s.pieces, at, at+n, with...)
				at = max(-1, at-2) // with the one before it may be shorter still
			}
		}
	}
}

// shorter returns what the first n pieces can be replaced with, or 0 pieces.
func (f *function) shorter(p []piece) (n int, with []piece) {
	is := func(ops ...byte) bool {
		for i, op := range ops {
			if i >= len(p) || !p[i].is(op) {
				return false
			}
		}
		return true
	}
	switch {
	case is(opI64ExtendI32U, opI32WrapI64):
		return 2, nil
	case is(opI64ExtendI32U, opI64Eqz):
		return 2, pieces([]byte{opI32Eqz})
	case is(opI32Eqz, opI32Eqz) && len(p) > 2 && p[2].asksForZero():
		return 2, nil
	case is(opI64ExtendI32U, opLocalSet, opLocalGet) && slices.Equal(p[1].raw[1:], p[2].raw[1:]) && len(p) > 3 && p[3].narrows():
		return 3, f.beside(p[1].raw[1:])
	case is(opI64ExtendI32U, opLocalTee) && len(p) > 2 && p[2].narrows():
		return 2, f.beside(p[1].raw[1:])
	}
	return 0, nil
}

// is reports whether the piece is such an instruction.
func (p *piece) is(op byte) bool { return p.kind == code && p.raw[0] == op }

// asksForZero reports whether the piece asks of the number before it whether it is 0,
// and nothing else.
func (p *piece) asksForZero() bool {
	return p.kind == jumpIf || p.kind == leaveIf || p.is(opIf) || p.is(opBrIf)
}

// narrows reports whether the piece makes 32 bits of a number of 64.
func (p *piece) narrows() bool { return p.is(opI64Eqz) || p.is(opI32WrapI64) }

// beside puts a number of 32 bits into one of Go's registers, and leaves the same number
// behind without a way through it.
func (f *function) beside(register []byte) []piece {
	spare := f.spareLocal()
	return pieces([]byte{opLocalTee}, spare, []byte{opI64ExtendI32U, opLocalSet}, register, []byte{opLocalGet}, spare, []byte{opI64ExtendI32U})
}

// spareLocal is the number of a local of 32 bits that is not Go's.
func (f *function) spareLocal() []byte {
	if f.spare == nil {
		groups := f.localGroups()
		next := uint64(1) // behind the parameter
		locals := binary.AppendUvarint(nil, uint64(len(groups)+1))
		for _, g := range append(groups, localGroup{1, typeI32}) {
			locals = append(binary.AppendUvarint(locals, g.n), g.typ)
			next += g.n
		}
		f.locals, f.spare = locals, binary.AppendUvarint(nil, next-1)
	}
	return f.spare
}

// localGroup is some locals of one type, behind those of the groups before.
type localGroup struct {
	n   uint64
	typ byte
}

func (f *function) localGroups() (all []localGroup) {
	r := &reader{b: f.locals}
	for n := r.unsigned(); n > 0; n-- {
		all = append(all, localGroup{r.unsigned(), r.byte()})
	}
	return all
}
