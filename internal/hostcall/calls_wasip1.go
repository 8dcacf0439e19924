//go:build wasip1

package hostcall

import (
	"errors"
	"strings"
	"unsafe"

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

//go:wasmimport wasi_snapshot_preview1 environ_sizes_get
//go:noescape
func environSizesGet(count, size unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 environ_get
//go:noescape
func environGet(entries, text unsafe.Pointer) uint32

// memory is what the host writes into: values, and where a value is. Cells for that on
// the stack could move while the host calls back for memory, since that may grow the
// stack; cells on the heap would be garbage.
var memory struct {
	address, size uint32 // of a value
	id            uint32
	scratch
}

// BeginCallback makes the memory free again that the proxy wrote into during the
// callback before.
func BeginCallback() { memory.reset() }

// Allocate is the memory that the proxy asks for.
func Allocate(size uint32) unsafe.Pointer { return memory.allocate(size) }

// Host is the proxy, called directly.
type Host struct{}

var _ Calls = Host{}

// RequestHeader implements Calls.
func (Host) RequestHeader(name string) string {
	// A missing header leaves the result cells alone, an empty one sets them to 0.
	if proxyGetHeaderMapValue(mapRequestHeaders, data(name), size(name), unsafe.Pointer(&memory.address), unsafe.Pointer(&memory.size)) != statusOK {
		return ""
	}
	return header.AsString(memory.view(uintptr(memory.address), memory.size))
}

// RequestHeaders implements Calls.
func (Host) RequestHeaders() (pairs []byte, ok bool) { return headerMap(mapRequestHeaders) }

// ResponseHeaders implements Calls.
func (Host) ResponseHeaders() (pairs []byte, ok bool) { return headerMap(mapResponseHeaders) }

func headerMap(id uint32) (pairs []byte, ok bool) {
	memory.address, memory.size = 0, 0
	if proxyGetHeaderMapPairs(id, unsafe.Pointer(&memory.address), unsafe.Pointer(&memory.size)) != statusOK {
		return nil, false
	}
	return memory.view(uintptr(memory.address), memory.size), true
}

// ReplaceResponseHeader implements Calls.
func (Host) ReplaceResponseHeader(name, value string) {
	proxyReplaceHeaderMapValue(mapResponseHeaders, data(name), size(name), data(value), size(value))
}

// AddResponseHeader implements Calls.
func (Host) AddResponseHeader(name, value string) {
	proxyAddHeaderMapValue(mapResponseHeaders, data(name), size(name), data(value), size(value))
}

// RemoveResponseHeader implements Calls.
func (Host) RemoveResponseHeader(name string) {
	proxyRemoveHeaderMapValue(mapResponseHeaders, data(name), size(name))
}

// SendReply implements Calls.
func (Host) SendReply(status uint32, details string, pairs []byte) error {
	return check(proxySendLocalResponse(status, data(details), size(details), nil, 0,
		unsafe.Pointer(unsafe.SliceData(pairs)), uint32(len(pairs)), noGRPCStatus))
}

// Configuration implements Calls.
func (Host) Configuration() ([]byte, error) {
	memory.address, memory.size = 0, 0
	status := proxyGetBufferBytes(bufferPluginConfiguration, 0, maxAllocation, unsafe.Pointer(&memory.address), unsafe.Pointer(&memory.size))
	if status == statusNotFound {
		return nil, nil
	}
	return memory.view(uintptr(memory.address), memory.size), check(status)
}

// Environment implements Calls. TinyGo's own way to the environment needs the malloc
// that is left out there.
func (Host) Environment(name string) string {
	if environSizesGet(unsafe.Pointer(&memory.id), unsafe.Pointer(&memory.size)) != 0 || memory.id == 0 {
		return ""
	}
	entries, text := make([]uint32, memory.id), make([]byte, memory.size)
	if environGet(unsafe.Pointer(unsafe.SliceData(entries)), unsafe.Pointer(unsafe.SliceData(text))) != 0 {
		return ""
	}
	for rest := string(text); rest != ""; {
		var entry string
		entry, rest, _ = strings.Cut(rest, "\x00")
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// DefineCounter implements Calls.
func (Host) DefineCounter(name string) (uint32, error) {
	status := proxyDefineMetric(metricCounter, data(name), size(name), unsafe.Pointer(&memory.id))
	return memory.id, check(status)
}

// Increment implements Calls.
func (Host) Increment(id uint32, by uint64) { proxyIncrementMetric(id, int64(by)) }

// TickEvery implements Calls.
func (Host) TickEvery(milliseconds uint32) bool {
	return proxySetTickPeriodMilliseconds(milliseconds) == statusOK
}

// LogLevel implements Calls.
func (Host) LogLevel() LogLevel {
	if proxyGetLogLevel(unsafe.Pointer(&memory.id)) != statusOK {
		return LogInfo
	}
	return LogLevel(memory.id)
}

// Log implements Calls.
func (Host) Log(level LogLevel, message string) {
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
