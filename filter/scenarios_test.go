//go:build !wasip1

package filter_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/e2e/scenario"
)

// TestScenarios runs the table of e2e on the filter, built for this machine.
func TestScenarios(t *testing.T) {
	for _, s := range scenario.All() {
		t.Run(s.Name, func(t *testing.T) {
			h := &Host{Added: List(s.Added).Entries()}
			plugin := Start(t, s.Config, h)
			request := Joined(List(s.Request).Entries())
			upstream := Joined(List(s.Upstream.Headers).Entries())
			exchange := Serve(plugin, h, Entries(request), upstream...)
			got := scenario.Want{Headers: scenario.Collect(func(yield func(string, string) bool) {
				for _, e := range h.Response {
					if !yield(e.Name, e.Value) {
						return
					}
				}
			})}
			if h.Replies > 0 {
				got.Reply, got.Details = int(h.Status), h.Details
			}
			if paused := exchange.Action == types.ActionPause; paused != (h.Replies == 1) {
				t.Errorf("paused: %v, with %d replies", paused, h.Replies)
			}
			for name, n := range h.Counted() {
				for range n {
					got.Counters = append(got.Counters, strings.TrimPrefix(name, "cors."))
				}
			}
			want := s.Want
			if want.Headers == nil {
				want.Headers = scenario.H{}
			}
			slices.Sort(got.Counters)
			want.Counters = slices.Sorted(slices.Values(want.Counters))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}
