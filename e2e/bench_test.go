package e2e

import (
	"fmt"
	"strings"
	"testing"

	"corsfilter/internal/host"
)

// BenchmarkRequest times one request in the built module under wazero, for
// benchstat. The host's own work is in it: compare with itself alone.
func BenchmarkRequest(b *testing.B) {
	module := compile(b)
	for _, origins := range []int{1, 1_000} {
		var list []string
		for i := range origins - 1 {
			list = append(list, fmt.Sprintf("%q", fmt.Sprintf("https://app-%d.example.net", i)))
		}
		list = append(list, `"https://shop.example.com"`, `"https://*.example.org"`)
		plugin := start(b, module, strings.Replace(everything, `"https://shop.example.com", "https://*.example.org"`, strings.Join(list, ", "), 1), nil)
		for _, c := range []struct {
			name    string
			request [][2]string
			status  string
			origin  string
		}{
			{"none", noOrigin, "200", ""},
			{"actual", crossOrigin, "200", "https://shop.example.com"},
			{"unlisted", unlisted, "200", ""},
			{"preflight", asking, "204", "https://a.example.org"},
			{"denied", unlistedAsking, "403", ""},
		} {
			b.Run(fmt.Sprintf("case=%s/origins=%d", c.name, origins), func(b *testing.B) {
				r := plugin.Exchange(host.NewHeaderMap(c.request...), plain)
				status, _ := r.Headers.Get(":status")
				if origin, _ := r.Headers.Get("access-control-allow-origin"); status != c.status || origin != c.origin {
					b.Fatalf("status %s, origin %q", status, origin)
				}
				request := host.NewHeaderMap(c.request...)
				for b.Loop() {
					plugin.Exchange(request, plain)
				}
			})
		}
	}
}
