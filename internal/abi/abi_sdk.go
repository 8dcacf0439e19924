//go:build !wasip1

package abi

import (
	"errors"
	"os"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
	"corsfilter/internal/header"
)

// counters are the SDK's handles; a counter's number is its place.
var counters []proxywasm.MetricCounter

// SetVM registers the filter. It must be called while the module initializes.
func SetVM(v *filter.VM) { proxywasm.SetVMContext(v) }

// Host is the proxy, called through the SDK.
type Host struct{}

var _ filter.Host = Host{}

// RequestHeader implements filter.Host.
func (Host) RequestHeader(name string) string {
	value, err := proxywasm.GetHttpRequestHeader(name)
	if err != nil {
		return ""
	}
	return value
}

// RequestHeaders implements filter.Host.
func (Host) RequestHeaders() (pairs []byte, ok bool) {
	return serialized(proxywasm.GetHttpRequestHeaders())
}

// ResponseHeaders implements filter.Host.
func (Host) ResponseHeaders() (pairs []byte, ok bool) {
	return serialized(proxywasm.GetHttpResponseHeaders())
}

func serialized(headers [][2]string, err error) (pairs []byte, ok bool) {
	entries := make([]filter.Header, len(headers))
	for i, h := range headers {
		entries[i] = filter.Header{Name: h[0], Value: h[1]}
	}
	return header.AppendPairs(nil, entries), err == nil
}

// ReplaceResponseHeader implements filter.Host.
func (Host) ReplaceResponseHeader(name, value string) {
	logFailure(proxywasm.ReplaceHttpResponseHeader(name, value))
}

// AddResponseHeader implements filter.Host.
func (Host) AddResponseHeader(name, value string) {
	logFailure(proxywasm.AddHttpResponseHeader(name, value))
}

// RemoveResponseHeader implements filter.Host.
func (Host) RemoveResponseHeader(name string) {
	logFailure(proxywasm.RemoveHttpResponseHeader(name))
}

// SendReply implements filter.Host. The SDK has no way to pass details on.
func (Host) SendReply(status uint32, _ string, pairs []byte) error {
	return proxywasm.SendHttpResponse(status, header.Entries(pairs), nil, -1)
}

// Configuration implements filter.Host.
func (Host) Configuration() ([]byte, error) {
	data, err := proxywasm.GetPluginConfiguration()
	if errors.Is(err, types.ErrorStatusNotFound) {
		return nil, nil
	}
	return data, err
}

// Environment implements filter.Host.
func (Host) Environment(name string) string { return os.Getenv(name) }

// DefineCounter implements filter.Host.
func (Host) DefineCounter(name string) (uint32, error) {
	counters = append(counters, proxywasm.DefineCounterMetric(name))
	return uint32(len(counters) - 1), nil
}

// Increment implements filter.Host.
func (Host) Increment(id uint32, by uint64) { counters[id].Increment(by) }

// TickEvery implements filter.Host.
func (Host) TickEvery(milliseconds uint32) bool {
	return proxywasm.SetTickPeriodMilliSeconds(milliseconds) == nil
}

// LogLevel implements filter.Host. The SDK cannot ask for it.
func (Host) LogLevel() filter.LogLevel { return filter.LogInfo }

// Log implements filter.Host.
func (Host) Log(level filter.LogLevel, message string) {
	switch level {
	case filter.LogDebug:
		proxywasm.LogDebug(message)
	case filter.LogInfo:
		proxywasm.LogInfo(message)
	case filter.LogWarn:
		proxywasm.LogWarn(message)
	default:
		proxywasm.LogError(message)
	}
}

func logFailure(err error) {
	if err != nil {
		proxywasm.LogError(err.Error())
	}
}
