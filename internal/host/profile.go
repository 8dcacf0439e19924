package host

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Profile is which Envoy a VM behaves like, where a module can tell them apart:
// which functions of WASI there are, and which functions may be called while the
// module initializes and while it allocates memory. The facts are those of
// proxy-wasm-cpp-host (src/wasm.cc, include/proxy-wasm/wasm.h, src/exports.cc).
type Profile int

// The profiles. What runs in Envoy133 runs in the other one.
const (
	// Envoy133 is 1.33 to 1.38 (commit c4d7bb0 of December 2024).
	Envoy133 Profile = iota
	// Envoy139 is 1.39 and later (commit 94091cd of April 2026).
	Envoy139
)

func (p Profile) String() string {
	if p == Envoy139 {
		return "Envoy 1.39 and later"
	}
	return "Envoy 1.33 to 1.38"
}

// first gives names the first profile that has something of them.
func first(p Profile, names string) map[string]Profile {
	all := map[string]Profile{}
	for _, name := range strings.Fields(names) {
		all[name] = p
	}
	return all
}

func merge(maps ...map[string]Profile) map[string]Profile {
	all := map[string]Profile{}
	for _, m := range maps {
		for name, p := range m {
			all[name] = p
		}
	}
	return all
}

// provided are the functions of WASI that there are; every function of the ABI is
// there in both.
var provided = merge(
	first(Envoy133, `args_get args_sizes_get clock_time_get environ_get environ_sizes_get fd_close fd_fdstat_get fd_fdstat_set_flags
		fd_prestat_dir_name fd_prestat_get fd_read fd_seek fd_write path_open poll_oneoff proc_exit random_get sched_yield`),
	first(Envoy139, `clock_res_get fd_advise fd_allocate fd_datasync fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size
		fd_filestat_set_times fd_pread fd_pwrite fd_readdir fd_renumber fd_sync fd_tell path_create_directory path_filestat_get
		path_filestat_set_times path_link path_readlink path_remove_directory path_rename path_symlink path_unlink_file sock_accept
		sock_recv sock_send sock_shutdown`),
)

// allowed are the functions that may be called in a phase that restricts them;
// every other one traps there. In other phases all are allowed.
var allowed = map[phase]map[string]Profile{
	phaseInitialize: merge(
		first(Envoy133, `proxy_log args_get args_sizes_get clock_time_get environ_get environ_sizes_get fd_fdstat_get fd_fdstat_set_flags
			fd_prestat_dir_name fd_prestat_get fd_write random_get`),
		first(Envoy139, `poll_oneoff clock_res_get fd_advise fd_allocate fd_datasync fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size
			fd_filestat_set_times fd_pread fd_pwrite fd_readdir fd_renumber fd_sync fd_tell path_create_directory path_filestat_get
			path_filestat_set_times path_link path_readlink path_remove_directory path_rename path_symlink path_unlink_file sock_accept
			sock_recv sock_send sock_shutdown`),
	),
	phaseAllocate: merge(
		first(Envoy133, "proxy_log fd_write clock_time_get"),
		first(Envoy139, "poll_oneoff"),
	),
}

// restrictedPhases are those of allowed, in words.
var restrictedPhases = map[phase]string{
	phaseInitialize: "while the module initializes",
	phaseAllocate:   "while the module allocates memory",
}

// restrict traps where the function must not be called now.
func (vm *VM) restrict(function string) {
	if vm.phase != phaseInitialize && vm.phase != phaseAllocate {
		return
	}
	if since, ok := allowed[vm.phase][function]; !ok || since > vm.config.Profile {
		panic(fmt.Errorf("%s must not be called %s", function, restrictedPhases[vm.phase]))
	}
}

// missing returns an import that the profile does not have, or "".
func (m *Module) missing(p Profile) string {
	for _, f := range m.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if since := provided[name]; module == wasi_snapshot_preview1.ModuleName && since > p {
			return name
		}
	}
	return ""
}

// restricting wraps the functions of WASI that wazero brings: what is not in
// wasiCalls is wazero's own, and is called through this listener.
type restricting struct{}

func (restricting) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	name := f.ExportNames()
	if len(name) == 0 || slices.ContainsFunc(wasiCalls, func(c call) bool { return c.name == name[0] }) {
		return nil
	}
	return experimental.FunctionListenerFunc(func(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
		if vm, ok := ctx.Value(vmKey{}).(*VM); ok {
			vm.restrict(name[0])
		}
	})
}
