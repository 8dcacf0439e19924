// Command guest is a proxy-wasm module for the proxy's tests: what is asked for makes
// it reply, pause or break, and its responses say how many requests it has seen.
package main

import (
	"strconv"
	"unsafe"
)

func main() {}

//go:wasmimport env proxy_get_header_map_value
func getHeader(kind uint32, name unsafe.Pointer, nameSize uint32, data, length unsafe.Pointer) uint32

//go:wasmimport env proxy_replace_header_map_value
func replaceHeader(kind uint32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_send_local_response
func send(status uint32, details unsafe.Pointer, detailsSize uint32, body unsafe.Pointer, bodySize uint32, headers unsafe.Pointer, headersSize uint32, grpc int32) uint32

const (
	requestHeaders  = 0
	responseHeaders = 2
)

var (
	pinned   [][]byte
	requests int // seen by this VM
)

//go:wasmexport proxy_abi_version_0_2_1
func version() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) unsafe.Pointer {
	memory := make([]byte, size+1)
	pinned = append(pinned, memory)
	return unsafe.Pointer(&memory[0])
}

//go:wasmexport proxy_on_request_headers
func onRequest(_, _, _ uint32) uint32 {
	requests++
	switch header(requestHeaders, ":path") {
	case "/reply":
		details, body := "guest_reply", "a reply\n"
		// One pair: content-type.
		pairs := "\x01\x00\x00\x00\x0c\x00\x00\x00\x09\x00\x00\x00content-type\x00text/tale\x00"
		send(418, pointer(details), uint32(len(details)), pointer(body), uint32(len(body)), pointer(pairs), uint32(len(pairs)), -1)
		return 1
	case "/pause":
		return 1
	case "/trap":
		panic("asked for")
	}
	return 0
}

//go:wasmexport proxy_on_response_headers
func onResponse(_, _, _ uint32) uint32 {
	switch header(responseHeaders, "x-guest") {
	case "break":
		panic("asked for")
	case "pause":
		return 1
	case "status":
		change(":status", "abc")
	}
	change("x-requests", strconv.Itoa(requests))
	return 0
}

func header(kind uint32, name string) string {
	var data unsafe.Pointer
	var size uint32
	if getHeader(kind, pointer(name), uint32(len(name)), unsafe.Pointer(&data), unsafe.Pointer(&size)) != 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(data), size))
}

func change(name, value string) {
	replaceHeader(responseHeaders, pointer(name), uint32(len(name)), pointer(value), uint32(len(value)))
}

func pointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }
