// Package hostcall is the calls from the filter to the proxy. In the module, Host
// is a type without fields that speaks proxy-wasm's ABI (calls_wasip1.go); in
// every other build it is an interface (calls_native.go), implemented through the
// SDK by internal/abi and by the tests' own proxies. An interface in the module, too,
// was left: each call through it costs as much as a look-up of an origin. It
// imports internal/header alone.
package hostcall

// Calls are what the filter needs of the proxy it runs in.
//
// What it returns is good until the callback returns: what a stream needs longer,
// it copies.
type Calls interface {
	// RequestHeader returns the value of a request header, or of a pseudo
	// header such as :method; "" where it is missing or empty, which no CORS
	// question tells apart. Request headers can be read in the request callback
	// only.
	RequestHeader(name string) string
	// RequestHeaders returns all entries of the request headers as pairs, pseudo
	// headers included; it reports false where they cannot be read.
	RequestHeaders() (pairs []byte, ok bool)
	// ResponseHeaders returns all entries of the response headers as pairs; it
	// reports false where there is no such map.
	ResponseHeaders() (pairs []byte, ok bool)
	// ReplaceResponseHeader leaves exactly one entry of the name.
	ReplaceResponseHeader(name, value string)
	// AddResponseHeader appends to what is there.
	AddResponseHeader(name, value string)
	// RemoveResponseHeader removes every entry of the name.
	RemoveResponseHeader(name string)
	// SendReply answers the request here, without a body. details shows up as
	// the response code details of the access log.
	SendReply(status uint32, details string, pairs []byte) error
	// Configuration returns the plugin configuration, inside OnPluginStart only.
	Configuration() ([]byte, error)
	// Environment returns a variable of the environment that the proxy's configuration
	// gives the VM; "" where it is not set.
	Environment(name string) string
	// DefineCounter returns the number under which Increment knows a counter.
	DefineCounter(name string) (id uint32, err error)
	// Increment adds to a counter.
	Increment(id uint32, by uint64)
	// TickEvery asks for ticks of the plugin context, that many milliseconds
	// apart, inside OnPluginStart only; false where the proxy has none.
	TickEvery(milliseconds uint32) bool
	// LogLevel returns the least severe level that the proxy logs.
	LogLevel() LogLevel
	// Log writes one line.
	Log(level LogLevel, message string)
}

// LogLevel is a severity of proxy-wasm's proxy_log, with its numbers.
type LogLevel uint32

// The levels that the filter logs at.
const (
	LogDebug LogLevel = 1
	LogInfo  LogLevel = 2
	LogWarn  LogLevel = 3
	LogError LogLevel = 4
)
