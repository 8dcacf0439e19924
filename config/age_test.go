package config

import "testing"

func TestWholeSeconds(t *testing.T) {
	const none = -1 << 62
	for s, want := range map[string]int64{
		"600": 600, "-1": -1, " 600": 600, "600\t": 600, "+5": none, "+10m": none, "6e2": none, "10m": 600, "1h30m10s": 5410, "1.5h": 5400,
		"-10m": -600, "1000ms": 1, "0": 0, "0s": 0, "24h": 86400,
		"": none, "s": none, "1d": none, "1.5": none, "1500ms": none, "1.5s": none, "1 s": none, "1e3": none, "9223372036854775808": none,
		"2562048h": none,
	} {
		got, ok := wholeSeconds(s)
		if ok != (want != none) || ok && got != want {
			t.Errorf("%q: %d, %v; want %d", s, got, ok, want)
		}
	}
}
