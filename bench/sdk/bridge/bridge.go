//go:build sdkbridge

// This file is not compiled where it lies: the build of bench/sdk puts it into
// the SDK's package internal, where it takes the place of the emulator's host.
// It has what the filter calls, and the callbacks of a stream.
package internal

import "unsafe"

//go:wasmimport env proxy_log
func proxyLog(level uint32, message *byte, size uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(buffer, start, maxSize uint32, data, size *uint32) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(mapType uint32, key *byte, keySize uint32, value, valueSize *uint32) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(mapType uint32, data, size *uint32) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeaderMapValue(mapType uint32, key *byte, keySize uint32, value *byte, valueSize uint32) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeaderMapValue(mapType uint32, key *byte, keySize uint32, value *byte, valueSize uint32) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeaderMapValue(mapType uint32, key *byte, keySize uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details *byte, detailsSize uint32, body *byte, bodySize uint32, headers *byte, headersSize uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(kind uint32, name *byte, nameSize uint32, id *uint32) uint32

//go:wasmimport env proxy_increment_metric
func proxyIncrementMetric(id uint32, offset int64) uint32

// bridge is the proxy; what is not here answers Ok, as the emulator's does.
type bridge struct{ DefaultProxyWAMSHost }

func init() { currentHost = bridge{} }

func (bridge) ProxyLog(level LogLevel, message *byte, size int) Status {
	return Status(proxyLog(uint32(level), message, uint32(size)))
}

// took hands an address and a size over to where the SDK wants them; an int and
// a pointer are 64 bits here, and the host writes 32.
func took(status, address, size uint32, data **byte, n *int) Status {
	*data, *n = (*byte)(unsafe.Pointer(uintptr(address))), int(size)
	return Status(status)
}

func (bridge) ProxyGetBufferBytes(buffer BufferType, start, maxSize int, data **byte, n *int) Status {
	var address, size uint32
	// The SDK asks for all with the largest int; the sign is all that is lost.
	status := proxyGetBufferBytes(uint32(buffer), uint32(start), uint32(maxSize)&(1<<31-1), &address, &size)
	return took(status, address, size, data, n)
}

func (bridge) ProxyGetHeaderMapValue(mapType MapType, key *byte, keySize int, data **byte, n *int) Status {
	var address, size uint32
	status := proxyGetHeaderMapValue(uint32(mapType), key, uint32(keySize), &address, &size)
	return took(status, address, size, data, n)
}

func (bridge) ProxyGetHeaderMapPairs(mapType MapType, data **byte, n *int) Status {
	var address, size uint32
	status := proxyGetHeaderMapPairs(uint32(mapType), &address, &size)
	return took(status, address, size, data, n)
}

func (bridge) ProxyReplaceHeaderMapValue(mapType MapType, key *byte, keySize int, value *byte, valueSize int) Status {
	return Status(proxyReplaceHeaderMapValue(uint32(mapType), key, uint32(keySize), value, uint32(valueSize)))
}

func (bridge) ProxyAddHeaderMapValue(mapType MapType, key *byte, keySize int, value *byte, valueSize int) Status {
	return Status(proxyAddHeaderMapValue(uint32(mapType), key, uint32(keySize), value, uint32(valueSize)))
}

func (bridge) ProxyRemoveHeaderMapValue(mapType MapType, key *byte, keySize int) Status {
	return Status(proxyRemoveHeaderMapValue(uint32(mapType), key, uint32(keySize)))
}

func (bridge) ProxySendLocalResponse(status uint32, details *byte, detailsSize int, body *byte, bodySize int, headers *byte, headersSize int, grpcStatus int32) Status {
	return Status(proxySendLocalResponse(status, details, uint32(detailsSize), body, uint32(bodySize), headers, uint32(headersSize), grpcStatus))
}

func (bridge) ProxyDefineMetric(kind MetricType, name *byte, nameSize int, id *uint32) Status {
	return Status(proxyDefineMetric(uint32(kind), name, uint32(nameSize), id))
}

func (bridge) ProxyIncrementMetric(id uint32, offset int64) Status {
	return Status(proxyIncrementMetric(id, offset))
}

//go:wasmexport proxy_abi_version_0_2_1
func exportABIVersion() {}

// handed are the last allocations: until the SDK has a pointer to one, only the
// host knows of it, and the collector must not take it.
var (
	handed [4]*byte
	turn   int
)

//go:wasmexport proxy_on_memory_allocate
func exportMemoryAllocate(size uint32) unsafe.Pointer {
	turn = (turn + 1) % len(handed)
	handed[turn] = proxyOnMemoryAllocate(uint(size))
	return unsafe.Pointer(handed[turn])
}

//go:wasmexport proxy_on_vm_start
func exportVMStart(id, size uint32) uint32 { return flag(bool(proxyOnVMStart(id, int(size)))) }

//go:wasmexport proxy_on_context_create
func exportContextCreate(id, parent uint32) { proxyOnContextCreate(id, parent) }

//go:wasmexport proxy_on_configure
func exportConfigure(id, size uint32) uint32 { return flag(bool(proxyOnConfigure(id, int(size)))) }

//go:wasmexport proxy_on_request_headers
func exportRequestHeaders(id, headers, end uint32) uint32 {
	return uint32(proxyOnRequestHeaders(id, int(headers), end != 0))
}

//go:wasmexport proxy_on_response_headers
func exportResponseHeaders(id, headers, end uint32) uint32 {
	return uint32(proxyOnResponseHeaders(id, int(headers), end != 0))
}

//go:wasmexport proxy_on_delete
func exportDelete(id uint32) { proxyOnDelete(id) }

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
