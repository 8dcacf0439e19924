// Package budget holds the built module to what design.md promises: what it
// imports, exports and links, how often a request calls the host, what memory it
// takes, and how its time grows. It has tests and benchmarks only; outcomes,
// request by request, are the business of package e2e.
package budget

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"corsfilter/internal/wasmtest"
)

// Everything the module may ask of its host. Of WASI it is what official Go
// links into every program; Envoy has all of it since 1.33.
var (
	abiImports = []string{
		"env.proxy_add_header_map_value", "env.proxy_define_metric", "env.proxy_get_buffer_bytes",
		"env.proxy_get_header_map_pairs", "env.proxy_get_header_map_value", "env.proxy_get_log_level",
		"env.proxy_increment_metric", "env.proxy_log", "env.proxy_remove_header_map_value",
		"env.proxy_replace_header_map_value", "env.proxy_send_local_response",
	}
	wasiImports = []string{}
	exports = []string{
		"_initialize", "proxy_abi_version_0_2_1", "proxy_on_configure", "proxy_on_context_create", "proxy_on_delete",
		"proxy_on_memory_allocate", "proxy_on_request_headers", "proxy_on_response_headers", "proxy_on_vm_start",
	}
)

// inspect compiles the module without running it.
func inspect(t *testing.T) wazero.CompiledModule {
	t.Helper()
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { runtime.Close(ctx) })
	compiled, err := runtime.CompileModule(ctx, wasmtest.Module(t))
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestTheModuleImportsWhatEnvoyHas(t *testing.T) {
	var got []string
	for _, f := range inspect(t).ImportedFunctions() {
		module, name, _ := f.Import()
		got = append(got, module+"."+name)
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(slices.Concat(abiImports, wasiImports))); !slices.Equal(got, want) {
		t.Errorf("imports\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTheModuleExportsWhatItUses: an export that is absent costs nothing, one
// that is there is called for each request or each chunk of a body.
func TestTheModuleExportsWhatItUses(t *testing.T) {
	compiled := inspect(t)
	if got := slices.Sorted(maps.Keys(compiled.ExportedFunctions())); !slices.Equal(got, exports) {
		t.Errorf("exports\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(exports, "\n"))
	}
	memory := compiled.ExportedMemories()
	if len(memory) != 1 || memory["memory"] == nil {
		t.Fatalf("exported memories: %v", memory)
	}
	if pages := memory["memory"].Min(); pages >= 64 {
		t.Errorf("the memory starts with %d pages, want less than 64", pages)
	}
}

// TestTheModuleLinksNothingHeavy: crypto alone would make the memory start at
// 550 pages, and all of these are of no use in a filter.
func TestTheModuleLinksNothingHeavy(t *testing.T) {
	list := exec.Command("go", "list", "-deps", ".")
	list.Dir = wasmtest.Root()
	list.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(output))
	var others []string
	for _, p := range packages {
		first, _, _ := strings.Cut(p, "/")
		switch {
		case first == "net" || first == "crypto" || p == "os/exec":
			t.Errorf("the module links %s", p)
		case strings.Contains(first, ".") || first == "corsfilter":
			others = append(others, p)
		}
	}
	slices.Sort(others)
	want := []string{
		"corsfilter", "corsfilter/config", "corsfilter/filter", "corsfilter/internal/abi", "corsfilter/internal/header", "corsfilter/internal/origin",
		"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types",
		"github.com/tidwall/gjson", "github.com/tidwall/match", "github.com/tidwall/pretty",
	}
	if !slices.Equal(others, want) {
		t.Errorf("the module links\n%s\nwant, beside the standard library,\n%s", strings.Join(others, "\n"), strings.Join(want, "\n"))
	}
}
