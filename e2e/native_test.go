package e2e

import (
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/filtertest"
)

// TestNative runs the filter, built for this machine, on a proxy in memory.
func TestNative(t *testing.T) {
	for _, s := range scenario.All() {
		t.Run(s.Name, func(t *testing.T) {
			h := &filtertest.Host{Added: filtertest.List(s.Added).Entries()}
			plugin := filtertest.Start(t, s.Config, h)
			request := filtertest.Joined(filtertest.List(s.Request).Entries())
			upstream := filtertest.Joined(filtertest.List(s.Upstream.Headers).Entries())
			exchange := filtertest.Serve(plugin, h, filtertest.Entries(request), upstream...)
			got := outcome{headers: scenario.Collect(func(yield func(string, string) bool) {
				for _, e := range h.Response {
					if !yield(e.Name, e.Value) {
						return
					}
				}
			})}
			if h.Replies > 0 {
				got.reply, got.details = int(h.Status), h.Details
			}
			if paused := exchange.Action == types.ActionPause; paused != (h.Replies == 1) {
				t.Errorf("paused: %v, with %d replies", paused, h.Replies)
			}
			for name, n := range h.Counted() {
				for range n {
					got.counters = append(got.counters, strings.TrimPrefix(name, "cors."))
				}
			}
			check(t, s, got)
		})
	}
}
