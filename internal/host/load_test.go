package host

import (
	"fmt"
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

// loading is a module that a host takes, or not.
type loading struct {
	name   string
	module []byte
	want   string // part of this host's error; "" for none
	// in are the releases that do so; nil: all.
	in func(Profile) bool
}

// loadings returns all of them.
func loadings(t *testing.T) []loading {
	importing := func(module, field, params, results string) []byte {
		m := &wasm{}
		m.use(module, field, params, results)
		return m.give("proxy_abi_version_0_2_1", "", "").give("malloc", "i", "i", zero, 16).bytes()
	}
	return append(initializing(t), []loading{
		{name: "the least that is needed", module: loadable().bytes()},
		{name: "an older ABI", module: (&wasm{}).give("proxy_abi_version_0_1_0", "", "").give("malloc", "i", "i", zero, 16).bytes()},
		{name: "the ABI before", module: (&wasm{}).give("proxy_abi_version_0_2_0", "", "").give("malloc", "i", "i", zero, 16).bytes()},
		{name: "no wasm at all", module: []byte("ELF"), want: "not a wasm module"},
		{name: "no ABI version", module: (&wasm{}).give("malloc", "i", "i", zero, 16).bytes(), want: "no ABI version"},
		{
			name:   "an ABI of the future",
			module: (&wasm{}).give("proxy_abi_version_9_9_9", "", "").give("malloc", "i", "i", zero, 16).bytes(),
			want:   "no ABI version",
		},
		{
			name:   "no allocator",
			module: (&wasm{}).give("proxy_abi_version_0_2_1", "", "").bytes(),
			want:   "neither malloc nor proxy_on_memory_allocate",
		},
		{
			name:   "a callback of another signature",
			module: loadable().give("proxy_on_request_headers", "ii", "i", zero, 0).bytes(),
			want:   "proxy_on_request_headers has the wrong signature",
		},
		{
			name:   "a callback without its result",
			module: loadable().give("proxy_on_configure", "ii", "").bytes(),
			want:   "proxy_on_configure has the wrong signature",
		},
		{name: "a known import", module: importing("env", "proxy_log", "iii", "i")},
		{name: "an import of 64 bits", module: importing("env", "proxy_increment_metric", "iI", "i")},
		{
			name:   "an unknown import",
			module: importing("env", "proxy_make_coffee", "", "i"),
			want:   "imports env.proxy_make_coffee, which this host does not have",
		},
		{
			name:   "a function of WASI that wazero has and Envoy has not",
			module: importing("wasi_snapshot_preview1", "proc_raise", "i", "i"),
			want:   "imports wasi_snapshot_preview1.proc_raise, which this host does not have",
		},
		{name: "an unknown module", module: importing("coffee", "make", "", ""), want: "imports coffee.make"},
		{
			name:   "an import of another signature",
			module: importing("env", "proxy_log", "ii", "i"),
			want:   "import env.proxy_log has the wrong signature",
		},
		{name: "a WASI import", module: importing("wasi_snapshot_preview1", "clock_time_get", "iIi", "i")},
		{name: "_initialize traps", module: loadable().give("_initialize", "", "", unreachable).bytes(), want: "failed to initialize"},
		{
			name:   "_start traps where there is no _initialize",
			module: loadable().give("_start", "", "", unreachable).bytes(),
			want:   "failed to initialize",
		},
		{
			name:   "_start is not called where there is one",
			module: loadable().give("_initialize", "", "").give("_start", "", "", unreachable).bytes(),
		},
		{name: "the VM refuses", module: loadable().give("proxy_on_vm_start", "ii", "i", zero, 0).bytes(), want: "refused to start"},
		{name: "the VM traps", module: loadable().give("proxy_on_vm_start", "ii", "i", unreachable).bytes(), want: "failed to start"},
		{
			name:   "the configuration is refused",
			module: loadable().give("proxy_on_configure", "ii", "i", zero, 0).bytes(),
			want:   ErrRejected.Error(),
		},
		{name: "configuring traps", module: loadable().give("proxy_on_configure", "ii", "i", unreachable).bytes(), want: "trapped"},
		{name: "no context can be made", module: loadable().give("proxy_on_context_create", "ii", "", unreachable).bytes()},
	}...)
}

func TestLoading(t *testing.T) {
	for _, l := range loadings(t) {
		for _, profile := range []Profile{Envoy133, Envoy139} {
			if l.in != nil && !l.in(profile) {
				continue
			}
			t.Run(fmt.Sprint(l.name, ", ", profile), func(t *testing.T) {
				if err := l.load(t, profile); (err == nil) != (l.want == "") || err != nil && !strings.Contains(err.Error(), l.want) {
					t.Errorf("error %v, want %q", err, l.want)
				}
			})
		}
	}
}

// load goes as far as there is a plugin.
func (l loading) load(t *testing.T, profile Profile) error {
	m, err := Compile(t.Context(), l.module)
	if err != nil {
		return err
	}
	defer m.Close(t.Context())
	vm, err := m.NewVM(t.Context(), VMConfig{Profile: profile})
	if err != nil {
		return err
	}
	_, err = vm.NewPlugin(t.Context(), PluginConfig{Configuration: []byte("text")})
	return err
}
