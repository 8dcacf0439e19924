package host

import (
	"testing"
	"time"
)

func TestTicks(t *testing.T) {
	var periods []time.Duration
	watched := func(c *VMConfig) {
		c.TickPeriod = func(_ *Plugin, period time.Duration) { periods = append(periods, period) }
	}
	expectPeriods := func(want ...time.Duration) {
		t.Helper()
		if len(periods) != len(want) {
			t.Fatalf("periods %v, want %v", periods, want)
		}
		for i := range want {
			if periods[i] != want[i] {
				t.Errorf("periods %v, want %v", periods, want)
			}
		}
		periods = nil
	}

	p, r := newGuest(t, "tick: level; get request :path; get response :status\nrequest: tick 250", watched)
	p.Tick()
	expect(t, r) // it did not ask for any
	s := p.NewStream()
	s.OnRequestHeaders(NewHeaderMap(simple...), true)
	expect(t, r, "request 2: tick 250 = 0") // the period is the plugin's, whichever context asks
	expectPeriods(250 * time.Millisecond)
	p.Tick()
	expect(
		t, r, "tick 1: level = 0 2", `tick 1: get request :path = 2 untouched "" allocations=0`,
		`tick 1: get response :status = 2 untouched "" allocations=0`,
	)
	s.OnDone()

	// Plugins of one VM tick apart, until they end.
	other, err := p.VM().NewPlugin(t.Context(), PluginConfig{Name: "other", Configuration: []byte("configure: tick 1000\ntick: tick 0")})
	if err != nil {
		t.Fatal(err)
	}
	expectPeriods(time.Second)
	r.take()
	p.VM().Tick()
	if got := r.take(); len(got) != 4 || got[3] != "info other tick 3: tick 0 = 0" {
		t.Errorf("%q", got)
	}
	expectPeriods(0)
	p.VM().Tick() // no more of the other one
	if got := r.take(); len(got) != 3 {
		t.Errorf("%q", got)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectPeriods() // it had none
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectPeriods(0)
	r.take()
	p.VM().Tick()
	p.Tick()
	expect(t, r)
}

func TestARefusedPluginHasNoTicks(t *testing.T) {
	last := time.Duration(-1)
	p, r := newGuest(t, "", func(c *VMConfig) { c.TickPeriod = func(_ *Plugin, period time.Duration) { last = period } })
	if _, err := p.VM().NewPlugin(t.Context(), PluginConfig{Configuration: []byte("refuse\nconfigure: tick 5\ntick: level")}); err == nil {
		t.Fatal("it is taken")
	}
	r.take()
	if p.VM().Tick(); last != 0 || len(r.take()) != 0 {
		t.Errorf("it ticks on, every %v", last)
	}
}

// TestATrapInATickFailsTheVM is what Envoy does with any callback.
func TestATrapInATickFailsTheVM(t *testing.T) {
	p, _ := newGuest(t, "configure: tick 5\ntick: trap")
	p.Tick()
	if p.VM().Failed() == nil {
		t.Error("the VM lives on")
	}
	p.Tick() // and is called no more
}
