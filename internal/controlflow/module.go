package controlflow

import (
	"encoding/binary"
	"fmt"
)

// The parts of WebAssembly's binary format that are needed (WebAssembly Core
// Specification, section 5).

const (
	sectionCustom = 0
	sectionImport = 2
	sectionCode   = 10
)

const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opFirstLoad    = 0x28
	opLastStore    = 0x3e
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opFirstNumeric = 0x45
	opI32Sub       = 0x6b
	opLastNumeric  = 0xc4
	opPrefixed     = 0xfc

	i32      = 0x7f
	noResult = 0x40 // the type of a block
)

// malformed is what reading panics with where it cannot go on. caught makes an error
// of it.
type malformed string

func (m malformed) Error() string { return string(m) }

func caught(err *error) {
	switch p := recover().(type) {
	case nil:
	case malformed:
		*err = p
	default:
		panic(p)
	}
}

type reader struct {
	b  []byte
	at int
}

func (r *reader) more() bool { return r.at < len(r.b) }

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)-r.at) {
		panic(malformed("it is cut short"))
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at]
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) unsigned() uint64 {
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 {
		panic(malformed("a number does not end"))
	}
	r.at += n
	return v
}

func (r *reader) signed() (v int64) {
	for shift := 0; ; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if c&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

func (r *reader) text() string { return string(r.take(r.unsigned())) }

// instruction is one of a function.
type instruction struct {
	op    byte
	raw   []byte   // all of it
	arg   uint64   // of a branch, a call, a local, a global
	value int64    // of a constant of 32 bits
	table []uint64 // of br_table, the default last
}

func (r *reader) instruction() (in instruction) {
	start := r.at
	in.op = r.byte()
	switch op := in.op; {
	case op == opBlock || op == opLoop || op == opIf || op == opMemorySize || op == opMemoryGrow:
		if r.byte() >= 0x80 {
			panic(malformed(fmt.Sprintf("instruction %#x has a number where Go's has a letter", op)))
		}
	case op == opBr || op == opBrIf || op == opCall || op >= opLocalGet && op <= opGlobalSet:
		in.arg = r.unsigned()
	case op == opBrTable:
		for n := r.unsigned() + 1; n > 0; n-- {
			in.table = append(in.table, r.unsigned())
		}
	case op == opCallIndirect || op >= opFirstLoad && op <= opLastStore:
		r.unsigned()
		r.unsigned()
	case op == opI32Const:
		in.value = r.signed()
	case op == opI64Const:
		r.signed()
	case op == opF32Const:
		r.take(4)
	case op == opF64Const:
		r.take(8)
	case op == opPrefixed:
		switch sub := r.unsigned(); {
		case sub <= 7: // truncations
		case sub == 10: // memory.copy
			r.take(2)
		case sub == 11: // memory.fill
			r.byte()
		default:
			panic(malformed(fmt.Sprintf("instruction %#x %d is not known", op, sub)))
		}
	case op <= opNop || op == opElse || op == opEnd || op == opReturn || op == opDrop || op == opSelect || op >= opFirstNumeric && op <= opLastNumeric:
	default:
		panic(malformed(fmt.Sprintf("instruction %#x is not known", op)))
	}
	in.raw = r.b[start:r.at]
	return in
}

// skipLocals passes over the declaration of a function's locals.
func (r *reader) skipLocals() {
	for n := r.unsigned(); n > 0; n-- {
		r.unsigned()
		r.byte()
	}
}

// instructions are those of a function's body, up to one that is not known.
func instructions(body []byte) (all []instruction, err error) {
	defer caught(&err)
	r := &reader{b: body}
	for r.skipLocals(); r.more(); {
		all = append(all, r.instruction())
	}
	return all, nil
}

// module is a module taken apart as far as its functions go.
type module struct {
	header   []byte
	sections []section
	imports  uint64            // functions, which are numbered before all others
	bodies   [][]byte          // of the others
	names    map[uint64]string // of functions
}

type section struct {
	id   byte
	data []byte
}

func readModule(wasm []byte) (m *module, err error) {
	defer caught(&err)
	r := &reader{b: wasm}
	m = &module{header: r.take(8), names: map[uint64]string{}}
	for r.more() {
		s := section{r.byte(), r.take(r.unsigned())}
		m.sections = append(m.sections, s)
		switch r := (&reader{b: s.data}); s.id {
		case sectionImport:
			m.readImports(r)
		case sectionCode:
			for n := r.unsigned(); n > 0; n-- {
				m.bodies = append(m.bodies, r.take(r.unsigned()))
			}
		case sectionCustom:
			if r.text() == nameSection {
				m.readNames(r)
			}
		}
	}
	return m, nil
}

func (m *module) readImports(r *reader) {
	for n := r.unsigned(); n > 0; n-- {
		module, name := r.text(), r.text()
		if kind := r.byte(); kind != 0 {
			panic(malformed(module + "." + name + " is an import and no function"))
		}
		r.unsigned()
		m.imports++
	}
}

// The section of names has one part with those of functions.
const (
	nameSection   = "name"
	functionNames = 1
)

func (m *module) readNames(r *reader) {
	for r.more() {
		id, part := r.byte(), &reader{b: r.take(r.unsigned())}
		if id != functionNames {
			continue
		}
		for n := part.unsigned(); n > 0; n-- {
			index := part.unsigned()
			m.names[index] = part.text()
		}
	}
}

// bytes is the module put together again, with its custom sections, of which the names
// are one, or without. Functions keep their numbers.
func (m *module) bytes(named bool) []byte {
	wasm := append([]byte(nil), m.header...)
	for _, s := range m.sections {
		data := s.data
		switch s.id {
		case sectionCustom:
			if !named {
				continue
			}
		case sectionCode:
			data = binary.AppendUvarint(nil, uint64(len(m.bodies)))
			for _, body := range m.bodies {
				data = append(binary.AppendUvarint(data, uint64(len(body))), body...)
			}
		}
		wasm = append(binary.AppendUvarint(append(wasm, s.id), uint64(len(data))), data...)
	}
	return wasm
}
