//go:build !wasip1

package hostcall

// Host is the proxy.
type Host = Calls
