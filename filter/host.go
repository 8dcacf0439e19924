package filter

import "corsfilter/internal/hostcall"

// What the filter needs of the proxy it runs in is hostcall's.
type (
	// Host is the proxy: hostcall.Calls says what it does.
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
