package controlflow

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"corsfilter/internal/hotpath"
)

// exported are the functions of testdata/guest.
var exported = []string{"asks", "grows", "jumps", "loops", "nested", "recovers", "recursion", "texts", "twoBeginnings", "yields"}

// build builds a package for wasm, with the names of its functions.
func build(t *testing.T, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.wasm")
	c := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, ".")
	c.Dir, c.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if output, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// guestModule and filterModule build the guest and the filter, once for all tests.
var guestModule, filterModule = builtOnce("testdata/guest"), builtOnce("../..")

func builtOnce(dir string) func(t *testing.T) []byte {
	var once sync.Once
	var wasm []byte
	return func(t *testing.T) []byte {
		once.Do(func() { wasm = build(t, dir) })
		if wasm == nil {
			t.Fatal(dir + " did not build")
		}
		return wasm
	}
}

func instantiate(t *testing.T, wasm []byte) api.Module {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	_, err := r.NewHostModuleBuilder("test").
		NewFunctionBuilder().WithFunc(func(ctx context.Context, m api.Module, a uint32, b uint64) uint32 {
		results, err := m.ExportedFunction("nested").Call(ctx, uint64(a), b&0xffff)
		if err != nil {
			panic(err)
		}
		return uint32(results[0]) + uint32(b)
	}).Export("ask").
		Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNothingElseHappens calls each function of the guest in both forms, over and
// over in the same instances, whose stacks and heaps have a life of their own.
func TestNothingElseHappens(t *testing.T) {
	wasm := guestModule(t)
	mended, report := Restructure(wasm)
	if len(report.Left) > 0 || !slices.Contains(report.Irreducible, "main.twoBeginnings") {
		t.Errorf("left: %q, and with two beginnings: %q", report.Left, report.Irreducible)
	}
	for _, name := range []string{
		"main.loops", "main.jumps", "main.fibonacci", "main.recovers", "main.recovers.func1", "main.deep", "main.grows", "main.grows.func1",
		"main.yields.func1",
	} {
		if !slices.Contains(report.Restructured, name) {
			t.Errorf("%s stays as it is: %s", name, report)
		}
	}
	before, after, stripped := instantiate(t, wasm), instantiate(t, mended), instantiate(t, Strip(mended))
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range exported {
		results := map[uint64]bool{}
		for range 1000 {
			a, b := uint64(r.Uint32N(1<<r.UintN(32))), uint64(r.Uint32N(1<<r.UintN(32)))
			want := call(t, before, name, a, b)
			for _, m := range []api.Module{after, stripped} {
				if got := call(t, m, name, a, b); got != want {
					t.Fatalf("%s(%d, %d) = %d, want %d", name, a, b, got, want)
				}
			}
			results[want] = true
		}
		if len(results) < 20 {
			t.Errorf("%s has %d results: the test shows little", name, len(results))
		}
	}
}

func call(t *testing.T, m api.Module, name string, a, b uint64) uint64 {
	t.Helper()
	results, err := m.ExportedFunction(name).Call(context.Background(), a, b)
	if err != nil {
		t.Fatalf("%s(%d, %d): %v", name, a, b, err)
	}
	return results[0]
}

// TestComingBack makes sure that the guest comes back into the middle of functions:
// where all ways there trap, it fails.
func TestComingBack(t *testing.T) {
	m := mustRead(t, guestModule(t))
	neverBack := m.neverBack()
	for index, name := range m.names {
		if !strings.HasPrefix(name, "main.") {
			continue
		}
		body := &m.bodies[index-m.imports]
		f, err := parseFunction(*body, neverBack)
		if err != nil {
			continue
		}
		for i := range f.segments {
			f.segments[i].resumes = false
		}
		first := &f.segments[f.entry]
		first.pieces = slices.Insert(first.pieces, 0, piece{raw: []byte{opLocalGet, 0, opIf, noResult, opUnreachable, opEnd}})
		if g, err := f.graph(); err == nil {
			*body = g.structured()
		}
	}
	trapping := m.bytes(false)
	for name, args := range map[string][2]uint64{"grows": {4, 1}, "yields": {3, 4}, "recovers": {3, 5}} {
		_, err := instantiate(t, trapping).ExportedFunction(name).Call(context.Background(), args[0], args[1])
		if err == nil || !strings.Contains(err.Error(), "unreachable") {
			t.Errorf("%s: %v, and does not come back into the middle of anything", name, err)
		}
	}
	if got := call(t, instantiate(t, trapping), "loops", 30, 7); got != call(t, instantiate(t, guestModule(t)), "loops", 30, 7) {
		t.Errorf("what comes back nowhere has another result: %d", got)
	}
}

// TestTheModulesFunctions rewrites the module's functions, with the toolchain
// that go.mod says: what stays takes longer, and is not wrong.
func TestTheModulesFunctions(t *testing.T) {
	_, report := Restructure(filterModule(t))
	if len(report.Left) > 0 {
		t.Errorf("left as they are: %q", report.Left)
	}
	if len(report.Restructured) < 20*len(report.Irreducible) {
		t.Errorf("%s: %q", report, report.Irreducible)
	}
	for callback, function := range hotpath.Callbacks {
		if name := "corsfilter_internal_abi." + function; !slices.Contains(report.Restructured, name) {
			t.Errorf("%s stays as it is: %s", callback, name)
		}
	}
}

// TestWhatIsNotKnownStays has modules and functions of which something is not known:
// a build goes on, and says what.
func TestWhatIsNotKnownStays(t *testing.T) {
	wasm := guestModule(t)
	stripped := Strip(wasm)
	if got, report := Restructure(stripped); !bytes.Equal(got, stripped) ||
		!strings.Contains(report.String(), "left as the compiler made them: the module: it has no names of functions") {
		t.Errorf("without names: %v", report)
	}
	for n := 0; n < len(wasm); n += 1 + len(wasm)/200 {
		if got, report := Restructure(wasm[:n]); !bytes.Equal(got, wasm[:n]) || len(report.Left) != 1 {
			t.Errorf("the first %d bytes: %v", n, report)
		}
		if !bytes.Equal(Strip(wasm[:n]), wasm[:n]) {
			t.Errorf("the first %d bytes are changed", n)
		}
	}
	// An instruction of tomorrow, in a function that is called and in one that is not.
	m := mustRead(t, wasm)
	for index, name := range m.names {
		if name == "main.fibonacci" || name == "main.jumps" || name == "runtime.goPanicIndex" {
			r := &reader{b: m.bodies[index-m.imports]}
			r.skipLocals()
			m.bodies[index-m.imports] = slices.Concat(
				r.b[:r.at], start,
				[]byte{opLoop, noResult, opBlock, noResult, opLocalGet, 0, opBrTable, 0, 0, opEnd, 0xf7, opEnd, opUnreachable, opEnd},
			)
		}
	}
	_, report := Restructure(m.bytes(true))
	for _, want := range []string{"main.fibonacci: instruction 0xf7 is not known", "main.jumps: instruction 0xf7 is not known"} {
		if !slices.Contains(report.Left, want) {
			t.Errorf("left: %q, want %q", report.Left, want)
		}
	}
	if !slices.Contains(report.Restructured, "main.loops") {
		t.Errorf("%q are restructured", report.Restructured)
	}
}

// TestWhatNeverComesBack holds that to what functions do: their names say nothing.
func TestWhatNeverComesBack(t *testing.T) {
	trapped, unwound := []byte{opUnreachable, opEnd}, []byte{opUnreachable, opEnd, opI32Const, 1, opEnd}
	for name, c := range map[string]struct {
		body []byte
		want bool
	}{
		"it traps":                           {slices.Concat([]byte{0}, start, trapped), true},
		"it unwinds the stack":               {slices.Concat([]byte{0}, start, []byte{opBlock, noResult}, unwound), true},
		"it returns":                         {slices.Concat([]byte{0}, start, []byte{opI32Const, 0, opReturn}, trapped), false},
		"a branch out of everything returns": {slices.Concat([]byte{0}, start, []byte{opLocalGet, 0, opBrIf, 0}, trapped), false},
		"as one of a table does": {
			slices.Concat([]byte{0}, start, []byte{opBlock, noResult, opLocalGet, 0, opBrTable, 1, 0, 1, opEnd}, trapped), false,
		},
		"one within does not":   {slices.Concat([]byte{0}, start, []byte{opBlock, noResult, opBr, 0, opEnd}, trapped), true},
		"it ends with a number": {slices.Concat([]byte{0}, start, []byte{opI32Const, 0, opEnd}), false},
		"it says that it has come back": {
			slices.Concat([]byte{0}, start, []byte{opBlock, noResult, opUnreachable, opEnd, opI32Const, 0, opEnd}), false,
		},
		"it is none of Go's": {slices.Concat([]byte{0}, []byte{opBlock, noResult}, unwound), false},
		"a block has the type of a function": {
			slices.Concat([]byte{0}, start, []byte{opBlock, 0x80, opEnd, opNop, opEnd, opI32Const, 0, opBr, 0}, trapped), false,
		},
		"something in it is not known": {slices.Concat([]byte{0}, start, []byte{0xf7}, trapped), false},
	} {
		m := &module{bodies: [][]byte{c.body}}
		if got := m.neverBack()[0]; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	m := mustRead(t, filterModule(t))
	never := m.neverBack()
	for index, name := range m.names {
		if index >= m.imports && (name == "runtime.goPanicIndex" || name == "runtime.sigpanic") && !never[index] {
			t.Errorf("%s comes back", name)
		}
	}
}

func mustRead(t *testing.T, wasm []byte) *module {
	t.Helper()
	m, err := readModule(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestShapes has functions that are not what Go's compiler makes, and stay.
func TestShapes(t *testing.T) {
	loop := func(segment ...byte) []byte {
		body := append([]byte{0}, start...)
		body = append(body, opLoop, noResult, opBlock, noResult, opLocalGet, 0, opBrTable, 1, 0, 0, opEnd)
		return append(append(body, segment...), opEnd, opUnreachable, opEnd)
	}
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"no branches":                      {append(append([]byte{0}, start...), opI32Const, 0, opEnd), errNoBranches},
		"another convention":               {[]byte{0, opI32Const, 0, opEnd}, errNoBranches},
		"a loop that Go makes":             {loop(opI32Const, 0, opLocalSet, 0, opBr, 0), nil},
		"a branch without a number":        {loop(opLocalGet, 0, opLocalSet, 0, opBr, 0), errShape},
		"a branch that sets another local": {loop(opI32Const, 0, opLocalSet, 1, opBr, 0), errShape},
		"a number that the table lacks":    {loop(opI32Const, 9, opLocalSet, 0, opBr, 0), errShape},
		"a branch out of the function":     {loop(opBr, 1), errShape},
		"a table in a segment":             {loop(opBrTable, 0, 0), errShape},
		"something between code and end":   {append(loop(), opEnd), errShape},
		"a branch beside others in an if":  {loop(opLocalGet, 0, opIf, noResult, opNop, opI32Const, 0, opLocalSet, 0, opBr, 1, opEnd), errShape},
		"a branch in an if that goes on":   {loop(opLocalGet, 0, opIf, noResult, opI32Const, 0, opLocalSet, 0, opBr, 1, opNop, opEnd), errShape},
		"a branch in an if":                {loop(opLocalGet, 0, opIf, noResult, opI32Const, 0, opLocalSet, 0, opBr, 1, opEnd), nil},
		"a branch on nothing to the loop":  {loop(opI32Const, 0, opLocalSet, 0, opBrIf, 0), errShape},
		"no segment": {
			append(append([]byte{0}, start...), opLoop, noResult, opLocalGet, 0, opBrTable, 0, 0, opEnd, opUnreachable, opEnd), errShape,
		},
	} {
		if _, err := parseFunction(c.body, nil); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestNamesStay(t *testing.T) {
	mended, _ := Restructure(guestModule(t))
	before, after := mustRead(t, guestModule(t)), mustRead(t, mended)
	for index, name := range before.names {
		if after.names[index] != name {
			t.Errorf("function %d is called %q, want %q", index, after.names[index], name)
		}
	}
	if len(after.names) != len(before.names) {
		t.Errorf("%d names, want %d", len(after.names), len(before.names))
	}
	if left := mustRead(t, Strip(mended)).names; len(left) > 0 {
		t.Errorf("%d names are left", len(left))
	}
}

// TestForms has small functions by their segments.
func TestForms(t *testing.T) {
	get := piece{raw: []byte{opLocalGet, 2}}
	back := []byte{opReturn}
	for name, c := range map[string]struct {
		segments []segment
		want     []byte // between start and the last unreachable
	}{
		"a segment that goes back to itself": {
			[]segment{{pieces: []piece{get, {branch: opBrIf, to: []int{0}}}}, {pieces: []piece{{raw: back}}, ends: true}},
			[]byte{opLoop, noResult, opLocalGet, 2, opBrIf, 0, opReturn, opEnd},
		},
		"a segment that is passed over": {
			[]segment{{pieces: []piece{get, {branch: opBrIf, to: []int{2}}}}, {pieces: []piece{get}}, {pieces: []piece{{raw: back}}, ends: true}},
			[]byte{opBlock, noResult, opLocalGet, 2, opBrIf, 0, opLocalGet, 2, opBr, 0, opEnd, opReturn},
		},
		"a loop with its end before its beginning": {
			[]segment{
				{pieces: []piece{{branch: opBr, to: []int{2}}}, ends: true},
				{pieces: []piece{{raw: back}}, ends: true},
				{pieces: []piece{get, {branch: opBrIf, to: []int{1}}, {branch: opBr, to: []int{2}}}, ends: true},
			},
			[]byte{
				opBlock, noResult, opBr, 0, opEnd, opLoop, noResult, opBlock, noResult, opLocalGet, 2, opBrIf, 0, opBr, 1, opEnd, opReturn, opEnd,
			},
		},
		"a segment that nothing leads to": {
			[]segment{{pieces: []piece{{raw: back}}, ends: true}, {pieces: []piece{get}, ends: true}},
			[]byte{opReturn},
		},
	} {
		f := &function{locals: []byte{0}, segments: c.segments}
		for i := range f.segments {
			f.segments[i].next = i + 1
		}
		g, err := f.graph()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := append(append(append([]byte{0}, start...), c.want...), opUnreachable, opEnd)
		if got := g.structured(); !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", name, got, want)
		}
	}
}

func TestSigned(t *testing.T) {
	for want, b := range map[int64][]byte{
		0:        {0},
		63:       {63},
		64:       {0xc0, 0},
		-1:       {0x7f},
		-64:      {0x40},
		-65:      {0xbf, 0x7f},
		1 << 20:  {0x80, 0x80, 0xc0, 0},
		-1 << 63: {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f},
	} {
		if got := (&reader{b: b}).signed(); got != want {
			t.Errorf("% x is %d, want %d", b, got, want)
		}
	}
}
