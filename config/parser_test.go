package config

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/shapes"
)

// A configuration that is made in the memory of others is what it would be alone:
// nothing of them is left, and one that is in effect stays as it is.
func TestRecycledMemoryChangesNothing(t *testing.T) {
	entries := []string{
		`{"allow_origins": ["https://a.example", "https://*.b.example:8443", "null"], ` +
			`"dangerously_tolerate": ["null-origin"], "allow_credentials": true}`,
		`{"allow_origins": ["*"], "allow_methods": ["PUT", "PATCH"], "allow_headers": ["x-a", "authorization"], ` +
			`"expose_headers": "x-b, x-c", "debug": true, "stat_prefix": "shop"}`,
		`{"allow_origins": ["https://c.example:[1,2,3]"], "timing_allow_origins": ["https://a.example", ` +
			`"https://*.b.example"], "max_age": "10m", "mode": "shadow"}`,
		`{"allow_origins": [{"regex": "https://[a-d]\\.example"}, {"exact": "https://b.example"}], "disallowed_requests": "reject"}`,
		`{"rules": [{"name": "one", "hosts": ["a.example", "*.b.example"], "paths": ["/v1/*"], "policy": {"mode": ` +
			`"off"}}, {"paths": ["/"], "policy": {"allow_origins": ["https://a.example"]}}]}`,
		`{"rules": [{"hosts": ["*.b.example"], "policy": {"allow_origins": ["https://d.example"], "allow_methods": ` +
			`["DELETE"]}}], "allow_origins": ["https://c.example:1"]}`,
		`{"rules": [{"policy": {"allow_origins": ["https://a.example"], "allow_headers": "*"}}]}`,
		`{"allow_origin_string_match": [{"exact": "https://a.example"}], "filter_enabled": {"default_value": {"numerator": 100}}}`,
		`{"allow_origins": ["https://a.example/", 7], "rules": [{"hosts": [""]}]}`, // refused
		`{"allow_origins": `, // cut off
	}
	rapid.Check(t, func(t *rapid.T) {
		var parser Parser
		type inEffect struct {
			made *Config
			want string
		}
		var running []inEffect
		for range rapid.IntRange(1, 12).Draw(t, "pushes") {
			text := rapid.SampledFrom(entries).Draw(t, "text")
			alone, wantWarnings, wantErr := Parse([]byte(text))
			made, warnings, err := parser.Parse([]byte(text))
			if fmt.Sprint(warnings, err) != fmt.Sprint(wantWarnings, wantErr) || (made == nil) != (alone == nil) {
				t.Fatalf("%s\n%v\n%v\nwant\n%v\n%v", text, warnings, err, wantWarnings, wantErr)
			}
			if made != nil {
				running = append(running, inEffect{made, behaviour(alone)})
			}
			for len(running) > 0 && rapid.Bool().Draw(t, "ends") {
				i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
				parser.Recycle(running[i].made)
				running = append(running[:i], running[i+1:]...)
			}
			for _, c := range running {
				if got := behaviour(c.made); got != c.want {
					t.Fatalf("behaves as\n%s\nwant\n%s", got, c.want)
				}
			}
		}
	})
}

// behaviour is what a configuration says of some requests.
func behaviour(c *Config) string {
	var b strings.Builder
	fmt.Fprintln(&b, c.StatPrefix, c.Notes, c.Summary(), len(c.Policies()))
	for _, host := range []string{"a.example", "b.example", "x.b.example", ""} {
		for _, path := range []string{"/", "/v1/x", "/v2"} {
			policy, rule := c.Select(host, path)
			if rule != nil {
				fmt.Fprint(&b, rule.Name, rule.Index)
			}
			if policy == nil {
				fmt.Fprintln(&b, "none")
				continue
			}
			for _, origin := range []string{
				"null", "https://a.example", "https://b.example", "https://x.b.example:8443", "https://x.b.example", "https://c.example:2",
				"https://c.example:1", "https://d.example", "https://e.example",
			} {
				fmt.Fprint(&b, policy.Origins.Match(origin), policy.Timing.Match(origin))
			}
			for _, name := range []string{"PUT", "PATCH", "DELETE", "x-a", "authorization", "x-b"} {
				fmt.Fprint(&b, policy.AllowsMethod(name), policy.AllowsHeader(name))
			}
			fmt.Fprintln(&b, policy.Mode, policy.Credentials, policy.AllowMethods, policy.AllowHeaders, policy.ExposeHeaders, policy.MaxAge,
				policy.EchoMethod, policy.EchoHeaders, policy.PreflightStatus, policy.Reject, policy.Debug, policy.Timing.Empty())
		}
	}
	return b.String()
}

// Texts of problems stay what they are when their configuration's memory is used
// again.
func TestProblemsOutliveTheirConfiguration(t *testing.T) {
	var parser Parser
	text := []byte(`{"allow_origins": ["https://a.example", "https://a.example", "https://B.example"], "unknown": 1}`)
	_, warnings, err := parser.Parse(text)
	before := fmt.Sprint(warnings, err)
	if _, _, err := parser.Parse(bytes.Repeat([]byte("x"), len(text))); err == nil {
		t.Fatal("accepted")
	}
	if after := fmt.Sprint(warnings, err); after != before {
		t.Errorf("%s\nwas\n%s", after, before)
	}
}

// lists are the shapes of which nothing is left: origins, and the hosts and paths
// of rules.
const lists = ",origins,wildcards,IPv4 addresses,IPv6 addresses,schemes,ports of one host,ports of one " +
	"wildcard,port lists of many hosts,one port list," +
	"wildcards with ports at 10 levels,wildcards with ports at 120 levels,timing origins,hosts of one rule,paths of one rule,"

// TestPushesLeaveLittleBehind parses one configuration again and again, as it is
// pushed to a proxy, with the one before still in effect.
func TestPushesLeaveLittleBehind(t *testing.T) {
	for _, shape := range shapes.All {
		data := []byte(shape.Config(2_000))
		var parser Parser
		var old *Config
		push := func() {
			made, _, _ := parser.Parse(data)
			if old != nil {
				parser.Recycle(old)
			}
			old = made
		}
		for range 3 {
			push()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		push()
		runtime.ReadMemStats(&after)
		left := int(after.TotalAlloc - before.TotalAlloc)
		t.Logf("%-45s %4d KiB of text leave %6d bytes in %d pieces", shape.Name, len(data)>>10, left, after.Mallocs-before.Mallocs)
		switch {
		case !strings.Contains(lists, ","+shape.Name+","):
			// Rules, names and warnings are allocated again: some 50 bytes a rule.
			if left > 8*len(data)+64<<10 && !shape.Refused {
				t.Errorf("%s: %d bytes of text leave %d", shape.Name, len(data), left)
			}
		case left > 4<<10:
			t.Errorf("%s: %d bytes of text leave %d", shape.Name, len(data), left)
		}
	}
}

// TestTheMemoryThatFitsBestIsTaken keeps the large texts' memory for large texts.
func TestTheMemoryThatFitsBestIsTaken(t *testing.T) {
	for _, c := range []struct {
		spare []int // bytes of text that each has room for
		size  int
		want  int
	}{
		{nil, 10, 0},
		{[]int{10, 30, 20}, 5, 10},
		{[]int{30, 20, 10}, 15, 20},
		{[]int{10, 30, 20}, 15, 20},
		{[]int{20, 30}, 20, 20},
		{[]int{30, 20}, 20, 20},
		{[]int{10, 30, 20}, 21, 30},
		{[]int{10, 30, 20}, 31, 30}, // none has room, and the largest needs the least more
		{[]int{30, 10, 20}, 31, 30},
	} {
		var parser Parser
		for _, room := range c.spare {
			parser.Recycle(&Config{text: make([]byte, 0, room)})
		}
		if got := cap(parser.take(c.size).text); got != c.want {
			t.Errorf("of %d, for %d bytes: %d, want %d", c.spare, c.size, got, c.want)
		}
		if len(parser.spare) != max(0, len(c.spare)-1) {
			t.Errorf("of %d, %d are left", c.spare, len(parser.spare))
		}
	}
}
