package controlflow

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestImportsAreCalledDirectly has no call left to the functions that the compiler makes
// for imports where there is a second form, in the guest and in the module.
func TestImportsAreCalledDirectly(t *testing.T) {
	for name, c := range map[string]struct {
		wasm     []byte
		mend     func([]byte) ([]byte, Report, error)
		callers  []string
		forwards []string
	}{
		"guest": {guestModule(t), func(wasm []byte) ([]byte, Report, error) { return Restructure(wasm, "main.", exported, none) },
			[]string{"main.asks"}, []string{"main.ask", "main.tell"}},
		"module": {filterModule(t), Module,
			[]string{"corsfilter_internal_abi.proxyOnRequestHeaders", "corsfilter_internal_abi.proxyOnResponseHeaders"},
			[]string{"corsfilter_internal_hostcall.proxyGetHeaderMapValue", "corsfilter_internal_hostcall.proxyAddHeaderMapValue"}},
	} {
		mended, report, err := c.mend(c.wasm)
		if err != nil {
			t.Fatal(err)
		}
		m := readModule(mended)
		forwarders := m.forwarders()
		for _, f := range c.forwards {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(forwarders)), func(i uint64) bool { return m.names[i] == f }) {
				t.Errorf("%s: %s is not seen as one that calls an import and nothing else", name, f)
			}
		}
		direct := 0
		for index, function := range m.names {
			if !slices.Contains(report.Restructured, function) {
				continue
			}
			for _, in := range instructions(m.bodies[index-m.imports]) {
				if in.op == opCall && forwarders[in.arg] != nil {
					t.Errorf("%s: %s calls %s", name, function, m.names[in.arg])
				}
				if in.op == opCall && in.arg < m.imports && slices.Contains(c.callers, function) {
					direct++
				}
			}
		}
		if direct < len(c.callers) {
			t.Errorf("%s: %d calls of imports in %q", name, direct, c.callers)
		}
	}
}

// TestBlocksAreHalved has the size of the runtime's blocks where it stands in its sources.
func TestBlocksAreHalved(t *testing.T) {
	for name, wasm := range map[string][]byte{"guest": guestModule(t), "module": filterModule(t)} {
		mended, report, err := Restructure(wasm, "corsfilter_", nil, none)
		if err != nil || !report.HalfBlocks {
			t.Fatalf("%s: %v, %+v", name, err, report)
		}
		m := readModule(mended)
		sizes := map[int64]int{}
		for index, function := range m.names {
			if function == blocksNamed {
				for _, in := range instructions(m.bodies[index-m.imports]) {
					if in.op == opI64Const {
						sizes[(&reader{b: in.raw[1:]}).signed()]++
					}
				}
			}
		}
		if sizes[blockSize] != 0 || sizes[halfBlockSize] != 2 {
			t.Errorf("%s: %v", name, sizes)
		}
		if m.halveBlocks() {
			t.Errorf("%s: halved twice", name)
		}
	}
	size := appendSigned([]byte{opI64Const}, blockSize)
	for name, body := range map[string][]byte{
		"once":     slices.Concat([]byte{0}, size, []byte{opDrop, opEnd}),
		"by three": slices.Concat([]byte{0}, size, []byte{opDrop}, size, []byte{opDrop}, size, []byte{opDrop, opEnd}),
	} {
		m := &module{names: map[uint64]string{0: blocksNamed}, bodies: [][]byte{body}}
		if m.halveBlocks() || !bytes.Equal(m.bodies[0], body) {
			t.Errorf("%s: changed to % x", name, m.bodies[0])
		}
	}
}

// TestForwarders has functions that look nearly like one that calls an import.
func TestForwarders(t *testing.T) {
	const imports = 3
	body := func(inner ...byte) []byte {
		return slices.Concat([]byte{2, 1, typeI32, 1, typeI64}, start, inner, comeBack)
	}
	for name, c := range map[string]struct {
		body []byte
		want bool
	}{
		"an import":                      {body(opLocalGet, 1, opFirstLoad, 2, 8, opCall, 2, opGlobalGet, 0, opLocalSet, 1, opI64ExtendI32U, opLocalSet, 2), true},
		"one without a result":           {body(opCall, 0), true},
		"a function of the module":       {body(opCall, 3), false},
		"two imports":                    {body(opCall, 0, opCall, 1), false},
		"none":                           {body(), false},
		"another register":               {body(opCall, 0, opLocalGet, 3), false},
		"the number of the block":        {body(opCall, 0, opLocalGet, 0), false},
		"another global":                 {body(opCall, 0, opGlobalGet, 1), false},
		"a branch":                       {body(opCall, 0, opBr, 0), false},
		"a global is written":            {body(opCall, 0, opLocalGet, 1, opGlobalSet, 0), false},
		"it comes back in another way":   {slices.Concat([]byte{0}, start, []byte{opCall, 0, opI32Const, 0, opEnd}), false},
		"it begins in another way":       {slices.Concat([]byte{0, opNop}, start, []byte{opCall, 0}, comeBack), false},
		"it is an export's":              {[]byte{0, opCall, 0, opEnd}, false},
		"it unwinds the stack behind it": {slices.Concat([]byte{0}, start, []byte{opCall, 0}, bytes.Replace(comeBack, []byte{opI32Const, 0}, []byte{opI32Const, 1}, 1)), false},
	} {
		if _, ok := forwarded(c.body, imports); ok != c.want {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

// TestOnlyTheWholeCallIsReplaced has calls to a function that forwards, and others.
func TestOnlyTheWholeCallIsReplaced(t *testing.T) {
	raw := func(b ...byte) piece { return piece{raw: b} }
	call := []piece{raw(opI32Const, 0), raw(opCall, 9), raw(opGlobalGet, 0), raw(opLocalSet, 1), {kind: leaveIf}}
	with := func(at int, p piece) []piece {
		other := slices.Clone(call)
		other[at] = p
		return other
	}
	forwarders := map[uint64][]byte{9: {opCall, 0}}
	locals := []byte{2, 1, typeI32, 1, typeI64}
	for name, c := range map[string]struct {
		locals []byte
		pieces []piece
		want   bool
	}{
		"the whole call":              {locals, call, true},
		"another function":            {locals, with(1, raw(opCall, 8)), false},
		"from the middle":             {locals, with(0, raw(opI32Const, 1)), false},
		"the stack pointer elsewhere": {locals, with(3, raw(opLocalSet, 2)), false},
		"no unwinding":                {locals, with(4, raw(opNop)), false},
		"unwinding in any case":       {locals, with(4, piece{kind: leave}), false},
		"cut short":                   {locals, call[:4], false},
		"no register":                 {[]byte{1, 1, typeI32}, call, false},
		"a register of 32 bits":       {[]byte{2, 1, typeI32, 1, typeI32}, call, false},
		"a longer group before it":    {[]byte{2, 2, typeI32, 1, typeI64}, call, false},
	} {
		f := &function{locals: c.locals, segments: []segment{{pieces: slices.Clone(c.pieces)}}}
		f.inline(forwarders)
		got := f.segments[0].pieces
		want := c.pieces
		if c.want {
			want = pieces(forwarders[9], dropAddress)
		}
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func same(a, b piece) bool { return a.kind == b.kind && bytes.Equal(a.raw, b.raw) }

// TestStraighten has what conditions are straightened to.
func TestStraighten(t *testing.T) {
	const wide, zero, zero64, narrow = opI64ExtendI32U, opI32Eqz, opI64Eqz, opI32WrapI64
	// The spare local comes behind local 2, a register.
	const spare = 3
	branch := piece{kind: jumpIf}
	raw := func(code ...byte) []piece { return pieces(code) }
	for name, c := range map[string]struct{ from, to []piece }{
		"no instruction":                   {raw(opNop, opI32Add, opNop), raw(opI32Add)},
		"wide and narrow":                  {raw(wide, narrow), raw()},
		"wide and compared":                {raw(wide, zero64), raw(zero)},
		"compared, wide, compared twice":   {append(raw(zero64, wide, zero64, zero), branch), append(raw(zero64), branch)},
		"compared before it is wide":       {append(raw(zero, wide, zero64), branch), []piece{branch}},
		"not twice where it is a number":   {raw(zero, zero, opI32Add), raw(zero, zero, opI32Add)},
		"twice before an if":               {raw(zero, zero, opIf, noResult), raw(opIf, noResult)},
		"twice before leaving":             {append(raw(zero, zero), piece{kind: leaveIf}), []piece{{kind: leaveIf}}},
		"twice before a branch of its own": {raw(zero, zero, opBrIf, 0), raw(opBrIf, 0)},
		"twice before a jump":              {append(raw(zero, zero), piece{kind: jump}), append(raw(zero, zero), piece{kind: jump})},
		"twice at the end":                 {raw(zero, zero), raw(zero, zero)},
		"through a register": {append(raw(zero64, wide, opLocalSet, 2, opNop, opLocalGet, 2, zero64, zero), branch),
			append(raw(zero64, opLocalTee, spare, wide, opLocalSet, 2, opLocalGet, spare), branch)},
		"kept in a register": {append(raw(zero64, wide, opLocalTee, 2, narrow, zero), branch),
			append(raw(zero64, opLocalTee, spare, wide, opLocalSet, 2, opLocalGet, spare, zero), branch)},
		"through another register": {raw(wide, opLocalSet, 2, opLocalGet, 1, zero64), raw(wide, opLocalSet, 2, opLocalGet, 1, zero64)},
		"for a number of 64 bits":  {raw(wide, opLocalSet, 2, opLocalGet, 2, opLocalSet, 2), raw(wide, opLocalSet, 2, opLocalGet, 2, opLocalSet, 2)},
		"kept and used as it is":   {raw(wide, opLocalTee, 2, opLocalSet, 2), raw(wide, opLocalTee, 2, opLocalSet, 2)},
		"kept at the end":          {raw(wide, opLocalTee, 2), raw(wide, opLocalTee, 2)},
		"narrow and wide":          {raw(narrow, wide), raw(narrow, wide)},
	} {
		f := &function{locals: []byte{2, 1, typeI32, 1, typeI64}, segments: []segment{{pieces: c.from}}}
		f.straighten()
		if got := f.segments[0].pieces; !slices.EqualFunc(got, c.to, same) {
			t.Errorf("%s: %+v\nwant %+v", name, got, c.to)
		}
		want := []byte{2, 1, typeI32, 1, typeI64}
		if f.spare != nil {
			want = []byte{3, 1, typeI32, 1, typeI64, 1, typeI32}
		}
		if !bytes.Equal(f.locals, want) || f.spare != nil != strings.Contains(name, "a register") {
			t.Errorf("%s: locals % x, spare %v", name, f.locals, f.spare)
		}
	}
}

// TestTheStackPointerIsKept has what the proxy calls, as the compiler makes it.
func TestTheStackPointerIsKept(t *testing.T) {
	const local, returns, other = 2, 7, 8 // of two parameters; numbers of functions
	neverBack := map[uint64]bool{7: true}
	for name, c := range map[string]struct{ from, to []byte }{
		"no locals": {
			[]byte{0, opGlobalGet, 0, opI32Eqz, opIf, noResult, opCall, returns, opEnd, opGlobalGet, 0, opGlobalSet, 0, opGlobalGet, 0, opCall, other, opGlobalGet, 0, opGlobalGet, 0, opEnd},
			[]byte{1, 1, typeI32, opGlobalGet, 0, opLocalTee, local, opI32Eqz, opIf, noResult, opCall, returns, opEnd, opLocalGet, local, opLocalTee, local, opGlobalSet, 0, opLocalGet, local, opCall, other,
				opGlobalGet, 0, opLocalTee, local, opLocalGet, local, opEnd},
		},
		"known in an if alone": {
			[]byte{0, opIf, noResult, opGlobalGet, 0, opEnd, opGlobalGet, 0, opEnd},
			[]byte{1, 1, typeI32, opIf, noResult, opGlobalGet, 0, opLocalTee, local, opEnd, opGlobalGet, 0, opLocalTee, local, opEnd},
		},
		"forgotten in an if": {
			[]byte{0, opGlobalGet, 0, opIf, noResult, opCall, other, opEnd, opGlobalGet, 0, opEnd},
			[]byte{1, 1, typeI32, opGlobalGet, 0, opLocalTee, local, opIf, noResult, opCall, other, opEnd, opGlobalGet, 0, opLocalTee, local, opEnd},
		},
		"other globals":      {[]byte{0, opGlobalGet, 1, opGlobalSet, 2, opEnd}, []byte{1, 1, typeI32, opGlobalGet, 1, opGlobalSet, 2, opEnd}},
		"locals of its own":  {[]byte{1, 1, typeI32, opGlobalGet, 0, opGlobalGet, 0, opEnd}, nil},
		"a loop":             {[]byte{0, opGlobalGet, 0, opLoop, noResult, opGlobalGet, 0, opEnd, opEnd}, nil},
		"two ways":           {[]byte{0, opIf, noResult, opGlobalGet, 0, opElse, opGlobalGet, 0, opEnd, opEnd}, nil},
		"a call by a table":  {[]byte{0, opGlobalGet, 0, opCallIndirect, 0, 0, opGlobalGet, 0, opEnd}, nil},
		"a block to jump to": {[]byte{0, opBlock, noResult, opGlobalGet, 0, opEnd, opGlobalGet, 0, opEnd}, nil},
	} {
		if c.to == nil {
			c.to = c.from
		}
		if got := keepStackPointer(c.from, local, neverBack); !bytes.Equal(got, c.to) {
			t.Errorf("%s: % x\nwant % x", name, got, c.to)
		}
	}
}
