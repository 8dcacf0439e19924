package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"corsfilter/internal/controlflow"
	"corsfilter/internal/wasmtest"
)

func TestFunctionsBelongToTheirPackages(t *testing.T) {
	deps := parseDeps(
		"internal/abi\nruntime internal/abi internal/runtime/maps\ninternal/runtime/maps internal/abi\ncorsfilter/internal/abi runtime\n" +
			"example.com/a-b runtime\ncorsfilter corsfilter/internal/abi\n",
	)
	for name, want := range map[string]string{
		"runtime.mallocgc": "runtime", "internal_runtime_maps.h1": "internal/runtime/maps",
		"corsfilter_internal_abi.__scratch_.allocate": "corsfilter/internal/abi",
		"internal_abi.Name.Data":                      "internal/abi", "corsfilter.init.0": "corsfilter", "example.com_a_b.F": "example.com/a-b",
		"type_.eq.string": "", "memcmp": "",
	} {
		got := ""
		if d := owner(deps, name); d != nil {
			got = d.path
		}
		if got != want {
			t.Errorf("%s belongs to %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(owner(deps, "internal_abi.x").importers, " "); got != "runtime internal/runtime/maps" {
		t.Errorf("internal/abi is imported by %q", got)
	}
}

// TestTheModuleIsTakenApart builds a module with names, and reads it: whole, and
// cut off anywhere.
func TestTheModuleIsTakenApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cors.wasm")
	t.Chdir(wasmtest.Root())
	if _, err := module("go", "build", "-buildmode=c-shared", "-o", path, "."); err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := read(wasm)
	if err != nil {
		t.Fatal(err)
	}
	sum, named := 0, 0
	for _, f := range m.functions {
		sum += f.size
		if f.name == "corsfilter_filter.Decide" || strings.HasPrefix(f.name, "runtime.") {
			named++
		}
	}
	if sum > m.code || sum < m.code*9/10 || m.contents >= m.data || m.code+m.data+m.names > m.size || m.pages == 0 || named < 100 {
		t.Errorf(
			"functions %d, code %d, data %d with contents %d, names %d, all %d; %d pages; %d known names", sum, m.code, m.data, m.contents,
			m.names, m.size, m.pages, named,
		)
	}
	for _, n := range []int{8, 9, 100, len(wasm) / 2, len(wasm) - 1} {
		if _, err := read(wasm[:n]); err == nil {
			t.Errorf("the first %d bytes are taken for a module", n)
		}
	}
	if _, err := read(controlflow.Strip(wasm)); err == nil {
		t.Error("a module without names is taken")
	}
	if err := run("no/such/package"); err == nil {
		t.Error("a package that is not linked has functions")
	}
}
