package e2e

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"corsfilter/internal/wasmtest"
)

// What the module imports of the ABI, and of WASI through Go's runtime. Every
// import must be there in all Envoys that the README names: a missing one is
// fatal when the module is loaded.
var wantImports = []string{
	"env.proxy_add_header_map_value",
	"env.proxy_define_metric",
	"env.proxy_get_buffer_bytes",
	"env.proxy_get_header_map_pairs",
	"env.proxy_get_header_map_value",
	"env.proxy_get_log_level",
	"env.proxy_increment_metric",
	"env.proxy_log",
	"env.proxy_remove_header_map_value",
	"env.proxy_replace_header_map_value",
	"env.proxy_send_local_response",
	"env.proxy_set_tick_period_milliseconds",
	"wasi_snapshot_preview1.args_get",
	"wasi_snapshot_preview1.args_sizes_get",
	"wasi_snapshot_preview1.clock_time_get",
	"wasi_snapshot_preview1.environ_get",
	"wasi_snapshot_preview1.environ_sizes_get",
	"wasi_snapshot_preview1.fd_fdstat_get",
	"wasi_snapshot_preview1.fd_fdstat_set_flags",
	"wasi_snapshot_preview1.fd_prestat_dir_name",
	"wasi_snapshot_preview1.fd_prestat_get",
	"wasi_snapshot_preview1.fd_write",
	"wasi_snapshot_preview1.poll_oneoff",
	"wasi_snapshot_preview1.proc_exit",
	"wasi_snapshot_preview1.random_get",
	"wasi_snapshot_preview1.sched_yield",
}

// wantExports are the callbacks that are used, and no more: an absent one costs
// nothing per request or chunk of a body.
var wantExports = []string{
	"_initialize",
	"proxy_abi_version_0_2_1",
	"proxy_on_configure",
	"proxy_on_context_create",
	"proxy_on_delete",
	"proxy_on_memory_allocate",
	"proxy_on_request_headers",
	"proxy_on_response_headers",
	"proxy_on_tick",
	"proxy_on_vm_start",
}

func TestTheModuleImportsAndExportsWhatItNeeds(t *testing.T) {
	runtime := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer runtime.Close(context.WithoutCancel(t.Context()))
	module, err := runtime.CompileModule(t.Context(), wasmtest.Module(t))
	if err != nil {
		t.Fatal(err)
	}
	var imports, exports []string
	for _, f := range module.ImportedFunctions() {
		from, name, _ := f.Import()
		imports = append(imports, from+"."+name)
	}
	for name := range module.ExportedFunctions() {
		exports = append(exports, name)
	}
	slices.Sort(imports)
	slices.Sort(exports)
	got, want := slices.Compact(imports), wantImports
	if wasmtest.ByTinyGo() {
		// Its runtime and its C library have their own; the host of the tests has
		// what Envoy has, and takes nothing else.
		ofTheABI := func(name string) bool { return !strings.HasPrefix(name, "env.") }
		got, want = slices.DeleteFunc(got, ofTheABI), slices.DeleteFunc(slices.Clone(want), ofTheABI)
		// What initializes a command, where TinyGo makes those: hosts take
		// _initialize before it.
		exports = slices.DeleteFunc(exports, func(name string) bool { return name == "_start" })
	}
	if !slices.Equal(got, want) {
		t.Errorf("imports\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(exports, wantExports) {
		t.Errorf("exports\n%s\nwant\n%s", strings.Join(exports, "\n"), strings.Join(wantExports, "\n"))
	}
	for name, memory := range module.ExportedMemories() {
		if memory.Min() > pages(maxFirstPages) {
			t.Errorf("%s begins with %d pages, want %d at most: something large is linked in; make size says what there is", name, memory.Min(), pages(maxFirstPages))
		}
	}
}

// What the module may weigh, in bytes, and how much memory, in pages of 64 KiB, it
// may begin with, and have once a small policy is in effect.
const (
	maxModuleSize   = 4_000_000
	maxSmallSize    = 520_000 // by TinyGo
	maxFirstPages   = 47
	maxStartedPages = 64
)

func pages(n uint32) uint32 { return wasmtest.Memory(n<<16) >> 16 }

func TestAStartTakesLittleMemory(t *testing.T) {
	plugin := start(t, compile(t), watchful, nil)
	if got, most := plugin.VM().MemorySize()>>16, pages(maxStartedPages); got > most {
		t.Errorf("%d pages after the start, want %d at most: make size says what is linked in", got, most)
	}
}

func TestTheModuleIsSmall(t *testing.T) {
	most := maxModuleSize
	if wasmtest.ByTinyGo() {
		most = maxSmallSize
	}
	if size := len(wasmtest.Module(t)); size > most {
		t.Errorf("the module has %d bytes, want %d at most; make size says what is in it", size, most)
	}
}

// heavy are packages that a line of code brings in unseen, and that cost the
// module more than what they are used for: encoding/json with reflect and fmt with
// os take 1 MB. What is linked, how large it is and who imports it, make size says.
var heavy = []string{"net", "crypto", "os", "testing", "fmt", "encoding/json", "regexp"}

// light are below those, and small.
var light = []string{"regexp/syntax"}

// TestTheModuleLinksNothingHeavy lists what the module is built from.
func TestTheModuleLinksNothingHeavy(t *testing.T) {
	list := exec.Command("go", "list", "-deps", ".")
	list.Dir = wasmtest.Root()
	list.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if !slices.Contains(packages, "corsfilter/filter") || !slices.Contains(packages, "github.com/tidwall/gjson") {
		t.Fatalf("this is not the module's list: %v", packages)
	}
	const sdk = "github.com/tetratelabs/proxy-wasm-go-sdk/"
	for _, name := range packages {
		below := func(folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }
		if slices.ContainsFunc(heavy, below) && !slices.Contains(light, name) || strings.HasPrefix(name, sdk) && name != sdk+"proxywasm/types" || strings.HasPrefix(name, "golang.org/") {
			t.Errorf("the module links %s", name)
		}
	}
}
