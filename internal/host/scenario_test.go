package host

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"pgregory.net/rapid"
)

// The scenarios in this file are what proxy-wasm-cpp-host does, each with a module
// put together by hand that would notice if this host did otherwise.

// signed is a number in LEB128, as i32.const takes it.
func signed(n int) (b []byte) {
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func put(n int) []byte            { return append([]byte{0x41}, signed(n)...) } // i32.const
func local(i int) []byte          { return append([]byte{0x20}, leb(i)...) }    // local.get
func invoke(f int) []byte         { return append([]byte{0x10}, leb(f)...) }    // call
func load(at int) []byte          { return append(put(at), 0x28, 2, 0) }        // i32.load
func code(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// bytesAt puts data into the memory.
func (m *wasm) bytesAt(address int, data []byte) {
	m.data = append(m.data, code([]byte{0}, put(address), []byte{0x0b}, leb(len(data)), data))
}

// base exports what every module needs; memory is given out at an address.
func (m *wasm) base(at int) *wasm {
	return m.give("proxy_abi_version_0_2_1", "", "").give("proxy_on_memory_allocate", "i", "i", put(at)...)
}

func compiled(t *testing.T, m *wasm) *Module {
	t.Helper()
	module, err := Compile(t.Context(), m.bytes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { module.Close(context.Background()) })
	return module
}

func started(t *testing.T, module *Module, c VMConfig) *VM {
	t.Helper()
	vm, err := module.NewVM(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func planned(t *testing.T, vm *VM, c PluginConfig) *Plugin {
	t.Helper()
	p, err := vm.NewPlugin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// functions are all that a module can import, by name, with their parameters as
// letters.
func functions(t *testing.T) map[string]map[string]string {
	t.Helper()
	runtime := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer runtime.Close(context.Background())
	wasi := runtime.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(wasi)
	for _, c := range wasiCalls {
		c.export(wasi)
	}
	env := runtime.NewHostModuleBuilder("env")
	for _, c := range calls {
		c.export(env)
	}
	all := map[string]map[string]string{}
	for module, b := range map[string]wazero.HostModuleBuilder{"env": env, wasi_snapshot_preview1.ModuleName: wasi} {
		made, err := b.Compile(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all[module] = map[string]string{}
		for name, f := range made.ExportedFunctions() {
			if name == "proc_raise" { // wazero's, and not Envoy's
				continue
			}
			letters := ""
			for _, p := range f.ParamTypes() {
				letters += map[api.ValueType]string{i32: "i", i64: "I"}[p]
			}
			all[module][name] = letters
		}
	}
	return all
}

// zeros calls a function with nothing but zeros and forgets its result.
func zeros(f int, params string, result bool) (b []byte) {
	for _, c := range params {
		b = append(b, map[rune]byte{'i': 0x41, 'I': 0x42}[c], 0)
	}
	b = append(b, invoke(f)...)
	if result {
		b = append(b, drop)
	}
	return b
}

// initializing are modules that call each function while they initialize.
func initializing(t *testing.T) (all []loading) {
	initialize := "proxy_log args_get args_sizes_get clock_time_get environ_get environ_sizes_get fd_fdstat_get " +
		"fd_fdstat_set_flags fd_prestat_dir_name fd_prestat_get fd_write random_get"
	never := " fd_read fd_close fd_seek path_open sched_yield proc_exit "
	for module, named := range functions(t) {
		for name, params := range named {
			results := "i"
			if name == "proc_exit" {
				results = ""
			}
			m := &wasm{}
			f := m.use(module, name, params, results)
			m.base(1024).give("_initialize", "", "", zeros(f, params, results != "")...)
			wasi := module == wasi_snapshot_preview1.ModuleName
			for _, profile := range []Profile{Envoy133, Envoy139} {
				l := loading{
					name:   fmt.Sprintf("%s while the module initializes, %s", name, profile),
					module: m.bytes(),
					want:   name + " must not be called",
					in:     func(p Profile) bool { return p == profile },
				}
				switch {
				case wasi && profile == Envoy133 && !slices.Contains(strings.Fields(initialize+" poll_oneoff"+never), name):
					l.want = "which Envoy 1.33 to 1.38 does not have"
				case profile == Envoy133 && slices.Contains(strings.Fields(initialize), name),
					profile == Envoy139 && (name == "proxy_log" || wasi && !strings.Contains(never, " "+name+" ")):
					l.want = ""
				}
				all = append(all, l)
			}
		}
	}
	return all
}

// mirror is a module that answers each request with its own headers: it hands the
// buffer that the host made of them back as that of a reply.
func mirror() *wasm {
	m := &wasm{pages: 40}
	pairs := m.use("env", "proxy_get_header_map_pairs", "iii", "i")
	reply := m.use("env", "proxy_send_local_response", "iiiiiiii", "i")
	return m.base(1<<16).give("proxy_on_request_headers", "iii", "i", code(
		put(0), put(8), put(12), invoke(pairs), []byte{drop},
		put(200), put(0), put(0), put(0), put(0), load(8), load(12), put(-1), invoke(reply), []byte{drop}, put(1))...)
}

// mirrored sends headers through the mirror and back.
func mirrored(p *Plugin, h *HeaderMap) [][2]string {
	s := p.NewStream()
	defer s.OnDone()
	_, reply := s.OnRequestHeaders(h, true)
	return reply.Headers.pairs
}

func TestPairsComeBackAsTheyWent(t *testing.T) {
	p := planned(t, started(t, compiled(t, mirror()), VMConfig{}), PluginConfig{})
	text := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) })
	rapid.Check(t, func(t *rapid.T) {
		h := NewHeaderMap()
		for range rapid.IntRange(0, 20).Draw(t, "headers") {
			h.Add(text.Draw(t, "name"), text.Draw(t, "value"))
		}
		if got := mirrored(p, h.Clone()); !slices.Equal(got, h.pairs) {
			t.Fatalf("%q came back as %q", h.pairs, got)
		}
	})
}

// TestPairsUpToTheLimits holds the limits of a buffer to the entry and the byte.
func TestPairsUpToTheLimits(t *testing.T) {
	p := planned(t, started(t, compiled(t, mirror()), VMConfig{}), PluginConfig{})
	count := func(n int) *HeaderMap {
		h := NewHeaderMap()
		for i := range n {
			h.Add(fmt.Sprintf("x-%d", i), "")
		}
		return h
	}
	size := func(n int) *HeaderMap { // of the whole buffer
		return NewHeaderMap([2]string{"x", strings.Repeat("v", n-4-8-len("x")-2)})
	}
	for name, c := range map[string]struct {
		h    *HeaderMap
		want int
	}{
		"none":               {NewHeaderMap(), 0},
		"1,024 entries":      {count(1024), 1024},
		"1,025 entries":      {count(1025), 0},
		"1 MiB":              {size(1 << 20), 1},
		"1 MiB and one byte": {size(1<<20 + 1), 0},
	} {
		if got := mirrored(p, c.h); len(got) != c.want {
			t.Errorf("%s: %d headers arrive, want %d", name, len(got), c.want)
		}
	}
}

// notebook is a module that writes down each callback that it gets, with the
// context and the parent, at notes. What done answers is put in by done, and the
// tick says proxy_done.
func notebook(done int) *wasm {
	m := &wasm{pages: 2}
	finish := m.use("env", "proxy_done", "", "i")
	m.base(1 << 16)
	note := func(letter byte, second []byte) []byte {
		at := func(offset byte, value []byte) []byte { // i32.store8 at notes+offset, of which there are so many
			return code(load(notes-4), value, []byte{0x3a, 0}, leb(notes+int(offset)))
		}
		return code(at(0, put(int(letter))), at(1, local(0)), at(2, second),
			put(notes-4), load(notes-4), put(3), []byte{0x6a, 0x36, 2, 0}) // i32.add, i32.store
	}
	none := put(0)
	m.give("proxy_on_vm_start", "ii", "i", code(note('V', none), put(1))...)
	m.give("proxy_on_context_create", "ii", "", note('C', local(1))...)
	m.give("proxy_on_configure", "ii", "i", code(note('F', local(1)), local(1))...) // an empty one is refused
	m.give("proxy_on_request_headers", "iii", "i", code(note('Q', local(1)), none)...)
	m.give("proxy_on_response_headers", "iii", "i", code(note('R', local(1)), none)...)
	m.give("proxy_on_tick", "i", "", code(note('T', none), invoke(finish), []byte{drop})...)
	m.give("proxy_on_done", "i", "i", code(note('D', none), put(done))...)
	m.give("proxy_on_log", "i", "", note('L', none)...)
	m.give("proxy_on_delete", "i", "", note('X', none)...)
	return m
}

const notes = 512

// noted is what the notebook holds, as "C1<0 F1<4 …", and forgets it.
func noted(vm *VM) string {
	n, _ := vm.memory.ReadUint32Le(notes - 4)
	text, _ := vm.memory.Read(notes, n)
	var list []string
	for i := 0; i+2 < len(text); i += 3 {
		list = append(list, fmt.Sprintf("%c%d<%d", text[i], text[i+1], text[i+2]))
	}
	vm.memory.WriteUint32Le(notes-4, 0)
	return strings.Join(list, " ")
}

func expectNotes(t *testing.T, vm *VM, when, want string) {
	t.Helper()
	if got := noted(vm); got != want {
		t.Errorf("%s: %s\nwant %s", when, got, want)
	}
}

// TestOrderOfCallbacks runs several plugins and streams in one VM.
func TestOrderOfCallbacks(t *testing.T) {
	vm := started(t, compiled(t, notebook(1)), VMConfig{})
	expectNotes(t, vm, "at its start", "V0<0")
	one := planned(t, vm, PluginConfig{Name: "one", Configuration: []byte("1234")})
	two := planned(t, vm, PluginConfig{Name: "two", Configuration: []byte("12")})
	expectNotes(t, vm, "two plugins", "C1<0 F1<4 C2<0 F2<2")
	if _, err := vm.NewPlugin(t.Context(), PluginConfig{}); err == nil {
		t.Error("a refused plugin starts")
	}
	expectNotes(t, vm, "a third is refused", "C3<0 F3<0 X3<0")

	a, b, c, d := one.NewStream(), two.NewStream(), one.NewStream(), one.NewStream()
	expectNotes(t, vm, "streams of both, without a request", "")
	b.OnRequestHeaders(NewHeaderMap(simple...), true)
	a.OnRequestHeaders(NewHeaderMap(simple[:2]...), true)
	b.OnResponseHeaders(response(), true)
	expectNotes(t, vm, "mixed", fmt.Sprintf("C5<2 Q5<%d C4<1 Q4<2 R5<1", NewHeaderMap(simple...).Len()))
	b.OnDone()
	c.OnDone() // reset before anything came
	expectNotes(t, vm, "the ends of two", "L5<0 D5<0 X5<0")
	if action, reply := d.OnResponseHeaders(response(), true); action != ActionContinue || reply != nil {
		t.Errorf("the reply of a filter in front: %v, %+v", action, reply)
	}
	d.OnDone()
	expectNotes(t, vm, "a filter in front has answered", "")
	if err := one.Close(t.Context()); err != nil { // with a stream open
		t.Fatal(err)
	}
	expectNotes(t, vm, "a plugin ends", "D1<0 X1<0")
	a.OnResponseHeaders(response(), true)
	a.OnDone()
	expectNotes(t, vm, "its stream after it", "R4<1 L4<0 D4<0 X4<0")
	if err := two.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectNotes(t, vm, "the other plugin ends", "D2<0 X2<0")
}

// TestAPluginThatIsNotDoneYet answers done with no: its context is deleted when it
// says proxy_done, after the callback that says so. Streams are not asked.
func TestAPluginThatIsNotDoneYet(t *testing.T) {
	vm := started(t, compiled(t, notebook(0)), VMConfig{})
	p := planned(t, vm, PluginConfig{Configuration: []byte("1")})
	other := planned(t, vm, PluginConfig{Configuration: []byte("1")})
	p.setTickPeriod(1)
	other.setTickPeriod(1)
	exchange(p, simple)
	expectNotes(t, vm, "a stream", fmt.Sprintf("V0<0 C1<0 F1<1 C2<0 F2<1 C3<1 Q3<%d R3<1 L3<0 D3<0 X3<0", NewHeaderMap(simple...).Len()))
	vm.Tick() // says proxy_done, and nobody waits for it
	expectNotes(t, vm, "before the end", "T1<0 T2<0")
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectNotes(t, vm, "the end begins", "D1<0")
	other.Tick()
	expectNotes(t, vm, "another plugin's proxy_done is its own", "T2<0")
	p.Tick()
	expectNotes(t, vm, "the end", "T1<0 X1<0")
	vm.Tick()
	expectNotes(t, vm, "after it", "T2<0")
}

// TestFailing lets a module trap where the first header of a request is named "x",
// and looks at every stream and plugin of the VM, with both failure policies.
func TestFailing(t *testing.T) {
	m := &wasm{}
	get := m.use("env", "proxy_get_header_map_value", "iiiii", "i")
	define := m.use("env", "proxy_define_metric", "iiii", "i")
	increment := m.use("env", "proxy_increment_metric", "iI", "i")
	m.base(1024)
	m.bytesAt(32, []byte("x"))
	m.give("proxy_on_configure", "ii", "i", code(put(0), put(32), put(1), put(40), invoke(define), []byte{drop}, put(1))...)
	m.give("proxy_on_request_headers", "iii", "i", code(
		load(40), []byte{0x42, 1}, invoke(increment), []byte{drop},
		put(0), put(32), put(1), put(8), put(12), invoke(get), []byte{0x45, 0x04, 0x40, unreachable, 0x0b}, // i32.eqz, if, end
		put(0))...)
	module := compiled(t, m)
	metrics := NewMetrics()
	for _, open := range []bool{false, true} {
		vm := started(t, module, VMConfig{Metrics: metrics})
		broken := planned(t, vm, PluginConfig{Name: "broken", FailOpen: open})
		beside := planned(t, vm, PluginConfig{Name: "beside", FailOpen: !open}) // in the same VM
		early, earlyBeside := broken.NewStream(), beside.NewStream()
		if got := exchange(broken, simple); !got.Forwarded {
			t.Fatalf("%+v", got)
		}
		if _, reply := early.OnRequestHeaders(NewHeaderMap([2]string{"x", ""}), true); reply == nil || reply.Status != 503 ||
			reply.Details != detailsFailed {
			t.Errorf("open %v: the stream that trapped gets %+v", open, reply)
		}
		if vm.Failed() == nil {
			t.Fatal("the module did not trap")
		}
		if _, reply := earlyBeside.OnRequestHeaders(NewHeaderMap(simple...), true); reply == nil || reply.Status != 503 ||
			reply.Details != detailsFailed {
			t.Errorf("open %v: an open stream of the plugin beside it gets %+v", !open, reply)
		}
		for plugin, open := range map[*Plugin]bool{broken: open, beside: !open} {
			for range 3 {
				got := exchange(plugin, simple)
				if status, _ := got.Headers.Get(":status"); got.Forwarded != open || (status == "503") == open {
					t.Errorf("open %v: a later stream gets %+v, %s", open, got, status)
				}
			}
			plugin.Tick()
		}
		early.OnDone()
		earlyBeside.OnDone()
		if err := broken.Close(t.Context()); err != nil { // it exports neither done nor delete
			t.Error(err)
		}
		// Reloaded: a VM of the same module, with the same metrics.
		before, _ := metrics.Counter("x")
		again := started(t, module, VMConfig{Metrics: metrics})
		reloaded := planned(t, again, PluginConfig{Name: "broken", FailOpen: open})
		for range 3 {
			if got := exchange(reloaded, simple); !got.Forwarded || got.Details != "via_upstream" {
				t.Errorf("reloaded: %+v", got)
			}
		}
		if after, _ := metrics.Counter("x"); after != before+3 || again.Failed() != nil || vm.Failed() == nil {
			t.Errorf("reloaded: counted %d after %d; failed %v, and before that %v", after, before, again.Failed(), vm.Failed())
		}
	}
}
