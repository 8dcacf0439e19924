package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/header"
)

func source(t interface{ Fatal(...any) }, text string) *config.Source {
	s, err := config.Read([]byte(text))
	if err != nil {
		t.Fatal(text, err)
	}
	return s
}

func compare(t interface{ Fatal(...any) }, old, new string) *Report {
	r, err := Compare(source(t, old), source(t, new))
	if err != nil {
		t.Fatal(old, new, err)
	}
	return r
}

// TestOtherWordsAreTheSame has pairs of configurations that decide alike.
func TestOtherWordsAreTheSame(t *testing.T) {
	const credentials = `"allow_credentials": true, `
	const hosts, mode = `{"rules": [{"hosts": `, `"policy": {"mode": "off"}}, {"hosts": `
	for _, pair := range [][2]string{
		{`{"allow_origins": ["https://*.example.com"]}`, `{"allow_origins": [{"regex": "https://([^.:/]+\\.)+example\\.com"}]}`},
		{`{` + credentials + `"allow_origins": ["https://a.example:*"]}`,
			`{` + credentials + `"allow_origins": [{"regex": "https://a\\.example(:[0-9]+)?"}]}`},
		{`{"allow_origins": ["https://a.example:[443,8443]"]}`, `{"allow_origins": ["https://a.example:8443", "https://a.example"]}`},
		{`{"allow_origins": ["https://*.example.com", "https://a.example.com"]}`, `{"allow_origins": ["https://*.example.com"]}`},
		{`{"allow_origins": ["https://*"], "allow_methods": "PUT, GET"}`,
			`{"allow_origins": ["https://*", "https://a.example"], "allow_methods": ["put"]}`},
		{`{"allow_origins": ["*"]}`, `{"allow_origins": [{"regex": ".*"}]}`},
		{`{"allow_origins": ["*"], "disallowed_requests": "reject", "unmatched_preflights": "forward"}`, `{"allow_origins": ["*"]}`},
		{`{"allow_origins": ["https://a.example"], "expose_headers": ["*"]}`,
			`{"allow_origins": ["https://a.example"], "expose_headers": ["x-a", "*"]}`},
		{`{"mode": "off"}`, `{"rules": [{"hosts": ["a.example"], "policy": {"mode": "off"}}]}`},
		{`{"rules": [{"paths": ["/a/*"], "policy": {"allow_origins": []}}]}`,
			`{"rules": [{"paths": [{"regex": "/a(/.*)?"}], "policy": {"allow_origins": []}}]}`},
		{`{"rules": [{"paths": ["/*"], "policy": {"mode": "off"}}]}`,
			`{"rules": [{"paths": ["/a*"], "policy": {"mode": "off"}}, {"paths": [{"regex": "/[^a].*"}, "/"], "policy": {"mode": "off"}}]}`},
		{`{"rules": [{"hosts": ["a.example", "b.example"], "policy": {"allow_origins": []}}]}`,
			`{"rules": [{"hosts": ["b.example."], "policy": {"allow_origins": []}}, {"hosts": ["a.example"], "policy": {"allow_origins": []}}]}`},
		{hosts + `["a.example"], "paths": ["/x"], ` + mode + `["*.example"], "policy": {"allow_origins": []}}]}`,
			hosts + `["a.example"], "paths": ["/x"], ` + mode + `["a.example", "*.example"], "policy": {"allow_origins": []}}]}`},
	} {
		if r := compare(t, pair[0], pair[1]); !r.Same {
			t.Errorf("%s and %s: %+v", pair[0], pair[1], r)
		}
		if r := compare(t, pair[1], pair[0]); !r.Same {
			t.Errorf("%s and %s: %+v", pair[1], pair[0], r)
		}
	}
}

// TestWhatIsSaid has changes in the words of the report.
func TestWhatIsSaid(t *testing.T) {
	const a, wide = `"allow_origins": ["https://a.example"]`, `"dangerously_tolerate": ["any-origin-with-credentials", "null-origin"]`
	const every = `"allow_origins": ["null", {"regex": "[a-z][a-z0-9+.-]*://.*"}], ` + wide
	for _, c := range []struct{ old, new, want string }{
		{`{` + a + `}`, `{` + a + `, "mode": "shadow"}`, `
opens upstream's own CORS headers, and its answers to preflights (mode: shadow, was enforce)
closes origins: https://a.example (1 registrable domain)
A page of https://a.example can no longer read responses, unless upstream allows it.`},
		{`{` + a + `, "mode": "shadow"}`, `{"allow_origins": [], "mode": "shadow"}`, `
changes origins: https://a.example (1 registrable domain) (mode shadow: counted, not applied)`},
		{`{` + a + `, "mode": "shadow"}`, `{"mode": "off"}`, `
changes mode: off, was shadow`},
		{`{"mode": "off"}`, `{"allow_origins": ["*"], "allow_methods": ["*"]}`, `
opens origins: *; the shortest is https://a (every page there is)
closes upstream's own CORS headers, and its answers to preflights (mode: enforce, was off)
A page of any origin can now read responses and send every method.`},
		{`{` + every + `}`, `{"allow_origins": ["*"]}`, `
opens origins: * (every page there is)
A page of any origin can now read responses.
waiver no longer in use: "null": let in by the waiver "null-origin": any page can make its origin null, in a sandboxed frame`},
		{`{` + a + `, "allow_headers": ["*"], "expose_headers": ["x-a", "x-b"]}`,
			`{` + a + `, "allow_headers": ["*", "authorization"], "expose_headers": ["*"]}`, `
opens request headers: authorization
opens response headers that scripts may read: *
A page of https://a.example can now set the request header authorization and read every response header.`},
		{`{` + a + `, "allow_methods": ["*"]}`, `{` + a + `, "allow_methods": ["PUT"], "allow_private_network_access": true}`, `
opens private network access
closes methods: *, but for PUT
A page of https://a.example can now call addresses in a more private network.
A page of https://a.example can no longer send every method.`},
		{`{` + a + `, "allow_credentials": true, "expose_headers": ["*", "x-a"]}`,
			`{` + a + `, "allow_credentials": true, "expose_headers": ["*"]}`, `
closes response headers that scripts may read: x-a
A page of https://a.example can no longer read the response header x-a.`},
		{`{"allow_origins": []}`, `{"allow_origins": ["null"], ` + wide + `}`, `
opens origins: null
A page in a sandboxed frame, whose origin is null, can now read responses.
waiver now in use: "null": let in by the waiver "null-origin": any page can make its origin null, in a sandboxed frame`},
		{`{"allow_origins": []}`,
			`{"allow_origins": ["https://a.example", "https://b.example", "https://c.example", "http://d", "app://x", "https://b.example:81"]}`, `
opens origins: app://x, http://d, https://a.example, https://b.example, https://b.example:81 and 1 more; ` +
				`the shortest is https://a.example (5 registrable domains)
A page of https://a.example can now read responses.`},
		{`{` + a + `}`, `{` + a + `, "upstream_headers": "preserve", "debug": true, "preflight_status": 200, "stat_prefix": "x"}`, `
opens CORS headers that upstream sends
changes preflight_status: 200, was 204
changes debug: true, was false
counters begin with x, before with cors`},
		{`{"rules": [{"hosts": ["a.example"], "policy": {"allow_origins": []}}, {"hosts": ["b.example"], "policy": {"allow_origins": []}}]}`,
			`{"rules": [{"hosts": ["a.example", "b.example"], "policy": {` + a + `}}]}`, `
rules[0]; rules[0], before rules[1], such as a.example/
opens origins: https://a.example (1 registrable domain)
A page of https://a.example can now read responses.`},
	} {
		r := compare(t, c.old, c.new)
		got := ""
		for i := range r.Regions {
			region := &r.Regions[i]
			if title := region.Title(); title != "all requests" {
				got += "\n" + title
			}
			for _, change := range region.Changes {
				got += "\n" + string(change.Effect) + " " + change.Text
			}
			for _, sentence := range []string{region.Now, region.Gone} {
				if sentence != "" {
					got += "\n" + sentence
				}
			}
		}
		for _, change := range r.Beside {
			got += "\n" + change.Text
		}
		if got != c.want {
			t.Errorf("%s\n%s\nsays%s\nwant%s", c.old, c.new, got, c.want)
		}
	}
}

func policyOf(t *rapid.T) map[string]any {
	p := map[string]any{}
	if rapid.IntRange(0, 9).Draw(t, "off") == 0 {
		return map[string]any{"mode": "off"}
	}
	some := func(name string, of ...string) {
		if list := rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID[string]).Draw(t, name); len(list) > 0 {
			p[name] = list
		}
	}
	same := func(e any) string { return fmt.Sprint(e) }
	p["allow_origins"] = rapid.SliceOfNDistinct(rapid.SampledFrom(entries), 0, 3, same).Draw(t, "origins")
	if rapid.IntRange(0, 2).Draw(t, "timing") == 0 {
		p["timing_allow_origins"] = []any{rapid.SampledFrom(entries).Draw(t, "timing origin")}
	}
	some("allow_methods", "PUT", "DELETE", "*")
	some("allow_headers", "x-a", "authorization", "*")
	some("expose_headers", "x-a", "x-b", "*")
	for _, s := range []struct {
		name   string
		values []any
	}{
		{"allow_credentials", []any{true}}, {"max_age", []any{60, 600}},
		{"allow_private_network_access", []any{true}}, {"preflight_status", []any{200}},
		{"debug", []any{true}},
		{"unmatched_preflights", []any{"forward"}}, {"disallowed_requests", []any{"reject"}},
		{"upstream_headers", []any{"preserve"}}, {"mode", []any{"shadow", "enforce"}},
	} {
		if rapid.IntRange(0, 3).Draw(t, s.name) == 0 {
			p[s.name] = rapid.SampledFrom(s.values).Draw(t, s.name)
		}
	}
	p["dangerously_tolerate"] = config.Waivers
	return p
}

// The origins that policies have, and those that requests have: neighbours of theirs.
var (
	entries = []any{
		"*", "null", "https://a.example", "https://b.example", "http://a.example", "https://a.example:8443",
		"https://a.example:*", "https://*.a.example",
		"https://*.example", "https://*", "http://*:8080",
		"app://x", "moz-extension://*", "https://[::1]:*", "https://*.b.example:[443,8443]",
		map[string]any{"regex": `https://([a-z]+\.)?a\.example`},
		map[string]any{"regex": `https?://[ab]\.example(:\d+)?`}, map[string]any{"regex": `https://.*`},
		map[string]any{"prefix": "https://a"}, map[string]any{"suffix": ".example"},
		map[string]any{"contains": "a.ex"}, map[string]any{"regex": `null|https://c\.example`},
	}
	senders = []string{
		"", "null", "https://a.example", "https://b.example", "https://c.example", "http://a.example", "https://a.example:8443",
		"https://a.example:1", "https://x.a.example",
		"https://x.y.a.example", "https://x.b.example:8443", "https://other", "http://other:8080", "app://x", "app://a.example",
		"moz-extension://1", "https://[::1]:3000",
		"https://a.example.evil", "https://1.2.3.4", "x y", "HTTPS://A.example",
	}
	authorities = []string{"a.example", "b.example:8080", "c.example", "x.a.example", "x.y.b.example", "other", ""}
	hostNames   = []any{"a.example", "b.example", "*.example", "*.a.example", "*"}
	pathNames   = []any{"/a", "/a/*", "/a*", "/ab*", "/*", "/", "/a/x", "/b/x",
		map[string]any{"regex": `/[ab]`}, map[string]any{"regex": `/.*/x`}, map[string]any{"regex": `(/a|\*)`}}
	targets = []string{"/", "/a", "/b", "/a/", "/a/b", "/ab", "/abc", "/a/x", "/b/x", "/a?x=/b", "*", "/c/x/y"}
)

func rulesOf(t *rapid.T, policy func(t *rapid.T) map[string]any) []any {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any {
		r := map[string]any{"policy": policy(t)}
		some := func(name string, of []any) {
			if list := rapid.SliceOfN(rapid.SampledFrom(of), 0, 2).Draw(t, name); len(list) > 0 {
				r[name] = list
			}
		}
		some("hosts", hostNames)
		some("paths", pathNames)
		return r
	}), 0, 3).Draw(t, "rules")
}

func configurationOf(t *rapid.T) string {
	c := map[string]any{}
	if rapid.Bool().Draw(t, "default") {
		c = policyOf(t)
	}
	rules := rulesOf(t, policyOf)
	if len(rules) > 0 {
		c["rules"] = rules
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// changed returns a configuration that is another one in some places.
func changed(t *rapid.T, text string) string {
	var c map[string]any
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	rules, _ := c["rules"].([]any)
	switch at := rapid.IntRange(-1, len(rules)-1).Draw(t, "changed"); {
	case at >= 0:
		p := rules[at].(map[string]any)["policy"].(map[string]any)
		other := policyOf(t)
		for _, name := range slices.Sorted(maps.Keys(other)) {
			if rapid.IntRange(0, 2).Draw(t, "setting") == 0 {
				p[name] = other[name]
			}
		}
	case len(rules) > 1:
		rules[0], rules[1] = rules[1], rules[0]
	default:
		return configurationOf(t)
	}
	out, _ := json.Marshal(c)
	return string(out)
}

// seen is what is seen of a decision, by setting, for a request whose origin is allowed
// or not.
func seen(p *config.Policy, r *filter.Request) (allowed bool, by map[string]string) {
	by = map[string]string{}
	if p == nil {
		p = leftAlone.Policy
	}
	var d filter.Decision
	filter.Decide(p, r, &d)
	by["mode"] = p.Mode.String()
	if p.Mode == config.Off {
		return false, by
	}
	by["upstream_headers"], by["debug"] = fmt.Sprint(p.Preserve), fmt.Sprint(p.Debug)
	by["timing_allow_origins"] = fmt.Sprint(d.TimingAllowOrigin != "", p.Timing.Any)
	allowed = d.AllowOrigin != ""
	if !allowed {
		if r.Origin != "" {
			by["unmatched_preflights"], by["disallowed_requests"] = fmt.Sprint(p.ForwardUnmatched), fmt.Sprint(p.Reject)
		}
		return false, by
	}
	if r.Origin == "" {
		return true, by
	}
	if by["allow_credentials"] = fmt.Sprint(p.Credentials); d.Kind == filter.CrossOrigin {
		for _, name := range []string{"x-a", "x-b", "x-c"} {
			listed := header.Contains(p.ExposeHeaders, name)
			by["expose_headers without credentials: "+name] = fmt.Sprint(listed || header.Contains(p.ExposeHeaders, "*"))
			by["expose_headers with credentials: "+name] = fmt.Sprint(listed)
			if !p.Credentials {
				delete(by, "expose_headers with credentials: "+name)
			}
		}
	}
	if d.Action == filter.Answer {
		by["allow_methods"] = fmt.Sprint(p.AllowsMethod(r.RequestMethod))
		headers := true
		for name, rest, ok := header.Next(r.RequestHeaders); ok; name, rest, ok = header.Next(rest) {
			headers = headers && p.AllowsHeader(name)
		}
		by["allow_headers"] = fmt.Sprint(headers)
		by["max_age"], by["preflight_status"] = p.MaxAge, fmt.Sprint(p.PreflightStatus)
		by["allow_private_network_access"] = fmt.Sprint(p.PrivateNetwork)
	}
	return true, by
}

// TestEveryDifferenceIsNamed compares random configurations, and what the filter decides
// under them about random requests: where that differs the report names the setting, and
// what the report names does differ.
func TestEveryDifferenceIsNamed(t *testing.T) {
	differ, alike := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		texts := [2]string{configurationOf(t)}
		texts[1] = changed(t, texts[0])
		var c [2]*config.Config
		for i, text := range texts {
			var err error
			if c[i], _, err = config.Parse([]byte(text)); err != nil {
				t.Skip(err)
			}
		}
		report := compare(t, texts[0], texts[1])
		if len(report.Undecided) > 0 {
			t.Fatal(report.Undecided)
		}
		named := map[[2]int]*Region{}
		for i := range report.Regions {
			region := &report.Regions[i]
			for _, a := range region.areas {
				pair, policies := selected(c, a.host, a.path)
				if pair != [2]int{a.old, a.new} {
					t.Fatalf("%s%s meets rules %v, and not %+v", a.host, a.path, pair, a)
				}
				named[pair] = region
				checkWitnesses(t, region, policies)
			}
		}
		for range 40 {
			path := rapid.SampledFrom(targets).Draw(t, "path")
			r := &filter.Request{
				Origin: rapid.SampledFrom(senders).Draw(t, "origin"), Method: "GET",
				Authority: rapid.SampledFrom(authorities).Draw(t, "host"),
			}
			if rapid.Bool().Draw(t, "preflight") {
				r.Method = "OPTIONS"
				r.RequestMethod = rapid.SampledFrom([]string{"GET", "PUT", "DELETE", "PATCH"}).Draw(t, "method")
				r.RequestHeaders = rapid.SampledFrom([]string{"", "x-a", "authorization", "x-c", "x-a,x-c"}).Draw(t, "headers")
			}
			pair, policies := selected(c, r.Authority, path)
			before, was := seen(policies[0], r)
			now, is := seen(policies[1], r)
			var settings []string
			switch {
			case was["mode"] != is["mode"]:
				settings = []string{"mode"}
			case before != now && policies[0].Origins.Any && policies[1].Origins.Any: // "*" goes to what has no well-formed origin as well
				settings = []string{"allow_credentials"}
			case before != now:
				settings = []string{"allow_origins"}
			default:
				for setting, value := range was {
					if other, ok := is[setting]; ok && other != value {
						setting, _, _ = strings.Cut(setting, " ")
						settings = append(settings, setting)
					}
				}
			}
			if len(settings) == 0 {
				alike++
			}
			for _, setting := range settings {
				differ++
				if region := named[pair]; region == nil || !slices.ContainsFunc(region.Changes, func(c Change) bool { return c.Setting == setting }) {
					t.Fatalf("%s of %+v%s differs, and is not named: %+v\n%s\n%s", setting, *r, path, report, texts[0], texts[1])
				}
			}
		}
	})
	if differ < 100 || alike < 100 {
		t.Errorf("%d decisions differ and %d are alike; that tests nothing", differ, alike)
	}
}

// selected are the rules that a request meets, and their policies.
func selected(c [2]*config.Config, host, path string) (pair [2]int, policies [2]*config.Policy) {
	for i, c := range c {
		policy, rule := c.Select(host, path)
		pair[i], policies[i] = len(c.Policies()), policy
		if c.Default != nil {
			pair[i]--
		}
		if rule != nil {
			pair[i] = rule.Index
		}
	}
	return pair, policies
}

// TestEveryPairOfRulesIsFound compares with all short paths on some hosts.
func TestEveryPairOfRulesIsFound(t *testing.T) {
	paths := []string{"/"}
	for i := 0; len(paths[i]) < 4; i++ {
		for _, letter := range "abx/" {
			paths = append(paths, paths[i]+string(letter))
		}
	}
	paths = append(paths, "*")
	off := func(*rapid.T) map[string]any { return map[string]any{"mode": "off"} }
	rapid.Check(t, func(t *rapid.T) {
		c := newComparer()
		var sides [2]*side
		var compiled [2]*config.Config
		for i := range sides {
			text, _ := json.Marshal(map[string]any{"rules": rulesOf(t, off), "mode": "off"})
			s := source(t, string(text))
			var err error
			if compiled[i], _, err = s.Compile(); err != nil {
				t.Skip(err)
			}
			sides[i] = c.side(s, compiled[i])
		}
		want, got := map[[2]int]bool{}, map[[2]int]bool{}
		for _, host := range authorities {
			for _, path := range paths {
				pair, _ := selected(compiled, host, path)
				want[pair] = true
			}
		}
		for _, a := range c.areas(sides[0], sides[1]) {
			got[[2]int{a.old, a.new}] = true
			if pair, _ := selected(compiled, a.host, a.path); pair != [2]int{a.old, a.new} {
				t.Fatalf("%s%s meets rules %v, and not %+v", a.host, a.path, pair, a)
			}
		}
		for pair := range want {
			if !got[pair] {
				t.Fatalf("rules %v are met together, and not found", pair)
			}
		}
	})
}

// checkWitnesses looks whether what is named is so.
func checkWitnesses(t *rapid.T, region *Region, policies [2]*config.Policy) {
	for _, change := range region.Changes {
		from, to := policies[0], policies[1]
		if change.Effect == Closes {
			from, to = to, from
		}
		allows := func(p *config.Policy, what func(p *config.Policy) bool) bool {
			return p != nil && p.Mode != config.Off && what(p)
		}
		is := func(what func(p *config.Policy) bool) {
			enforced := policies[0] != nil && policies[1] != nil && policies[0].Mode == policies[1].Mode
			if change.Effect != Changes && (!allows(to, what) || enforced && allows(from, what)) {
				t.Fatalf("%+v is not so", change)
			}
		}
		switch change.Setting {
		case "allow_origins", "timing_allow_origins":
			is(func(p *config.Policy) bool {
				origins := &p.Origins
				if change.Setting != "allow_origins" {
					origins = &p.Timing
				}
				return change.Witness == "" || origins.Match(change.Witness) == config.Matches
			})
		case "allow_methods":
			for _, name := range change.Names {
				is(func(p *config.Policy) bool {
					return p.AllowsMethod(name) && name != "*" || name == "*" && p.AllowMethods == name
				})
			}
		case "allow_headers":
			for _, name := range change.Names {
				is(func(p *config.Policy) bool {
					return name != "*" && p.AllowsHeader(name) || name == "*" && strings.HasPrefix(p.AllowHeaders, name)
				})
			}
		}
	}
}

// TestLargeConfigurations compares what others have, in a moment.
func TestLargeConfigurations(t *testing.T) {
	many := func(n int, one func(i int) string) string {
		var all []string
		for i := range n {
			all = append(all, one(i))
		}
		return strings.Join(all, ",")
	}
	origins := many(10_000, func(i int) string { return fmt.Sprintf(`"https://shop%d.example"`, i) })
	wild := many(2_000, func(i int) string { return fmt.Sprintf(`"https://*.shop%d.example"`, i) })
	rules := many(3_000, func(i int) string {
		return fmt.Sprintf(`{"hosts": ["h%d.example"], "paths": ["/v%d/*"], "policy": {"allow_origins": ["https://a%d.example"]}}`, i, i, i%10)
	})
	paths := many(1_500, func(i int) string {
		return fmt.Sprintf(`{"paths": ["/service%d/*"], "policy": {"allow_origins": []}}`, i)
	})
	const rest = `{"hosts": ["*.example"], "policy": {"allow_origins": [`
	const waived = `"allow_methods": ["PUT"], "dangerously_tolerate": ["null-origin"]`
	for name, pair := range map[string][2]string{
		"origins": {`{"allow_origins": [` + origins + `]}`, `{"allow_origins": [` + origins + `, "https://*.shop7.example"]}`},
		"wild":    {`{"allow_origins": [` + wild + `]}`, `{"allow_origins": [` + wild + `, "https://*.example"]}`},
		"rules":   {`{"rules": [` + rules + `]}`, `{"rules": [` + strings.Replace(rules, "https://a7.", "https://b7.", 1) + `]}`},
		"all":     {`{"rules": [` + paths + `, ` + rest + `"*"]}}]}`, `{"rules": [` + paths + `, ` + rest + `"*", "null"], ` + waived + `}}]}`},
		"paths":   {`{"rules": [` + paths + `]}`, `{"rules": [` + paths + `], "allow_origins": ["https://a.example"]}`},
	} {
		start := time.Now()
		r := compare(t, pair[0], pair[1])
		if took := time.Since(start); len(r.Undecided) > 0 || len(r.Regions) != 1 || r.Count(Opens) != 1 || took > 20*time.Second {
			t.Errorf("%s: in %s: %d regions, undecided %q", name, took, len(r.Regions), r.Undecided)
		} else {
			t.Log(name, took)
		}
	}
}
