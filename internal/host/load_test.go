package host

import (
	"context"
	"strings"
	"testing"
)

// wasm puts small modules together (WebAssembly Core, section 5): functions
// without locals whose body is given as instructions.
type wasm struct {
	types, imports, functions, exports, code, data [][]byte
	imported                                       int
	pages                                          int // of memory; 0: one
}

func leb(n int) (b []byte) {
	for {
		c := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func name(s string) []byte { return append(leb(len(s)), s...) }

// signature is a function type; its letters are i for i32 and I for i64.
func (m *wasm) signature(params, results string) int {
	list := func(letters string) []byte {
		b := leb(len(letters))
		for _, c := range letters {
			b = append(b, map[rune]byte{'i': 0x7f, 'I': 0x7e}[c])
		}
		return b
	}
	m.types = append(m.types, append(append([]byte{0x60}, list(params)...), list(results)...))
	return len(m.types) - 1
}

func (m *wasm) use(module, field, params, results string) (function int) {
	t := m.signature(params, results)
	m.imports = append(m.imports, append(append(append(name(module), name(field)...), 0), leb(t)...))
	m.imported++
	return m.imported - 1
}

// give exports a function; instructions end without "end".
func (m *wasm) give(export, params, results string, instructions ...byte) *wasm {
	t := m.signature(params, results)
	m.functions = append(m.functions, leb(t))
	m.exports = append(m.exports, append(append(name(export), 0), leb(m.imported+len(m.functions)-1)...))
	body := append(append([]byte{0}, instructions...), 0x0b)
	m.code = append(m.code, append(leb(len(body)), body...))
	return m
}

func (m *wasm) bytes() []byte {
	b := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	section := func(id byte, entries [][]byte) {
		if len(entries) == 0 {
			return
		}
		content := leb(len(entries))
		for _, e := range entries {
			content = append(content, e...)
		}
		b = append(append(append(b, id), leb(len(content))...), content...)
	}
	section(1, m.types)
	section(2, m.imports)
	section(3, m.functions)
	section(5, [][]byte{append([]byte{0}, leb(max(1, m.pages))...)})
	section(7, append(m.exports, append(name("memory"), 2, 0)))
	section(10, m.code)
	section(11, m.data)
	return b
}

const (
	zero        = 0x41 // i32.const 0, with the byte behind it
	drop        = 0x1a
	unreachable = 0x00
)

// loadable has what every module needs.
func loadable() *wasm {
	m := &wasm{}
	return m.give("proxy_abi_version_0_2_1", "", "").give("proxy_on_memory_allocate", "i", "i", zero, 16)
}

func TestLoading(t *testing.T) {
	importing := func(module, field, params, results string) *wasm {
		m := &wasm{}
		m.use(module, field, params, results)
		return m.give("proxy_abi_version_0_2_1", "", "").give("malloc", "i", "i", zero, 16)
	}
	for _, c := range []struct {
		name   string
		module []byte
		want   string // part of the error; "" for none
	}{
		{"the least that is needed", loadable().bytes(), ""},
		{"an older ABI", (&wasm{}).give("proxy_abi_version_0_1_0", "", "").give("malloc", "i", "i", zero, 16).bytes(), ""},
		{"the ABI before", (&wasm{}).give("proxy_abi_version_0_2_0", "", "").give("malloc", "i", "i", zero, 16).bytes(), ""},
		{"no wasm at all", []byte("ELF"), "not a wasm module"},
		{"no ABI version", (&wasm{}).give("malloc", "i", "i", zero, 16).bytes(), "no ABI version"},
		{"an ABI of the future", (&wasm{}).give("proxy_abi_version_9_9_9", "", "").give("malloc", "i", "i", zero, 16).bytes(), "no ABI version"},
		{"no allocator", (&wasm{}).give("proxy_abi_version_0_2_1", "", "").bytes(), "neither proxy_on_memory_allocate nor malloc"},
		{"a callback of another signature", loadable().give("proxy_on_request_headers", "ii", "i", zero, 0).bytes(), "proxy_on_request_headers has the wrong signature"},
		{"a callback without its result", loadable().give("proxy_on_configure", "ii", "").bytes(), "proxy_on_configure has the wrong signature"},
		{"a known import", importing("env", "proxy_log", "iii", "i").bytes(), ""},
		{"an import of 64 bits", importing("env", "proxy_increment_metric", "iI", "i").bytes(), ""},
		{"an unknown import", importing("env", "proxy_make_coffee", "", "i").bytes(), "imports env.proxy_make_coffee, which this host does not have"},
		{"a function of WASI that wazero has and Envoy has not", importing("wasi_snapshot_preview1", "proc_raise", "i", "i").bytes(), "imports wasi_snapshot_preview1.proc_raise, which this host does not have"},
		{"an unknown module", importing("coffee", "make", "", "").bytes(), "imports coffee.make"},
		{"an import of another signature", importing("env", "proxy_log", "ii", "i").bytes(), "import env.proxy_log has the wrong signature"},
		{"a WASI import", importing("wasi_snapshot_preview1", "clock_time_get", "iIi", "i").bytes(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Compile(t.Context(), c.module)
			if err == nil {
				defer m.Close(context.Background())
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// runModule compiles and starts a module, sends one request through it, with
// more headers in front of the usual ones, and returns what failed.
func runModule(t *testing.T, m *wasm, headers ...[2]string) (Response, error) {
	t.Helper()
	module, err := Compile(t.Context(), m.bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close(context.Background())
	vm, err := module.NewVM(t.Context(), VMConfig{})
	if err != nil {
		return Response{}, err
	}
	p, err := vm.NewPlugin(t.Context(), PluginConfig{Configuration: []byte("text")})
	if err != nil {
		return Response{}, err
	}
	got := exchange(p, append(headers, simple...))
	return got, vm.Failed()
}

func TestAbsentCallbacksMeanYes(t *testing.T) {
	got, err := runModule(t, loadable())
	if err != nil || !got.Forwarded || got.Paused || got.Details != "via_upstream" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStarting(t *testing.T) {
	for _, c := range []struct {
		name string
		m    *wasm
		want string
	}{
		{"_initialize traps", loadable().give("_initialize", "", "", unreachable), "failed to initialize"},
		{"_start traps where there is no _initialize", loadable().give("_start", "", "", unreachable), "failed to initialize"},
		{"_start is not called where there is one", loadable().give("_initialize", "", "").give("_start", "", "", unreachable), ""},
		{"the VM refuses", loadable().give("proxy_on_vm_start", "ii", "i", zero, 0), "refused to start"},
		{"the VM traps", loadable().give("proxy_on_vm_start", "ii", "i", unreachable), "failed to start"},
		{"the configuration is refused", loadable().give("proxy_on_configure", "ii", "i", zero, 0), ErrRejected.Error()},
		{"configuring traps", loadable().give("proxy_on_configure", "ii", "i", unreachable), "trapped"},
		{"a stream can not be made", loadable().give("proxy_on_context_create", "ii", "", unreachable), "trapped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := runModule(t, c.m); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
