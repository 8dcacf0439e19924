package controlflow

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// A function as Go's compiler makes it is
//
//	locals; global.get 0; local.set 1        SP, kept in a local
//	block                                    left to unwind the stack; not in all
//	  loop                                   left by no branch; not in all
//	    block … block                        as many as there are segments
//	      local.get 0; br_table              the segment where to begin
//	    end
//	    segment 0
//	    end
//	    segment 1
//	    …
//	  end
//	  unreachable
//	end; i32.const 1                         what unwinding returns
//	end
//
// A branch is i32.const n; local.set 0; br to the loop: the table says which segment
// n is. One that depends on something is that within if … end. From the end of a
// segment it goes on with the next one.

var (
	errShape = errors.New("it has another shape")
	// errNoBranches is about functions that there is nothing to do for.
	errNoBranches = errors.New("it has no branches")
)

// start is how a function begins behind its locals: it copies the stack pointer.
var start = []byte{opGlobalGet, 0, opLocalSet, 1}

// startOfCall is how a call begins, which makes room on the stack.
var startOfCall = [][]byte{{opLocalGet, 1}, {opI32Const, 8}, {opI32Sub}}

// piece is an instruction that stays as it is, or a branch that leaves the segment.
type piece struct {
	raw    []byte // of an instruction; nil for a branch
	branch byte   // opBr, opBrIf or opBrTable
	to     []int  // the segments, or unwind
	within int    // how many blocks of the segment's own a branch to unwind stands in
}

// unwind is where a branch goes that unwinds the stack.
const unwind = -1

type segment struct {
	pieces  []piece
	next    int  // the segment that it goes on with; -1: none
	ends    bool // it never goes on with another one
	resumes bool // a goroutine may come back to its beginning
}

type function struct {
	locals   []byte
	unwinds  bool     // the stack is unwound where a call wants that
	table    []uint64 // the segment where to begin, by the number that is called for
	entry    int
	segments []segment
}

// parseFunction takes a function's body apart. neverBack are the functions that do
// not return.
func parseFunction(body []byte, neverBack map[uint64]bool) (*function, error) {
	r := &reader{b: body}
	r.skipLocals()
	f := &function{locals: body[:r.at]}
	if !bytes.HasPrefix(body[r.at:], start) {
		return nil, errNoBranches // it follows another convention, as exports do
	}
	r.take(uint64(len(start)))
	var opens []byte
	in := r.instruction()
	for ; in.op == opBlock || in.op == opLoop; in = r.instruction() {
		opens = append(opens, in.op)
	}
	loop := bytes.IndexByte(opens, opLoop)
	if loop < 0 {
		return nil, errNoBranches
	}
	count := len(opens) - loop - 1
	if loop > 1 || count == 0 || in.op != opLocalGet || in.arg != 0 {
		return nil, errShape
	}
	f.unwinds = loop == 1
	table := r.instruction()
	if table.op != opBrTable || r.instruction().op != opEnd {
		return nil, errShape
	}
	for _, to := range table.table {
		if to >= uint64(count) {
			return nil, errShape
		}
	}
	f.table, f.entry = table.table, int(table.table[0])
	f.segments = make([]segment, count)
	for i := range f.segments {
		// So many blocks are still open around it, and the loop behind them.
		if f.segments[i].next = i + 1; i+1 == count {
			f.segments[i].next = -1
		}
		if err := f.parseSegment(r, i, count-1-i, neverBack); err != nil {
			return nil, err
		}
	}
	tail := []byte{opUnreachable, opEnd}
	if f.unwinds {
		tail = []byte{opUnreachable, opEnd, opI32Const, 1, opEnd}
	}
	if !bytes.Equal(body[r.at:], tail) {
		return nil, errShape
	}
	return f, nil
}

// neverBack are the functions that do not come back to the block that calls them: Go's,
// of which no instruction returns, and which end with a trap or by saying that the
// stack is to be unwound. What stands behind a call of one belongs to another block,
// which is not reached from there. Whatever else is taken to come back.
func (m *module) neverBack() map[uint64]bool {
	all := map[uint64]bool{}
	for i, body := range m.bodies {
		r := &reader{b: body}
		r.skipLocals()
		code, err := instructions(body)
		all[m.imports+uint64(i)] = err == nil && bytes.HasPrefix(body[r.at:], start) && ends(code) && !returns(code)
	}
	return all
}

// ends reports whether a function ends with a trap, or by unwinding the stack.
func ends(code []instruction) bool {
	is := func(tail ...byte) bool {
		at := len(code) - len(tail)
		return at >= 0 && slices.EqualFunc(code[at:], tail, func(in instruction, op byte) bool { return in.op == op })
	}
	return is(opUnreachable, opEnd) || is(opUnreachable, opEnd, opI32Const, opEnd) && code[len(code)-2].value == 1
}

// returns reports whether an instruction of a function returns, which a branch out of
// everything does as well.
func returns(code []instruction) bool {
	within := uint64(0)
	for _, in := range code {
		switch in.op {
		case opBlock, opLoop, opIf:
			within++
		case opEnd:
			within--
		case opReturn:
			return true
		case opBr, opBrIf:
			if in.arg >= within {
				return true
			}
		case opBrTable:
			if slices.Max(in.table) >= within {
				return true
			}
		}
	}
	return false
}

// parseSegment reads a segment with its end.
func (f *function) parseSegment(r *reader, i, open int, neverBack map[uint64]bool) error {
	s := &f.segments[i]
	within := 0
	gone := false    // nothing that follows is reached
	behindCall := -1 // how many pieces stand before that
	for {
		in := r.instruction()
		switch in.op {
		case opEnd:
			if within == 0 {
				s.ends = gone
				return f.endOfSegment(i, behindCall)
			}
			within--
		case opBlock, opLoop, opIf:
			within++
		case opElse, opBrTable:
			return errShape
		case opCall, opCallIndirect:
			if in.op == opCall && neverBack[in.arg] && within == 0 {
				s.pieces = append(s.pieces, piece{raw: in.raw})
				return f.endBehindCall(r, s)
			}
		case opBr, opBrIf:
			switch outer := int(in.arg) - within; {
			case outer < 0: // a block of its own
			case outer == open && in.op == opBr:
				if err := s.parseJump(r, &within, f.table); err != nil {
					return err
				}
				gone = gone || s.last().branch == opBr && within == 0
				continue
			case outer == open+1 && f.unwinds:
				s.pieces = append(s.pieces, piece{branch: in.op, to: []int{unwind}, within: within})
				if within == 0 {
					gone, behindCall = gone || in.op == opBr, len(s.pieces)
				}
				continue
			default:
				return errShape
			}
		case opReturn, opUnreachable:
			gone = gone || within == 0
		}
		s.pieces = append(s.pieces, piece{raw: in.raw})
	}
}

// endBehindCall reads the rest of a segment that ends with a call which does not come
// back: it unwinds the stack, or nothing.
func (f *function) endBehindCall(r *reader, s *segment) error {
	for {
		switch in := r.instruction(); in.op {
		case opGlobalGet, opLocalSet: // of the stack pointer
			s.pieces = append(s.pieces, piece{raw: in.raw})
		case opBrIf:
			s.pieces = append(s.pieces, piece{branch: opBrIf, to: []int{unwind}})
		case opEnd:
			s.pieces = append(s.pieces, piece{raw: []byte{opUnreachable}})
			s.ends = true
			return nil
		default:
			return fmt.Errorf("instruction %#x stands behind a call that does not return", in.op)
		}
	}
}

// endOfSegment notes what goroutines may come back to: the segment behind a call, and
// one that begins with a call, before which there is nothing to compute. The compiler
// has the call of deferred functions begin a segment, and the runtime goes on there when
// a panic was recovered.
func (f *function) endOfSegment(i, behindCall int) error {
	s := &f.segments[i]
	if i != f.entry && s.beginsWithCall() {
		s.resumes = true
	}
	if behindCall < 0 {
		return nil
	}
	if behindCall != len(s.pieces) || i+1 == len(f.segments) {
		return errShape
	}
	f.segments[i+1].resumes = true
	return nil
}

func (s *segment) beginsWithCall() bool {
	pieces := s.pieces
	for len(pieces) > 0 && bytes.Equal(pieces[0].raw, []byte{opNop}) {
		pieces = pieces[1:]
	}
	return len(pieces) >= len(startOfCall) && slices.EqualFunc(pieces[:len(startOfCall)], startOfCall, func(p piece, raw []byte) bool {
		return bytes.Equal(p.raw, raw)
	})
}

func (s *segment) last() *piece { return &s.pieces[len(s.pieces)-1] }

// drop takes the last piece off, which must be an instruction of that kind.
func (s *segment) drop(op byte) (raw []byte, ok bool) {
	if len(s.pieces) == 0 || s.last().raw == nil || s.last().raw[0] != op {
		return nil, false
	}
	raw = s.last().raw
	s.pieces = s.pieces[:len(s.pieces)-1]
	return raw, true
}

// parseJump makes one piece of a branch to the loop and of what stands before it.
func (s *segment) parseJump(r *reader, within *int, table []uint64) error {
	if set, ok := s.drop(opLocalSet); !ok || set[1] != 0 {
		return errShape
	}
	number, ok := s.drop(opI32Const)
	if !ok {
		return errShape
	}
	n := (&reader{b: number[1:]}).signed()
	if n < 0 || n >= int64(len(table)) {
		return errShape
	}
	p := piece{branch: opBr, to: []int{int(table[n])}}
	if *within > 0 {
		if _, ok := s.drop(opIf); !ok || *within > 1 || r.byte() != opEnd {
			return errShape
		}
		*within, p.branch = 0, opBrIf
	}
	s.pieces = append(s.pieces, p)
	return nil
}
