// A guest that does what its plugin configuration says and logs what the host
// answers: one line per callback, "callback: call, call, …".
package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"
)

//go:wasmimport env proxy_log
func proxyLog(level uint32, message unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_get_log_level
func proxyGetLogLevel(level unsafe.Pointer) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(buffer, start, maxSize uint32, data, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32, value, valueSize unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(mapType uint32, data, size unsafe.Pointer) uint32

//go:wasmimport env proxy_set_header_map_pairs
func proxySetHeaderMapPairs(mapType uint32, data unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details unsafe.Pointer, detailsSize uint32, body unsafe.Pointer, bodySize uint32, headers unsafe.Pointer, headersSize uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(kind uint32, name unsafe.Pointer, nameSize uint32, id unsafe.Pointer) uint32

//go:wasmimport env proxy_increment_metric
func proxyIncrementMetric(id uint32, offset int64) uint32

//go:wasmimport wasi_snapshot_preview1 proc_exit
func procExit(code uint32)

//go:wasmimport env proxy_set_tick_period_milliseconds
func proxySetTickPeriod(period uint32) uint32

// Around the cells that the host writes stand sentinels: nothing else may change.
const sentinel = 0xA5A5A5A5

var cells = [4]uint32{sentinel, sentinel, sentinel, sentinel}

func first() unsafe.Pointer  { return unsafe.Pointer(&cells[1]) }
func second() unsafe.Pointer { return unsafe.Pointer(&cells[2]) }

var (
	plugins = map[uint32]string{}
	parents = map[uint32]uint32{}
	metrics = map[string]uint32{} // by name
	memory  [][]byte
	failing bool // the allocator gives nothing
)

func main() {}

func init() { say(2, "initialized") }

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) unsafe.Pointer {
	if failing {
		return nil
	}
	b := make([]byte, max(size, 1))
	memory = append(memory, b)
	return unsafe.Pointer(&b[0])
}

//go:wasmexport proxy_on_vm_start
func vmStart(_, size uint32) uint32 {
	say(2, fmt.Sprintf("vm_start: %d bytes, %s", size, buffer(6)))
	return 1
}

//go:wasmexport proxy_on_context_create
func create(id, parent uint32) { parents[id] = parent }

//go:wasmexport proxy_on_configure
func configure(id, size uint32) uint32 {
	text := buffer(7)
	plugins[id] = text
	if text == "" {
		say(2, fmt.Sprintf("configure %d: nothing, %s", id, cell()))
	}
	run("configure", id, text)
	if strings.HasPrefix(text, "refuse") {
		return 0
	}
	return 1
}

//go:wasmexport proxy_on_request_headers
func requestHeaders(id, n, end uint32) uint32 { return run("request", id, plugins[parents[id]]) }

//go:wasmexport proxy_on_response_headers
func responseHeaders(id, n, end uint32) uint32 { return run("response", id, plugins[parents[id]]) }

//go:wasmexport proxy_on_tick
func tick(id uint32) { run("tick", id, plugins[id]) }

//go:wasmexport proxy_on_done
func done(id uint32) uint32 { run("done", id, plugins[parents[id]]); return 1 }

//go:wasmexport proxy_on_log
func log(id uint32) { run("log", id, plugins[parents[id]]) }

//go:wasmexport proxy_on_delete
func del(id uint32) { run("delete", id, plugins[parents[id]]) }

// run does what the lines of a script say that begin with the callback's name.
func run(callback string, id uint32, script string) (action uint32) {
	for _, line := range strings.Split(script, "\n") {
		name, commands, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) != callback {
			continue
		}
		for _, command := range strings.Split(commands, ";") {
			words := strings.Fields(command)
			if len(words) == 0 {
				continue
			}
			if words[0] == "pause" {
				action = 1
				continue
			}
			say(2, fmt.Sprintf("%s %d: %s = %s", callback, id, strings.Join(words, " "), do(words)))
		}
	}
	return action
}

func do(words []string) string {
	arg := func(i int) string {
		if i < len(words) {
			return strings.NewReplacer("_", " ", `""`, "").Replace(words[i])
		}
		return ""
	}
	number := func(i int) (n int64) { fmt.Sscan(arg(i), &n); return n }
	m := map[string]uint32{"request": 0, "response": 2}[arg(1)]
	cells = [4]uint32{sentinel, sentinel, sentinel, sentinel}
	status := uint32(0)
	result := ""
	switch words[0] {
	case "get":
		before := len(memory)
		status = proxyGetHeaderMapValue(m, ptr(arg(2)), size(arg(2)), first(), second())
		result = fmt.Sprintf("%s %q allocations=%d", cell(), value(), len(memory)-before)
	case "getfail":
		failing = true
		status = proxyGetHeaderMapValue(m, ptr(arg(2)), size(arg(2)), first(), second())
		failing = false
		result = cell()
	case "pairs":
		status = proxyGetHeaderMapPairs(m, first(), second())
		result = fmt.Sprintf("%q", value())
	case "setpairs":
		b := pairs(words[2:])
		status = proxySetHeaderMapPairs(m, unsafe.Pointer(&b[0]), uint32(len(b)))
	case "add":
		status = proxyAddHeaderMapValue(m, ptr(arg(2)), size(arg(2)), ptr(arg(3)), size(arg(3)))
	case "replace":
		status = proxyReplaceHeaderMapValue(m, ptr(arg(2)), size(arg(2)), ptr(arg(3)), size(arg(3)))
	case "remove":
		status = proxyRemoveHeaderMapValue(m, ptr(arg(2)), size(arg(2)))
	case "reply":
		b := pairs(words[3:])
		switch arg(2) {
		case "long":
			b = append(b, 0)
		case "short":
			b = b[:len(b)-1]
		case "many":
			var names []string
			for i := range 1025 {
				names = append(names, fmt.Sprintf("x-%d=1", i))
			}
			b = pairs(names)
		case "huge":
			b = pairs([]string{"x-huge=" + strings.Repeat("v", 1<<20)})
		case "counted":
			binary.LittleEndian.PutUint32(b, 0xffffffff)
		}
		status = proxySendLocalResponse(uint32(number(1)), ptr("some_details"), 12, nil, 0, unsafe.Pointer(&b[0]), uint32(len(b)), -1)
	case "define":
		status = proxyDefineMetric(uint32(number(1)), ptr(arg(2)), size(arg(2)), first())
		if before, again := metrics[arg(2)]; again {
			result = fmt.Sprintf("again=%v", before == cells[1])
		}
		metrics[arg(2)] = cells[1]
	case "increment":
		id, known := metrics[arg(1)]
		if !known {
			id = 1 << 30
		}
		status = proxyIncrementMetric(id, number(2))
	case "buffer":
		status = proxyGetBufferBytes(uint32(number(1)), uint32(number(2)), uint32(number(3)), first(), second())
		result = fmt.Sprintf("%q", value())
	case "level":
		status = proxyGetLogLevel(first())
		result = fmt.Sprint(cells[1])
	case "say":
		status = say(uint32(number(1)), arg(2))
	case "tick":
		status = proxySetTickPeriod(uint32(number(1)))
	case "print":
		fmt.Print(arg(1), "\n")
	case "exit":
		procExit(1)
	case "trap":
		var none []int
		_ = none[len(words)]
	}
	if cells[0] != sentinel || cells[3] != sentinel {
		result += " SENTINEL OVERWRITTEN"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, result))
}

// cell says what the host wrote into the cells for address and size.
func cell() string {
	if cells[1] == sentinel && cells[2] == sentinel {
		return "untouched"
	}
	if cells[1] == 0 {
		return fmt.Sprintf("address 0, size %d", cells[2])
	}
	return fmt.Sprintf("size %d", cells[2])
}

func value() string {
	if cells[1] == sentinel || cells[1] == 0 {
		return ""
	}
	for _, b := range memory {
		if uint32(uintptr(unsafe.Pointer(&b[0]))) == cells[1] {
			return string(b[:cells[2]])
		}
	}
	return "NOT OURS"
}

func pairs(words []string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(words)))
	var text []byte
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
		text = append(append(append(append(text, name...), 0), value...), 0)
	}
	return append(b, text...)
}

func buffer(id uint32) string {
	cells = [4]uint32{sentinel, sentinel, sentinel, sentinel}
	if proxyGetBufferBytes(id, 0, 1<<20, first(), second()) != 0 {
		return "NONE"
	}
	return value()
}

func say(level uint32, message string) uint32 { return proxyLog(level, ptr(message), size(message)) }
func ptr(s string) unsafe.Pointer             { return unsafe.Pointer(unsafe.StringData(s)) }
func size(s string) uint32                    { return uint32(len(s)) }
