package explain

import (
	"net/netip"
	"strings"

	"corsfilter/internal/origin"
)

// shared is the range that carriers and overlay networks use (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// private reports whether an authority looks like one in the local network or on the user's
// machine.
func private(authority string) bool {
	host, _, _ := origin.SplitPort(authority)
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		address = address.Unmap()
		return address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsUnspecified() || shared.Contains(address)
	}
	for _, name := range []string{"localhost", "local", "internal", "lan", "home.arpa", "test"} {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// localNetwork reports whether a page on the public web calls a private or loopback
// address: the browser then asks its user first (Local Network Access).
func (x *explanation) localNetwork() bool {
	_, page, web := strings.Cut(x.request.Origin, "://")
	web = web && strings.HasPrefix(x.request.Origin, "http")
	return web && strings.Contains(page, ".") && !private(page) && private(x.request.Host)
}
