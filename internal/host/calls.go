package host

import (
	"bytes"
	"strings"
	"time"
	"unsafe"
)

// Numbers of maps, buffers and kinds of metrics in the ABI.
const (
	mapRequestHeaders  = 0
	mapResponseHeaders = 2

	bufferVMConfiguration     = 6
	bufferPluginConfiguration = 7

	metricCounter   = 0
	metricHistogram = 2
)

// calls are the functions of the ABI, version 0.2.1. Those without run answer
// Unimplemented: a module may import them, and finds out when it calls. With one
// are those that the filter calls, and those that a test asks how Envoy answers.
var calls = []call{
	{name: "proxy_log", params: "log_level message_data message_size", run: (*VM).proxyLog},
	{name: "proxy_get_log_level", params: "return_log_level", run: (*VM).proxyGetLogLevel},
	{name: "proxy_get_current_time_nanoseconds", params: "return_time"},
	{name: "proxy_get_property", params: "path_data path_size return_value_data return_value_size"},
	{name: "proxy_get_buffer_bytes", params: "buffer_id offset max_size return_value_data return_value_size", run: (*VM).proxyGetBufferBytes},
	{name: "proxy_get_buffer_status", params: "buffer_id return_buffer_size return_flags"},

	{name: "proxy_get_header_map_value", params: "map_id key_data key_size return_value_data return_value_size", run: (*VM).proxyGetHeaderMapValue},
	{name: "proxy_get_header_map_pairs", params: "map_id return_map_data return_map_size", run: (*VM).proxyGetHeaderMapPairs},
	{name: "proxy_get_header_map_size", params: "map_id return_size"},
	{name: "proxy_add_header_map_value", params: "map_id key_data key_size value_data value_size", run: (*VM).proxyAddHeaderMapValue},
	{name: "proxy_replace_header_map_value", params: "map_id key_data key_size value_data value_size", run: (*VM).proxyReplaceHeaderMapValue},
	{name: "proxy_remove_header_map_value", params: "map_id key_data key_size", run: (*VM).proxyRemoveHeaderMapValue},
	{name: "proxy_set_header_map_pairs", params: "map_id map_data map_size"},

	{name: "proxy_send_local_response", params: "status_code status_code_details_data status_code_details_size body_data body_size headers_data headers_size grpc_status", run: (*VM).proxySendLocalResponse},

	{name: "proxy_define_metric", params: "metric_type name_data name_size return_metric_id", run: (*VM).proxyDefineMetric},
	{name: "proxy_increment_metric", params: "metric_id offset:64", run: (*VM).proxyIncrementMetric},
	{name: "proxy_record_metric", params: "metric_id value:64"},
	{name: "proxy_get_metric", params: "metric_id return_value"},

	// The host runs a stream's callbacks one after the other, so that there is no
	// other context to be effective.
	{name: "proxy_set_effective_context", params: "context_id", run: func(*VM, []uint64) status { return statusOK }},
	{name: "proxy_done", params: "", run: (*VM).proxyDone},

	{name: "proxy_set_tick_period_milliseconds", params: "period", run: (*VM).proxySetTickPeriod},
	{name: "proxy_set_property", params: "path_data path_size value_data value_size"},
	{name: "proxy_set_buffer_bytes", params: "buffer_id offset size value_data value_size"},
	{name: "proxy_get_shared_data", params: "key_data key_size return_value_data return_value_size return_cas"},
	{name: "proxy_set_shared_data", params: "key_data key_size value_data value_size cas"},
	{name: "proxy_register_shared_queue", params: "name_data name_size return_queue_id"},
	{name: "proxy_resolve_shared_queue", params: "vm_id_data vm_id_size name_data name_size return_queue_id"},
	{name: "proxy_enqueue_shared_queue", params: "queue_id value_data value_size"},
	{name: "proxy_dequeue_shared_queue", params: "queue_id return_value_data return_value_size"},
	{name: "proxy_http_call", params: "upstream_data upstream_size headers_data headers_size body_data body_size trailers_data trailers_size timeout return_call_id"},
	{name: "proxy_grpc_call", params: "upstream_data upstream_size service_data service_size method_data method_size metadata_data metadata_size message_data message_size timeout return_call_id"},
	{name: "proxy_grpc_stream", params: "upstream_data upstream_size service_data service_size method_data method_size metadata_data metadata_size return_stream_id"},
	{name: "proxy_grpc_send", params: "stream_id message_data message_size end_of_stream"},
	{name: "proxy_grpc_cancel", params: "call_id"},
	{name: "proxy_grpc_close", params: "stream_id"},
	{name: "proxy_get_status", params: "return_status_code return_message_data return_message_size"},
	{name: "proxy_continue_stream", params: "stream_type"},
	{name: "proxy_close_stream", params: "stream_type"},
	{name: "proxy_call_foreign_function", params: "name_data name_size arguments_data arguments_size return_results_data return_results_size"},
}

func (vm *VM) proxyLog(p []uint64) status {
	message, ok := vm.read(p[1], p[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	if p[0] > uint64(LogCritical) {
		return statusBadArgument
	}
	if level := LogLevel(p[0]); level >= vm.logLevel() {
		vm.log(level, string(message))
	}
	return statusOK
}

func (vm *VM) proxyGetLogLevel(p []uint64) status {
	return written(vm.writeUint32(p[0], uint32(vm.logLevel())))
}

func written(ok bool) status {
	if !ok {
		return statusInvalidMemoryAccess
	}
	return statusOK
}

// buffer returns a buffer: the VM's configuration at any time, the plugin's where it
// is configured.
func (vm *VM) buffer(id uint64) ([]byte, bool) {
	switch {
	case id == bufferVMConfiguration:
		return vm.config.Configuration, true
	case id == bufferPluginConfiguration && vm.phase == phaseConfigure:
		return vm.plugin.config.Configuration, true
	}
	return nil, false
}

func (vm *VM) proxyGetBufferBytes(p []uint64) status {
	b, ok := vm.buffer(p[0])
	if !ok {
		return statusNotFound
	}
	offset := min(uint64(uint32(p[1])), uint64(len(b)))
	end := min(offset+uint64(uint32(p[2])), uint64(len(b)))
	return vm.give(b[offset:end], p[3], p[4])
}

// headers returns a header map, or nil where it is not available: each map
// belongs to its own callback, and the log callback has both.
func (vm *VM) headers(id uint64) *HeaderMap {
	switch {
	case vm.stream == nil:
	case id == mapRequestHeaders && (vm.phase == phaseRequest || vm.phase == phaseLog):
		return vm.stream.request
	case id == mapResponseHeaders && (vm.phase == phaseResponse || vm.phase == phaseLog):
		return vm.stream.response
	}
	return nil
}

// entry returns a header map and the name that the guest asks for, as a view of
// its memory.
func (vm *VM) entry(id, keyData, keySize uint64) (h *HeaderMap, name string, s status) {
	key, ok := vm.read(keyData, keySize)
	if !ok {
		return nil, "", statusInvalidMemoryAccess
	}
	if h = vm.headers(id); h == nil {
		return nil, "", statusBadArgument
	}
	return h, unsafe.String(unsafe.SliceData(key), len(key)), statusOK
}

func (vm *VM) proxyGetHeaderMapValue(p []uint64) status {
	h, name, s := vm.entry(p[0], p[1], p[2])
	if s != statusOK {
		return s
	}
	value, ok := h.Get(strings.ToLower(name))
	if !ok {
		return statusNotFound
	}
	return vm.give(unsafe.Slice(unsafe.StringData(value), len(value)), p[3], p[4])
}

func (vm *VM) proxyGetHeaderMapPairs(p []uint64) status {
	h := vm.headers(p[0])
	if h == nil { // unlike a single value
		return vm.give(nil, p[1], p[2])
	}
	vm.scratch = appendPairs(vm.scratch[:0], h)
	return vm.give(vm.scratch, p[1], p[2])
}

func (vm *VM) proxyAddHeaderMapValue(p []uint64) status { return vm.change(p, (*HeaderMap).Add) }

func (vm *VM) proxyReplaceHeaderMapValue(p []uint64) status {
	return vm.change(p, (*HeaderMap).Replace)
}

func (vm *VM) change(p []uint64, apply func(h *HeaderMap, name, value string)) status {
	h, name, s := vm.entry(p[0], p[1], p[2])
	if s != statusOK {
		return s
	}
	value, ok := vm.read(p[3], p[4])
	if !ok {
		return statusInvalidMemoryAccess
	}
	apply(h, strings.Clone(name), string(value))
	return statusOK
}

func (vm *VM) proxyRemoveHeaderMapValue(p []uint64) status {
	h, name, s := vm.entry(p[0], p[1], p[2])
	if s == statusOK {
		h.Remove(name)
	}
	return s
}

func (vm *VM) proxySendLocalResponse(p []uint64) status {
	details, ok1 := vm.read(p[1], p[2])
	body, ok2 := vm.read(p[3], p[4])
	headers, ok3 := vm.read(p[5], p[6])
	if !ok1 || !ok2 || !ok3 {
		return statusInvalidMemoryAccess
	}
	switch {
	case vm.stream == nil:
		return statusBadArgument
	case vm.stream.reply != nil: // the first one counts
		return statusOK
	}
	vm.stream.reply = &LocalReply{
		Status:     int(uint32(p[0])),
		Details:    string(details),
		Headers:    parsePairs(headers),
		Body:       bytes.Clone(body),
		GRPCStatus: int32(uint32(p[7])),
	}
	return statusOK
}

func (vm *VM) proxyDefineMetric(p []uint64) status {
	name, ok := vm.read(p[1], p[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	switch {
	case p[0] > metricHistogram:
		return statusBadArgument
	case p[0] != metricCounter:
		return statusUnimplemented
	}
	return written(vm.writeUint32(p[3], vm.metrics.define(string(name))))
}

func (vm *VM) proxyIncrementMetric(p []uint64) status {
	m, offset := vm.metrics.get(uint32(p[0])), int64(p[1])
	switch {
	case m == nil:
		return statusNotFound
	case offset <= 0: // a counter only grows
		return statusBadArgument
	}
	m.value.Add(uint64(offset))
	return statusOK
}

// proxyDone ends a plugin that was asked to end and was not done then. Its context
// is deleted once the callback that says so has returned.
func (vm *VM) proxyDone([]uint64) status {
	if vm.plugin == nil || !vm.plugin.waiting {
		return statusNotFound
	}
	vm.plugin.waiting = false
	vm.leaving = append(vm.leaving, vm.plugin)
	return statusOK
}

// proxySetTickPeriod is the plugin's, whichever of its contexts calls.
func (vm *VM) proxySetTickPeriod(p []uint64) status {
	if vm.plugin != nil {
		vm.plugin.setTickPeriod(time.Duration(uint32(p[0])) * time.Millisecond)
	}
	return statusOK
}
