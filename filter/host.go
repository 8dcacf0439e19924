package filter

import "corsfilter/internal/hostcall"

// What the filter needs from its proxy is in hostcall.
type (
	// Host is the proxy; see hostcall.Calls.
	Host = hostcall.Host
	// LogLevel is a severity.
	LogLevel = hostcall.LogLevel
)

// Header is one entry of a header map; Name is in lower case.
type Header struct {
	Name, Value string
}

// The levels that the filter logs at.
const (
	LogDebug = hostcall.LogDebug
	LogInfo  = hostcall.LogInfo
	LogWarn  = hostcall.LogWarn
	LogError = hostcall.LogError
)
