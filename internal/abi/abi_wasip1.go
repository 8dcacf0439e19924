//go:build wasip1

package abi

import (
	"errors"
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
	"corsfilter/internal/header"
)

// Status codes, map and buffer types of the ABI, version 0.2.1.
const (
	statusOK       = 0
	statusNotFound = 1

	mapRequestHeaders  = 0
	mapResponseHeaders = 2

	bufferPluginConfiguration = 7

	metricCounter = 0

	noGRPCStatus = -1
)

//go:wasmimport env proxy_log
//go:noescape
func proxyLog(level uint32, message unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_get_log_level
//go:noescape
func proxyGetLogLevel(level unsafe.Pointer) uint32

//go:wasmimport env proxy_get_buffer_bytes
//go:noescape
func proxyGetBufferBytes(buffer, start, maxSize uint32, data, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_value
//go:noescape
func proxyGetHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32, value, valueSize unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_pairs
//go:noescape
func proxyGetHeaderMapPairs(mapType uint32, data, size unsafe.Pointer) uint32

//go:wasmimport env proxy_replace_header_map_value
//go:noescape
func proxyReplaceHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_add_header_map_value
//go:noescape
func proxyAddHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_remove_header_map_value
//go:noescape
func proxyRemoveHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32) uint32

//go:wasmimport env proxy_send_local_response
//go:noescape
func proxySendLocalResponse(status uint32, details unsafe.Pointer, detailsSize uint32, body unsafe.Pointer, bodySize uint32, headers unsafe.Pointer, headersSize uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_define_metric
//go:noescape
func proxyDefineMetric(kind uint32, name unsafe.Pointer, nameSize uint32, id unsafe.Pointer) uint32

//go:wasmimport env proxy_increment_metric
//go:noescape
func proxyIncrementMetric(id uint32, offset int64) uint32

//go:wasmimport env proxy_set_tick_period_milliseconds
//go:noescape
func proxySetTickPeriodMilliseconds(period uint32) uint32

// Results are written here. Cells on the stack could move while the host calls
// back for memory, since that may grow the stack; cells on the heap would be
// garbage.
var (
	resultAddress uint32
	resultSize    uint32
	resultID      uint32
)

var (
	vm      types.VMContext
	plugins = map[uint32]types.PluginContext{}
	streams contexts
	memory  scratch
	pairs   []byte // a reply's headers, serialized
)

// SetVMContext registers the filter. It must be called while the module
// initializes.
func SetVMContext(ctx types.VMContext) { vm = ctx }

//go:wasmexport proxy_abi_version_0_2_1
//export proxy_abi_version_0_2_1
func proxyABIVersion() {}

//go:wasmexport proxy_on_memory_allocate
//export proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) unsafe.Pointer { return memory.allocate(size) }

//go:wasmexport proxy_on_vm_start
//export proxy_on_vm_start
func proxyOnVMStart(_, configurationSize uint32) uint32 {
	defer filter.Rescue(Host{}, "proxy_on_vm_start")
	memory.reset()
	return flag(bool(vm.OnVMStart(int(configurationSize))))
}

//go:wasmexport proxy_on_context_create
//export proxy_on_context_create
func proxyOnContextCreate(id, parent uint32) {
	defer filter.Rescue(Host{}, "proxy_on_context_create") // callbacks of a context that is not there do nothing
	if parent == 0 {
		plugins[id] = vm.NewPluginContext(id)
	} else if plugin := plugins[parent]; plugin != nil {
		streams.put(id, plugin.NewHttpContext(id))
	}
}

//go:wasmexport proxy_on_configure
//export proxy_on_configure
func proxyOnConfigure(id, size uint32) uint32 {
	memory.reset()
	plugin := plugins[id]
	return flag(plugin != nil && bool(plugin.OnPluginStart(int(size))))
}

//go:wasmexport proxy_on_request_headers
//export proxy_on_request_headers
func proxyOnRequestHeaders(id, headers, endOfStream uint32) uint32 {
	memory.reset()
	if stream := streams.get(id); stream != nil {
		return uint32(stream.OnHttpRequestHeaders(int(headers), endOfStream != 0))
	}
	return uint32(types.ActionContinue)
}

//go:wasmexport proxy_on_response_headers
//export proxy_on_response_headers
func proxyOnResponseHeaders(id, headers, endOfStream uint32) uint32 {
	memory.reset()
	if stream := streams.get(id); stream != nil {
		return uint32(stream.OnHttpResponseHeaders(int(headers), endOfStream != 0))
	}
	return uint32(types.ActionContinue)
}

//go:wasmexport proxy_on_tick
//export proxy_on_tick
func proxyOnTick(id uint32) {
	memory.reset()
	if plugin := plugins[id]; plugin != nil {
		plugin.OnTick()
	}
}

//go:wasmexport proxy_on_delete
//export proxy_on_delete
func proxyOnDelete(id uint32) {
	defer filter.Rescue(Host{}, "proxy_on_delete")
	if stream := streams.remove(id); stream != nil {
		stream.OnHttpStreamDone()
		return
	}
	if plugin, ok := plugins[id].(filter.Deletable); ok {
		plugin.OnDelete()
	}
	delete(plugins, id)
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// Host is the proxy, called directly.
type Host struct{}

var _ filter.Host = Host{}

// RequestHeader implements filter.Host.
func (Host) RequestHeader(name string) string {
	// A missing header leaves the result cells alone, an empty one sets them to 0.
	if proxyGetHeaderMapValue(mapRequestHeaders, data(name), size(name), unsafe.Pointer(&resultAddress), unsafe.Pointer(&resultSize)) != statusOK {
		return ""
	}
	return header.AsString(memory.view(uintptr(resultAddress), resultSize))
}

// RequestHeaders implements filter.Host.
func (Host) RequestHeaders(v filter.HeaderVisitor) bool { return visitMap(mapRequestHeaders, v) }

// ResponseHeaders implements filter.Host.
func (Host) ResponseHeaders(v filter.HeaderVisitor) bool { return visitMap(mapResponseHeaders, v) }

func visitMap(id uint32, v filter.HeaderVisitor) bool {
	resultAddress, resultSize = 0, 0
	if proxyGetHeaderMapPairs(id, unsafe.Pointer(&resultAddress), unsafe.Pointer(&resultSize)) != statusOK {
		return false
	}
	return visitPairs(memory.view(uintptr(resultAddress), resultSize), v)
}

// ReplaceResponseHeader implements filter.Host.
func (Host) ReplaceResponseHeader(name, value string) {
	proxyReplaceHeaderMapValue(mapResponseHeaders, data(name), size(name), data(value), size(value))
}

// AddResponseHeader implements filter.Host.
func (Host) AddResponseHeader(name, value string) {
	proxyAddHeaderMapValue(mapResponseHeaders, data(name), size(name), data(value), size(value))
}

// RemoveResponseHeader implements filter.Host.
func (Host) RemoveResponseHeader(name string) {
	proxyRemoveHeaderMapValue(mapResponseHeaders, data(name), size(name))
}

// SendReply implements filter.Host.
func (Host) SendReply(status uint32, details string, headers []filter.Header) error {
	pairs = appendPairs(pairs[:0], headers)
	return check(proxySendLocalResponse(status, data(details), size(details), nil, 0,
		unsafe.Pointer(unsafe.SliceData(pairs)), uint32(len(pairs)), noGRPCStatus))
}

// Configuration implements filter.Host.
func (Host) Configuration() ([]byte, error) {
	resultAddress, resultSize = 0, 0
	status := proxyGetBufferBytes(bufferPluginConfiguration, 0, maxAllocation, unsafe.Pointer(&resultAddress), unsafe.Pointer(&resultSize))
	if status == statusNotFound {
		return nil, nil
	}
	return memory.view(uintptr(resultAddress), resultSize), check(status)
}

// DefineCounter implements filter.Host.
func (Host) DefineCounter(name string) (uint32, error) {
	status := proxyDefineMetric(metricCounter, data(name), size(name), unsafe.Pointer(&resultID))
	return resultID, check(status)
}

// Increment implements filter.Host.
func (Host) Increment(id uint32, by uint64) { proxyIncrementMetric(id, int64(by)) }

// TickEvery implements filter.Host.
func (Host) TickEvery(milliseconds uint32) bool {
	return proxySetTickPeriodMilliseconds(milliseconds) == statusOK
}

// LogLevel implements filter.Host.
func (Host) LogLevel() filter.LogLevel {
	if proxyGetLogLevel(unsafe.Pointer(&resultID)) != statusOK {
		return filter.LogInfo
	}
	return filter.LogLevel(resultID)
}

// Log implements filter.Host.
func (Host) Log(level filter.LogLevel, message string) {
	proxyLog(uint32(level), data(message), size(message))
}

// Statuses other than Ok, made beforehand: a callback must not allocate.
var errStatus = func() (all [13]error) {
	for i, name := range [...]string{"ok", "not found", "bad argument", "serialization failure", "parse failure", "bad expression",
		"invalid memory access", "empty", "compare-and-swap mismatch", "result mismatch", "internal failure", "broken connection", "unimplemented"} {
		all[i] = errors.New("the proxy answered: " + name)
	}
	return all
}()

var errUnknownStatus = errors.New("the proxy answered with a status that the ABI does not have")

func check(status uint32) error {
	switch {
	case status == statusOK:
		return nil
	case status < uint32(len(errStatus)):
		return errStatus[status]
	}
	return errUnknownStatus
}

func data(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }
func size(s string) uint32         { return uint32(len(s)) }
