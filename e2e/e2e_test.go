// Package e2e runs the scenario table: in the built module under wazero, and in the module in Envoy.
package e2e

import (
	"maps"
	"slices"
	"testing"

	"corsfilter/e2e/scenario"
)

// outcome is what a runner saw of a scenario.
type outcome struct {
	reply    int
	details  string
	headers  map[string]string
	body     string
	counters []string
}

// check compares an outcome with what the scenario wants, whole.
func check(t *testing.T, s scenario.Scenario, got outcome) {
	t.Helper()
	if got.reply != s.Want.Reply {
		t.Errorf("answered here with %d, want %d (0: forwarded)", got.reply, s.Want.Reply)
	}
	if got.details != s.Want.Details {
		t.Errorf("details %q, want %q", got.details, s.Want.Details)
	}
	for _, name := range slices.Sorted(maps.Keys(merged(got.headers, s.Want.Headers))) {
		have, has := got.headers[name]
		want, wants := s.Want.Headers[name]
		if has != wants || have != want {
			t.Errorf("%s: %q (%v), want %q (%v)", name, have, has, want, wants)
		}
	}
	if got.reply != 0 && got.body != "" {
		t.Errorf("the reply has the body %q", got.body)
	}
	slices.Sort(got.counters)
	want := slices.Sorted(slices.Values(s.Want.Counters))
	if !slices.Equal(got.counters, want) {
		t.Errorf("counted in %v, want %v", got.counters, want)
	}
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return all
}

// A name that stands twice would be one test's name with "#01" behind it, and
// nobody would find the row.
func TestScenarioNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenario.All() {
		if seen[s.Name] {
			t.Errorf("two scenarios are named %q", s.Name)
		}
		seen[s.Name] = true
	}
}

// status is what upstream answers in a scenario.
func status(s scenario.Scenario) int {
	if s.Upstream.Status == 0 {
		return 200
	}
	return s.Upstream.Status
}
