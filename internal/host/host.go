// Package host is a proxy-wasm host on wazero that behaves like Envoy's where a
// module can tell: what traps and when, how header maps are joined, who owns which
// memory; its own tests run each behaviour in a real Envoy as well. The tests run
// the built module in it, and so does `corsctl serve` where it does without Envoy; a
// library for that (the SDK's proxytest) runs native Go and emulates none of it. It
// offers the calls that the filter makes, knows wasm bytes and header maps and
// nothing of any filter, and imports wazero alone.
package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Module is a compiled module. It is compiled once; each worker gets a VM of its
// own from it.
type Module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// abiVersions are the exports that name the version of the ABI.
var abiVersions = []string{"proxy_abi_version_0_1_0", "proxy_abi_version_0_2_0", "proxy_abi_version_0_2_1"}

// allocators are the exports through which the host gets memory of the guest, the
// first that there is.
var allocators = []string{"malloc", "proxy_on_memory_allocate"}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// callbacks are the exports that the host calls, with their signatures. All are
// optional; one with another signature is an error.
var callbacks = map[string]struct{ params, results []api.ValueType }{
	"_initialize":               {},
	"_start":                    {},
	"proxy_on_memory_allocate":  {[]api.ValueType{i32}, []api.ValueType{i32}},
	"malloc":                    {[]api.ValueType{i32}, []api.ValueType{i32}},
	"proxy_on_vm_start":         {[]api.ValueType{i32, i32}, []api.ValueType{i32}},
	"proxy_on_context_create":   {[]api.ValueType{i32, i32}, nil},
	"proxy_on_configure":        {[]api.ValueType{i32, i32}, []api.ValueType{i32}},
	"proxy_on_request_headers":  {[]api.ValueType{i32, i32, i32}, []api.ValueType{i32}},
	"proxy_on_response_headers": {[]api.ValueType{i32, i32, i32}, []api.ValueType{i32}},
	"proxy_on_tick":             {[]api.ValueType{i32}, nil},
	"proxy_on_done":             {[]api.ValueType{i32}, []api.ValueType{i32}},
	"proxy_on_log":              {[]api.ValueType{i32}, nil},
	"proxy_on_delete":           {[]api.ValueType{i32}, nil},
}

// compilationCache lets a process that loads the same bytes again, as tests do
// for each VM, compile them once.
var compilationCache = wazero.NewCompilationCache()

// Compile checks and compiles a module. What Envoy rejects when it loads a
// module is an error here: no ABI version, no allocator, a callback of another
// signature, an import that the host does not have.
func Compile(ctx context.Context, wasm []byte) (*Module, error) {
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compilationCache))
	m, err := compile(ctx, runtime, wasm)
	if err != nil {
		return nil, errors.Join(err, runtime.Close(ctx))
	}
	return m, nil
}

func compile(ctx context.Context, runtime wazero.Runtime, wasm []byte) (*Module, error) {
	compiled, err := runtime.CompileModule(ctx, wasm)
	if err != nil {
		return nil, fmt.Errorf("not a wasm module: %w", err)
	}
	exports := compiled.ExportedFunctions()
	exported := func(name string) bool { return exports[name] != nil }
	if !slices.ContainsFunc(abiVersions, exported) {
		return nil, errors.New("the module exports no ABI version (proxy_abi_version_0_2_1); build it as a proxy-wasm reactor")
	}
	if !slices.ContainsFunc(allocators, exported) {
		return nil, errors.New("the module exports neither malloc nor proxy_on_memory_allocate")
	}
	for name, want := range callbacks {
		if f := exports[name]; f != nil && (!slices.Equal(f.ParamTypes(), want.params) || !slices.Equal(f.ResultTypes(), want.results)) {
			return nil, fmt.Errorf("the export %s has the wrong signature", name)
		}
	}
	env := runtime.NewHostModuleBuilder("env")
	for _, c := range calls {
		c.export(env)
	}
	wasi := runtime.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(wasi)
	for _, c := range wasiCalls {
		c.export(wasi)
	}
	there := map[string]map[string]api.FunctionDefinition{}
	listeners := map[string]experimental.FunctionListenerFactory{wasi_snapshot_preview1.ModuleName: restricting{}}
	for name, b := range map[string]wazero.HostModuleBuilder{"env": env, wasi_snapshot_preview1.ModuleName: wasi} {
		functions, err := b.Compile(experimental.WithFunctionListenerFactory(ctx, listeners[name]))
		if err != nil {
			return nil, err
		}
		there[name] = functions.ExportedFunctions()
		if _, err := runtime.InstantiateModule(ctx, functions, wazero.NewModuleConfig().WithName(name)); err != nil {
			return nil, err
		}
	}
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		have := there[module][name]
		if _, ok := provided[name]; have == nil || module == wasi_snapshot_preview1.ModuleName && !ok {
			return nil, fmt.Errorf("the module imports %s.%s, which this host does not have", module, name)
		}
		if !slices.Equal(have.ParamTypes(), f.ParamTypes()) || !slices.Equal(have.ResultTypes(), f.ResultTypes()) {
			return nil, fmt.Errorf("the import %s.%s has the wrong signature", module, name)
		}
	}
	return &Module{runtime, compiled}, nil
}

// Close closes the module and every VM of it.
func (m *Module) Close(ctx context.Context) error { return m.runtime.Close(ctx) }
