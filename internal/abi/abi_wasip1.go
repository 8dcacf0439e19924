//go:build wasip1

package abi

import (
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
	"corsfilter/internal/hostcall"
)

// Host is the proxy, called directly.
type Host = hostcall.Host

var (
	vm      *filter.VM
	plugins pluginTable
	streams contexts
)

// SetVM registers the filter. It must be called while the module initializes.
func SetVM(v *filter.VM) { vm = v }

//go:wasmexport proxy_abi_version_0_2_1
//export proxy_abi_version_0_2_1
func proxyABIVersion() {}

//go:wasmexport proxy_on_memory_allocate
//export proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) unsafe.Pointer { return hostcall.Allocate(size) }

//go:wasmexport proxy_on_vm_start
//export proxy_on_vm_start
func proxyOnVMStart(_, configurationSize uint32) uint32 {
	defer filter.Rescue(Host{}, "proxy_on_vm_start")
	hostcall.BeginCallback()
	return flag(bool(vm.OnVMStart(int(configurationSize))))
}

//go:wasmexport proxy_on_context_create
//export proxy_on_context_create
func proxyOnContextCreate(id, parent uint32) {
	// A stream's begin and end catch no panic: what they run cannot panic, which a
	// test looks after, and a defer would take as long as the rest.
	if parent == 0 {
		createPlugin(id)
	} else if plugin := plugins.get(parent); plugin != nil {
		streams.put(id, plugin.NewStream())
	}
}

func createPlugin(id uint32) {
	defer filter.Rescue(Host{}, "proxy_on_context_create") // callbacks of a context that is not there do nothing
	plugins.put(id, vm.NewPlugin())
}

//go:wasmexport proxy_on_configure
//export proxy_on_configure
func proxyOnConfigure(id, size uint32) uint32 {
	hostcall.BeginCallback()
	plugin := plugins.get(id)
	return flag(plugin != nil && bool(plugin.OnPluginStart(int(size))))
}

//go:wasmexport proxy_on_request_headers
//export proxy_on_request_headers
func proxyOnRequestHeaders(id, _, _ uint32) uint32 {
	hostcall.BeginCallback()
	stream := streams.get(id)
	if stream == nil {
		return uint32(types.ActionContinue)
	}
	return uint32(stream.OnHttpRequestHeaders(0, false)) // it asks for neither
}

//go:wasmexport proxy_on_response_headers
//export proxy_on_response_headers
func proxyOnResponseHeaders(id, _, _ uint32) uint32 {
	hostcall.BeginCallback()
	stream := streams.get(id)
	if stream == nil {
		return uint32(types.ActionContinue)
	}
	return uint32(stream.OnHttpResponseHeaders(0, false))
}

//go:wasmexport proxy_on_tick
//export proxy_on_tick
func proxyOnTick(id uint32) {
	hostcall.BeginCallback()
	if plugin := plugins.get(id); plugin != nil {
		plugin.OnTick()
	}
}

//go:wasmexport proxy_on_delete
//export proxy_on_delete
func proxyOnDelete(id uint32) {
	if stream := streams.remove(id); stream != nil {
		stream.OnHttpStreamDone()
	} else {
		deletePlugin(id)
	}
}

func deletePlugin(id uint32) {
	defer filter.Rescue(Host{}, "proxy_on_delete")
	if plugin := plugins.remove(id); plugin != nil {
		plugin.OnDelete()
	}
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
