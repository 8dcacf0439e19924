//go:build !wasip1

package filter_test

import (
	"slices"
	"strings"
	"testing"

	"corsfilter/filter"
)

// told is what the proxy has been told so far. Host.Counts asks for a tick first.
func told(h *Host) string {
	plugin := h.Plugin
	h.Plugin = nil
	defer func() { h.Plugin = plugin }()
	return h.Counts()
}

const trial = `{"allow_origins":["https://a.example"],"rules":[{"paths":["/trial"],` +
	`"policy":{"allow_origins":["https://a.example"],"mode":"shadow"}}]}`

var (
	mine   = req{":method": "GET", ":path": "/", "origin": "https://a.example"}
	theirs = req{":method": "GET", ":path": "/trial", "origin": "https://evil.example"}
)

const (
	one  = "cors.origin_valid=1 cors.request_allowed=1"
	both = "cors.origin_valid=1 cors.request_allowed=1 cors.shadow.origin_invalid=2 cors.shadow.request_denied=2"
)

func TestCountersReachTheProxyByTicks(t *testing.T) {
	h := &Host{}
	plugin := Start(t, trial, h)
	Serve(plugin, h, mine)
	Serve(plugin, h, theirs)
	Serve(plugin, h, theirs)
	if got := told(h); got != "" || slices.Contains(h.Calls, "Increment") {
		t.Errorf("before a tick: %q", got)
	}
	h.Calls = nil
	plugin.OnTick()
	if got := told(h); got != both {
		t.Errorf("after a tick: %q, want %q", got, both)
	}
	// One call for each counter that has grown, however often.
	if want := []string{"Increment", "Increment", "Increment", "Increment", "LogLevel"}; !slices.Equal(h.Calls, want) {
		t.Errorf("calls %q, want %q", h.Calls, want)
	}
	h.Calls = nil
	plugin.OnTick()
	if got := told(h); got != both || !slices.Equal(h.Calls, []string{"LogLevel"}) {
		t.Errorf("after one without anything to tell: %q, calls %q", got, h.Calls)
	}
}

// A proxy without ticks hears of each stream at its end.
func TestCountersWithoutTicks(t *testing.T) {
	h := &Host{NoTicks: true}
	plugin := Start(t, trial, h)
	Serve(plugin, h, mine)
	if got := told(h); got != one {
		t.Errorf("told %q, want %q", got, one)
	}
}

func TestNothingCountedIsLost(t *testing.T) {
	t.Run("when the plugin is deleted", func(t *testing.T) {
		h := &Host{}
		plugin := Start(t, trial, h)
		Serve(plugin, h, mine)
		Serve(plugin, h, theirs)
		Serve(plugin, h, theirs)
		plugin.(*filter.Plugin).OnDelete()
		if got := told(h); got != both {
			t.Errorf("told %q, want %q", got, both)
		}
	})
	t.Run("when the SDK says that it is done", func(t *testing.T) {
		h := &Host{}
		plugin := Start(t, trial, h)
		Serve(plugin, h, mine)
		if !plugin.OnPluginDone() || told(h) != one {
			t.Errorf("told %q, want %q", told(h), one)
		}
	})
	t.Run("when a stream outlives its plugin", func(t *testing.T) {
		h := &Host{}
		plugin := Start(t, trial, h)
		stream := plugin.NewHttpContext(2)
		plugin.(*filter.Plugin).OnDelete()
		h.Request = mine.Entries()
		stream.OnHttpRequestHeaders(0, true)
		stream.OnHttpStreamDone()
		if got := told(h); got != one {
			t.Errorf("told %q, want %q", got, one)
		}
	})
	t.Run("when the plugin is configured again, under another name", func(t *testing.T) {
		h := &Host{}
		plugin := Start(t, trial, h)
		Serve(plugin, h, mine)
		h.Config = strings.Replace(trial, "{", `{"stat_prefix":"b",`, 1)
		plugin.OnPluginStart(0)
		Serve(plugin, h, mine)
		if want := "b.origin_valid=1 b.request_allowed=1 " + one; h.Counts() != want {
			t.Errorf("told %q, want %q", told(h), want)
		}
	})
	t.Run("when the plugin is used again by another configuration", func(t *testing.T) {
		h := &Host{Config: trial, Level: filter.LogInfo}
		vm := filter.New(h)
		first := vm.NewPluginContext(1)
		first.OnPluginStart(0)
		Serve(first, h, mine)
		first.(*filter.Plugin).OnDelete()
		second := vm.NewPluginContext(2)
		second.OnPluginStart(0)
		second.OnTick()
		if got := told(h); got != one {
			t.Errorf("told %q, want %q", got, one)
		}
	})
}

func TestAPanicInATickEndsNothing(t *testing.T) {
	for _, method := range []string{"Increment", "LogLevel"} {
		h := &Host{}
		plugin := Start(t, trial, h)
		Serve(plugin, h, mine)
		h.PanicIn = method
		plugin.OnTick()
		if want := "4 bug in the CORS filter: panic in proxy_on_tick: broken " + method; !slices.Contains(h.Logs, want) {
			t.Errorf("logs %q, want %q", h.Logs, want)
		}
		h.PanicIn = ""
		if got := Serve(plugin, h, mine).Response; got != "access-control-allow-origin: https://a.example\nvary: origin\n" {
			t.Errorf("the next stream: %q", got)
		}
	}
}

func TestAPanicInADeletionEndsNothing(t *testing.T) {
	h := &Host{}
	plugin := Start(t, trial, h).(*filter.Plugin)
	Serve(plugin, h, mine)
	plugin.Break()
	plugin.OnDelete()
	if len(h.Logs) != 1 || !strings.HasPrefix(h.Logs[0], "4 bug in the CORS filter: panic in proxy_on_delete: ") || told(h) != one {
		t.Errorf("logs %q, told %q", h.Logs, told(h))
	}
}
