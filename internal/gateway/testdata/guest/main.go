// Command guest is the proxy-wasm module of the gateway's tests. It stamps what
// passes, and the path makes it reply, pause, rewrite or break.
package main

import (
	"encoding/binary"
	"os"
	"strconv"
	"unsafe"
)

func main() {}

//go:wasmimport env proxy_log
func proxyLog(level uint32, text unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(kind, start, size uint32, data, length unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeader(kind uint32, name unsafe.Pointer, nameSize uint32, data, length unsafe.Pointer) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeader(kind uint32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeader(kind uint32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySend(status uint32, details unsafe.Pointer, detailsSize uint32, body unsafe.Pointer, bodySize uint32, headers unsafe.Pointer, headersSize uint32, grpc int32) uint32

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(kind uint32, name unsafe.Pointer, nameSize uint32, id unsafe.Pointer) uint32

//go:wasmimport env proxy_increment_metric
func proxyIncrementMetric(id uint32, by int64) uint32

const (
	requestHeaders  = 0
	responseHeaders = 2
	pluginConfig    = 7
)

var (
	pinned   [][]byte
	tags     = map[uint32]string{} // by plugin context
	parents  = map[uint32]uint32{} // plugin context of a stream
	requests int                   // seen by this VM
	metric   uint32
)

//go:wasmexport proxy_abi_version_0_2_1
func version() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) unsafe.Pointer {
	memory := make([]byte, size+1)
	pinned = append(pinned, memory)
	return unsafe.Pointer(&memory[0])
}

//go:wasmexport proxy_on_context_create
func create(id, parent uint32) { parents[id] = parent }

//go:wasmexport proxy_on_vm_start
func start(uint32, uint32) uint32 { return 1 }

//go:wasmexport proxy_on_configure
func configure(id, _ uint32) uint32 {
	var data unsafe.Pointer
	var size uint32
	proxyGetBufferBytes(pluginConfig, 0, 1<<20, unsafe.Pointer(&data), unsafe.Pointer(&size))
	tag := text(data, size)
	if tag == "reject" {
		return 0
	}
	tags[id] = tag
	name := "guest.requests"
	proxyDefineMetric(0, pointer(name), uint32(len(name)), unsafe.Pointer(&metric))
	line := "configured " + tag
	proxyLog(2, pointer(line), uint32(len(line)))
	return 1
}

//go:wasmexport proxy_on_request_headers
func onRequest(id, _, _ uint32) uint32 {
	requests++
	proxyIncrementMetric(metric, 1)
	tag := tags[parents[id]]
	switch path := header(requestHeaders, ":path"); path {
	case "/local/" + tag:
		reply(tag)
		return 1
	case "/pause":
		return 1
	case "/trap":
		panic("asked for")
	case "/rewrite":
		change(proxyReplaceHeader, requestHeaders, ":path", "/api/rewritten")
	}
	change(proxyAddHeader, requestHeaders, "x-guest", tag)
	return 0
}

//go:wasmexport proxy_on_response_headers
func onResponse(id, _, _ uint32) uint32 {
	if header(responseHeaders, "x-break") != "" {
		panic("asked for")
	}
	change(proxyAddHeader, responseHeaders, "x-stamp", tags[parents[id]])
	change(proxyReplaceHeader, responseHeaders, "x-plugins", strconv.Itoa(len(tags)))
	change(proxyReplaceHeader, responseHeaders, "x-requests", strconv.Itoa(requests))
	change(proxyReplaceHeader, responseHeaders, "x-env", os.Getenv("GUEST"))
	return 0
}

//go:wasmexport proxy_on_delete
func remove(id uint32) {
	delete(parents, id)
	delete(tags, id)
}

func reply(tag string) {
	const name = "x-local"
	pairs := binary.LittleEndian.AppendUint32(nil, 1)
	pairs = binary.LittleEndian.AppendUint32(pairs, uint32(len(name)))
	pairs = binary.LittleEndian.AppendUint32(pairs, uint32(len(tag)))
	pairs = append(append(append(append(pairs, name...), 0), tag...), 0)
	details, body := "guest_local", "local\n"
	proxySend(418, pointer(details), uint32(len(details)), pointer(body), uint32(len(body)), unsafe.Pointer(&pairs[0]), uint32(len(pairs)), -1)
}

func header(kind uint32, name string) string {
	var data unsafe.Pointer
	var size uint32
	if proxyGetHeader(kind, pointer(name), uint32(len(name)), unsafe.Pointer(&data), unsafe.Pointer(&size)) != 0 {
		return ""
	}
	return text(data, size)
}

func change(call func(uint32, unsafe.Pointer, uint32, unsafe.Pointer, uint32) uint32, kind uint32, name, value string) {
	call(kind, pointer(name), uint32(len(name)), pointer(value), uint32(len(value)))
}

func pointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

func text(data unsafe.Pointer, size uint32) string {
	return string(unsafe.Slice((*byte)(data), size))
}
