package automaton

import (
	"regexp/syntax"
	"unicode"
)

// bytes128 is a set of ASCII characters.
type bytes128 [2]uint64

func (s *bytes128) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *bytes128) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s *bytes128) addRange(lo, hi rune) {
	for c := max(lo, 0); c <= min(hi, unicode.MaxASCII); c++ {
		s.add(byte(c))
	}
}

var (
	wordBytes = func() (s bytes128) {
		s.addRange('0', '9')
		s.addRange('A', 'Z')
		s.addRange('a', 'z')
		s.add('_')
		return
	}()
	newlineBytes = func() (s bytes128) { s.add('\n'); return }()
	allBytes     = bytes128{^uint64(0), ^uint64(0)}
	notNewline   = bytes128{^uint64(1 << '\n'), ^uint64(0)}
)

// instruction is one of a regex's program: it takes a character of a set, asks for
// a condition, branches, or is the end.
type instruction struct {
	op        opcode
	out, arg  uint16
	condition syntax.EmptyOp
	set       uint16 // of sets
}

type opcode uint8

const (
	opFail opcode = iota
	opSet
	opIf
	opGoto
	opSplit
	opMatch
)

// program is a regex's program over sets of ASCII characters.
type program struct {
	code       []instruction
	sets       []bytes128
	members    []bytes128 // the classes of bytes in each set
	start      uint16
	conditions syntax.EmptyOp // all that are asked for
}

// translate reads the library's program. What it takes beyond ASCII is left out.
func translate(p *syntax.Prog) *program {
	prog := &program{code: make([]instruction, len(p.Inst)), start: uint16(p.Start)}
	known := map[bytes128]uint16{}
	take := func(i int, set bytes128) {
		if set == (bytes128{}) {
			return
		}
		n, ok := known[set]
		if !ok {
			n = uint16(len(prog.sets))
			known[set] = n
			prog.sets = append(prog.sets, set)
		}
		prog.code[i].op, prog.code[i].set = opSet, n
	}
	for i := range p.Inst {
		inst := &p.Inst[i]
		to := &prog.code[i]
		to.out, to.arg = uint16(inst.Out), uint16(inst.Arg)
		switch inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			to.op = opSplit
		case syntax.InstCapture, syntax.InstNop:
			to.op = opGoto
		case syntax.InstMatch:
			to.op = opMatch
		case syntax.InstEmptyWidth:
			to.op, to.condition = opIf, syntax.EmptyOp(inst.Arg)
			prog.conditions |= to.condition
		case syntax.InstRune, syntax.InstRune1:
			take(i, runes(inst))
		case syntax.InstRuneAny:
			take(i, allBytes)
		case syntax.InstRuneAnyNotNL:
			take(i, notNewline)
		}
	}
	return prog
}

// runes is the ASCII part of what an instruction takes. One rune may stand for
// others that differ by case alone, which may be outside of ASCII on either side.
func runes(inst *syntax.Inst) (set bytes128) {
	if len(inst.Rune) == 1 {
		if r := inst.Rune[0]; r <= unicode.MaxASCII && r >= 0 {
			set.add(byte(r))
		}
		if syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
			for r := unicode.SimpleFold(inst.Rune[0]); r != inst.Rune[0]; r = unicode.SimpleFold(r) {
				if r <= unicode.MaxASCII {
					set.add(byte(r))
				}
			}
		}
		return set
	}
	for i := 0; i+1 < len(inst.Rune); i += 2 {
		set.addRange(inst.Rune[i], inst.Rune[i+1])
	}
	return set
}

// The conditions of a regex look at the characters on both sides of a place, of
// which these are the kinds.
type kind uint8

const (
	edge kind = iota // there is none
	newline
	word
	other
)

// holding returns the conditions that hold between two kinds of characters.
func holding(before, after kind) (c syntax.EmptyOp) {
	if before == edge {
		c |= syntax.EmptyBeginText | syntax.EmptyBeginLine
	}
	if before == newline {
		c |= syntax.EmptyBeginLine
	}
	if after == edge {
		c |= syntax.EmptyEndText | syntax.EmptyEndLine
	}
	if after == newline {
		c |= syntax.EmptyEndLine
	}
	if (before == word) != (after == word) {
		return c | syntax.EmptyWordBoundary
	}
	return c | syntax.EmptyNoWordBoundary
}

const (
	aboutWords = syntax.EmptyWordBoundary | syntax.EmptyNoWordBoundary
	aboutLines = syntax.EmptyBeginLine | syntax.EmptyEndLine
)

// kindOf is the kind of a character as far as the program tells kinds apart: fewer
// kinds are fewer states.
func (p *program) kindOf(c byte) kind {
	switch {
	case p.conditions&aboutLines != 0 && c == '\n':
		return newline
	case p.conditions&aboutWords != 0 && wordBytes.has(c):
		return word
	}
	return other
}

// kindAtStart is what stands before the first character; where the program does
// not ask, it is as any other place.
func (p *program) kindAtStart() kind {
	if p.conditions&(syntax.EmptyBeginText|syntax.EmptyBeginLine) != 0 {
		return edge
	}
	return other
}
