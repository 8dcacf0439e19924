package route

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/automaton"
)

// entry is a path of a rule as a test writes it.
type entry struct {
	kind  Kind
	text  string // the regex, of a Regex
	regex *regexp.Regexp
	*automaton.Automaton
}

func (e entry) String() string { return [...]string{"", "/*", "*", "~"}[e.kind] + e.text }

func (e entry) has(path string) bool {
	switch e.kind {
	case Exact:
		return path == e.text
	case Below:
		return path == e.text || strings.HasPrefix(path, e.text+"/")
	case Letters:
		return strings.HasPrefix(path, e.text)
	}
	return e.regex.MatchString(path)
}

var builder automaton.Builder

func regex(text string) entry {
	a, err := builder.Regex(text, false)
	if err != nil {
		panic(err)
	}
	return entry{Regex, text, regexp.MustCompile(`\A(?:` + text + `)\z`), a}
}

// rule has no hosts where it has all of them, and no paths likewise.
type rule struct {
	hosts []string
	paths []entry
}

func (r rule) hasHost(host string) bool {
	return len(r.hosts) == 0 || slices.ContainsFunc(r.hosts, func(h string) bool {
		return h == host || strings.HasPrefix(h, "*.") && strings.HasSuffix(host, h[1:])
	})
}

func (r rule) has(host, path string) bool {
	return r.hasHost(host) && (len(r.paths) == 0 || slices.ContainsFunc(r.paths, func(e entry) bool { return e.has(path) }))
}

func first(rules []rule, host, path string) int {
	return slices.IndexFunc(rules, func(r rule) bool { return r.has(host, path) })
}

func indexOf(x *Index, rules []rule) {
	hosts, paths := 0, 0
	for _, r := range rules {
		hosts, paths = hosts+len(r.hosts)+1, paths+len(r.paths)+1
	}
	x.Reset(hosts, 0, paths)
	for _, r := range rules {
		x.Next()
		if len(r.hosts) == 0 {
			x.AnyHost()
		}
		for _, h := range r.hosts {
			host, below := strings.CutPrefix(h, "*.")
			x.Host(host, below)
		}
		if len(r.paths) == 0 {
			x.AnyPath()
		}
		var list []*automaton.Automaton
		for _, e := range r.paths {
			if e.kind == Regex {
				list = append(list, e.Automaton)
				x.Path(Regex, Literal(e.Automaton))
			} else {
				x.Path(e.kind, e.text)
			}
		}
		if list != nil {
			united, err := builder.Union(list)
			if err != nil {
				panic(err)
			}
			x.Regexes(united)
		}
	}
	x.Seal()
}

// Every host and path that rules of the tests tell apart: z is in no entry.
var (
	allHosts = []string{"a", "b", "a.b", "b.b", "z.b", "a.a.b", "z.a.b", "z", ""}
	allPaths = func() (all []string) {
		level := []string{"/"}
		for range 6 {
			all = append(all, level...)
			var next []string
			for _, s := range level {
				for _, c := range "abz/" {
					next = append(next, s+string(c))
				}
			}
			level = next
		}
		return all
	}()
	hostEntries = []string{"a", "b", "a.b", "*.b", "*.a.b", "*.a"}
	pathEntries = func() (all []entry) {
		for _, text := range []string{"/", "/a", "/b", "/a/", "/a/b", "/ab", "/aa"} {
			all = append(all, entry{kind: Exact, text: text})
		}
		for _, text := range []string{"", "/a", "/b", "/a/b", "/ab"} {
			all = append(all, entry{kind: Below, text: text})
		}
		for _, text := range []string{"/a", "/b", "/ab", "/a/b"} {
			all = append(all, entry{kind: Letters, text: text})
		}
		for _, text := range []string{
			`/.*`, `.*`, `/a.*`, `/[^a]?`, `/[^a].*`, `/[ab]/.*`, `/a[^b]*`, `/a(b.*)?`, `/a/.+`, `(/a)+`, `/(a|b)*`, `.*/b`, `.*b`, `/a[^/].*`,
			`/ab?`, `/.`, `[*]|/a`, `a`, `/a|/b|/ab/?`, `/[^/]*/?`, `/a/b.*|/a/?`, `/a/[^b].*`,
		} {
			all = append(all, regex(text))
		}
		return all
	}()
)

func drawRules(t *rapid.T) []rule {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) rule {
		return rule{
			hosts: rapid.SliceOfN(rapid.SampledFrom(hostEntries), 0, 3).Draw(t, "hosts"),
			paths: rapid.SliceOfN(rapid.SampledFrom(pathEntries), 0, 3).Draw(t, "paths"),
		}
	}), 1, 5).Draw(t, "rules")
}

// TestFindAgainstALoop compares with the rules read one by one.
func TestFindAgainstALoop(t *testing.T) {
	var x Index // of which each finds the memory of the one before
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		indexOf(&x, rules)
		if x.Len() != len(rules) {
			t.Fatal(x.Len())
		}
		for _, host := range allHosts {
			for _, path := range append(rapid.SliceOfN(rapid.SampledFrom(allPaths), 30, 30).Draw(t, "paths"), "*", "", "/a", "/b") {
				if path == "" && slices.ContainsFunc(rules, func(r rule) bool { return len(r.paths) > 0 }) {
					continue // which is no path, and no entry for paths means it
				}
				if got, want := x.Find(host, path), first(rules, host, path); got != want {
					t.Fatalf("%q %q: %d, want %d with %v", host, path, got, want, rules)
				}
			}
		}
	})
}

// TestCoverAgainstAllPaths decides of each host and path of the last rule what those
// before leave, and compares with every path of six letters.
func TestCoverAgainstAllPaths(t *testing.T) {
	var x Index
	var c Cover
	seen := map[Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		indexOf(&x, rules)
		last := len(rules) - 1
		c.Begin(&x)
		for _, h := range append(rules[last].hosts, "") {
			host := strings.Replace(h, "*.", "zz.", 1) // one that nobody names
			some := false
			if h == "" {
				some, _ = c.Host(last, "*")
				host = "zz"
			} else {
				some, _ = c.Host(last, h)
			}
			if want := slices.ContainsFunc(rules[:last], func(r rule) bool { return r.hasHost(host) }); some != want {
				t.Fatalf("rules before have %q: %v, in %v", h, some, rules)
			}
			check := func(e string, verdict Verdict, has func(string) bool) {
				want := Open
				if slices.ContainsFunc(allPaths, has) || verdict == Taken { // what has no path may be of who takes all
					want = Taken
				}
				for _, path := range allPaths {
					if has(path) && first(rules[:last], host, path) < 0 {
						want = Open
						break
					}
				}
				if want == Taken && has("*") && first(rules[:last], host, "*") < 0 {
					want = Asterisk
				}
				if seen[verdict]++; verdict != want {
					t.Fatalf("%s of %q: %v, want %v, of %v", e, h, verdict, want, rules)
				}
				for _, r := range c.By.Rules[:c.By.Len] {
					if verdict != Open && !rules[r].hasHost(host) {
						t.Fatalf("rule %d takes %s of %q, of %v", r, e, h, rules)
					}
				}
			}
			check("anything", c.AnyPath(), func(string) bool { return true })
			for _, e := range rules[last].paths {
				if e.kind == Regex {
					check(e.String(), c.Regex(e.Automaton), e.has)
				} else {
					check(e.String(), c.Path(e.kind, e.text), e.has)
				}
			}
		}
	})
	if seen[Open] == 0 || seen[Taken] == 0 { // the third is rare, and has rows of its own
		t.Errorf("some verdict is never given: %v", seen)
	}
}

// TestTextsOfEveryLength reads paths by words, and what is left of them.
func TestTextsOfEveryLength(t *testing.T) {
	text := "/"
	for i := range 150 {
		text += string(rune('a' + i%23))
	}
	for kind := Exact; kind < Regex; kind++ {
		for _, longest := range []int{1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 150} {
			var rules []rule
			for n := longest; n > 0; n -= 1 + n/20 {
				rules = append(rules, rule{paths: []entry{{kind: kind, text: text[:n]}}})
			}
			var x Index
			indexOf(&x, rules)
			for n := range text {
				for _, path := range []string{text[:n], text[:n] + "/", text[:n] + "/x", text[:n] + "x", text[:n] + "%"} {
					if got, want := x.Find("h", path), first(rules, "h", path); got != want {
						t.Errorf("kind %d, up to %d: %q is of rule %d, want %d", kind, longest, path, got, want)
					}
				}
			}
		}
	}
}

// TestAHostOfManyWildcards has more lists than are gone through at once.
func TestAHostOfManyWildcards(t *testing.T) {
	host := "x"
	var rules []rule
	for i := range 20 {
		rules = append(rules, rule{hosts: []string{"*." + host}, paths: []entry{{kind: Exact, text: fmt.Sprint("/", i)}}})
		host = fmt.Sprint(i, ".") + host
	}
	var x Index
	indexOf(&x, rules)
	for i := range rules {
		if got := x.Find("z."+host, fmt.Sprint("/", i)); got != i {
			t.Errorf("rule %d is %d", i, got)
		}
	}
	if got := x.Find("z."+host, "/20"); got != -1 {
		t.Errorf("%d is found for no path", got)
	}
}

// TestVerdicts is on what a random rule is rarely.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		before string // regexes
		e      entry
		want   Verdict
	}{
		{`.*`, entry{kind: Below}, Taken}, {`.*`, regex(`.*`), Taken}, {`.*`, regex(`\*|/a`), Taken}, {`/.*`, regex(`\*|/a`), Asterisk},
		{`/.*`, regex(`/a`), Taken}, {`/.*`, regex(`a`), Open},
		{`/(a|b)+`, entry{kind: Exact, text: "/abba"}, Taken}, {`/(a|b)+`, entry{kind: Exact, text: "/abc"}, Open},
		{`/(a|b)+`, entry{kind: Exact, text: "/"}, Open},
		{`/a/.*`, entry{kind: Below, text: "/a/b"}, Taken}, {`/a/.*`, entry{kind: Below, text: "/a"}, Open},
		{`/a(/.*)?`, entry{kind: Below, text: "/a"}, Taken}, {`/a.+`, entry{kind: Letters, text: "/a"}, Open},
	} {
		var x Index
		var cover Cover
		indexOf(&x, []rule{{paths: []entry{regex(c.before)}}, {paths: []entry{c.e}}})
		cover.Begin(&x)
		cover.Host(1, "*")
		got := Open
		if c.e.kind == Regex {
			got = cover.Regex(c.e.Automaton)
		} else {
			got = cover.Path(c.e.kind, c.e.text)
		}
		if got != c.want {
			t.Errorf("%s leaves %v of %v, want %v", c.before, got, c.e, c.want)
		}
	}
	var x Index
	var cover Cover
	indexOf(&x, []rule{{paths: []entry{regex(`.*`)}}, {}})
	cover.Begin(&x)
	cover.Host(1, "*")
	if got := cover.AnyPath(); got != Taken || cover.By.Len != 1 {
		t.Errorf("%v is left of everything, by %v", got, cover.By)
	}
}

// TestLettersTogether covers all that begins so letter by letter.
func TestLettersTogether(t *testing.T) {
	var letters []entry
	for c := byte(firstByte); c <= lastByte; c++ {
		if inPath(c) && c != '/' {
			letters = append(letters, entry{kind: Letters, text: "/a" + string(c)})
		}
	}
	below := entry{kind: Below, text: "/a"}
	for _, c := range []struct {
		name     string
		before   []entry
		kind     Kind
		text     string
		want     Verdict
		together int
	}{
		{"all that begins with a letter", append(slices.Clone(letters), below), Letters, "/a", Taken, 0},
		{"without what is below", letters, Letters, "/a", Open, 0},
		{"without one letter", append(slices.Clone(letters[1:]), below), Letters, "/a", Open, 0},
		{"without the last letter", append(slices.Clone(letters[:len(letters)-1]), below), Letters, "/a", Open, 0},
		{
			"with a longer one for it", append(slices.Clone(letters[1:]), below, entry{kind: Letters, text: letters[0].text + "x"}), Letters,
			"/a", Open, 0,
		},
		{
			"without the path itself", append(slices.Clone(letters), entry{kind: Below, text: "/a/"}, regex("/a/[^/].*|/a/")), Letters, "/a",
			Open, 0,
		},
		{"with it by another", append(slices.Clone(letters), entry{kind: Exact, text: "/a"}, regex("/a/.*")), Letters, "/a", Taken, 0},
	} {
		var x Index
		var cover Cover
		// Each of a rule of its own.
		var rules []rule
		for _, e := range c.before {
			rules = append(rules, rule{paths: []entry{e}})
		}
		indexOf(&x, append(rules, rule{}))
		cover.Begin(&x)
		cover.Host(len(rules), "*")
		if got := cover.Path(c.kind, c.text); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if c.want == Taken && (cover.By.Len != 3 || !cover.By.More) {
			t.Errorf("%s: by %v", c.name, cover.By)
		}
	}
}

// TestCoverIsBounded walks what takes too long, and says nothing: what is left has two
// million letters.
func TestCoverIsBounded(t *testing.T) {
	rules := []rule{{paths: []entry{{kind: Exact, text: "/c"}}}}
	for _, q := range []int{31, 37, 41, 43} {
		rules = append(rules, rule{paths: []entry{regex(fmt.Sprintf(`/([ab]{%d})*[ab]{1,%d}c`, q, q-1))}})
	}
	all := regex(`/[ab]*c`)
	var x Index
	var c Cover
	indexOf(&x, append(slices.Clone(rules), rule{paths: []entry{all}}))
	const much = 1000 // that one letter may take
	for try := 1; try <= 5; try++ {
		if try == 5 {
			c.Begin(&x) // which has its own steps
		}
		before := c.steps
		if try == 1 {
			c.Begin(&x)
		}
		c.Host(len(rules), "*")
		if got := c.Regex(all.Automaton); got != Open || c.steps > before+maxWalkSteps+much || c.Exhausted() != (try == 4) {
			t.Errorf("try %d: %v in %d steps of %d", try, got, c.steps-before, c.steps)
		}
	}
	for !c.Exhausted() {
		c.Regex(all.Automaton)
	}
	if got := c.Path(Exact, "/"+strings.Repeat("ab", 1000)+"c"); got != Open || c.steps > maxSteps+2*much {
		t.Errorf("%v after %d steps", got, c.steps)
	}
	// Three of them leave fifty thousand, which can be had.
	indexOf(&x, append(rules[:4:4], rule{paths: []entry{all}}))
	c.Begin(&x)
	c.Host(4, "*")
	if got := c.Regex(all.Automaton); got != Open || c.steps > maxWalkSteps {
		t.Errorf("%v in %d steps", got, c.steps)
	}
}

func TestRuleSet(t *testing.T) {
	for _, c := range []struct {
		add  []int32
		want []int32
		more bool
	}{
		{nil, nil, false}, {[]int32{2}, []int32{2}, false}, {[]int32{2, 2, 1}, []int32{1, 2}, false}, {[]int32{3, 1, 2}, []int32{1, 2, 3}, false},
		{[]int32{3, 1, 2, 1, 3}, []int32{1, 2, 3}, false}, {[]int32{3, 1, 2, 4}, []int32{1, 2, 3}, true},
		{[]int32{4, 3, 2, 1}, []int32{1, 2, 3}, true},
	} {
		var s, joined RuleSet
		for _, r := range c.add {
			s.Add(r)
		}
		joined.Join(s)
		if got := s.Rules[:s.Len]; !slices.Equal(got, c.want) || s.More != c.more || joined != s {
			t.Errorf("%v is %v, joined %v", c.add, s, joined)
		}
	}
}

func TestPatterns(t *testing.T) {
	for text, want := range map[string]string{
		`/a`: "/a", `/a|/a`: "/a", `/a\.b`: "/a.b", `/a(/.*)?`: "/*/a", `/a|/a/.*`: "/*/a", `/a.*`: "*/a", `/a[^ ]*`: "*/a", `/.*`: "/*",
		`/a(?s:.*)`: "*/a", `/`: "/", `//.+|/?/`: "/*/",
		`/a/.*`: "?", `/a/.*|/b`: "?", `.*`: "?", `a`: "?", `/a?`: "?", `/a[bc]`: "?", `/\*`: "?", `/a\?b`: "?", `/a b`: "?", `/a(/x.*)?`: "?",
		`/a(b.*)?`: "?", `/a(/.*|b)?`: "?", `/[ab].*`: "?", `\*|/a`: "?", ``: "?",
	} {
		got := "?"
		if kind, text, ok := Pattern(regex(text).Automaton); ok {
			got = entry{kind: kind, text: text}.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestLiteralAndAny(t *testing.T) {
	for text, want := range map[string]struct {
		literal string
		any     bool
	}{
		`/a`: {"/a", true}, `/a/[bc]`: {"/a/", true}, `/a(b|c)?`: {"/a", true}, `.*`: {"", true}, `\*`: {"*", false}, `a`: {"a", false},
		`/a b`: {"/a b", false}, `/a[b ]`: {"/a", true},
		`/(?i)a`: {"/", true}, ``: {"", false}, `/\?`: {"/?", false}, `[^\x00-\x{10ffff}]`: {"", false}, `/[?#]|x`: {"", false},
		`/(a| b)+`: {"/", true},
	} {
		a := regex(text).Automaton
		if got := Literal(a); got != want.literal {
			t.Errorf("everything that %s accepts begins with %q, want %q", text, got, want.literal)
		}
		if got := Any(a); got != want.any {
			t.Errorf("%s accepts a path: %v", text, got)
		}
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	var x Index
	indexOf(&x, benchRules(1000, "path"))
	for _, path := range []string{"/v500/x", "/v500", "/none", "/" + strings.Repeat("a", 4000)} {
		if n := testing.AllocsPerRun(100, func() { x.Find("api.example.org", path) }); n != 0 {
			t.Errorf("%q: %v allocations", path, n)
		}
	}
}

func benchRules(n int, by string) (rules []rule) {
	for i := range n {
		r := rule{hosts: []string{"api.example.org"}}
		switch by {
		case "host":
			r.hosts = []string{fmt.Sprintf("api-%d.example.org", i)}
			if i == n-1 {
				r.hosts = []string{"api.example.org"}
			}
		case "path":
			r.paths = []entry{{kind: Below, text: fmt.Sprintf("/v%d", i)}}
		case "letters":
			r.paths = []entry{{kind: Letters, text: fmt.Sprintf("/v%d.", i)}}
		case "regex":
			r.paths = []entry{regex(fmt.Sprintf("/v%d/[a-z]+", i))}
		}
		rules = append(rules, r)
	}
	return rules
}

func BenchmarkFind(b *testing.B) {
	for _, by := range []string{"host", "path", "letters", "regex"} {
		for _, n := range []int{1, 1000} {
			var x Index
			indexOf(&x, benchRules(n, by))
			path := fmt.Sprintf("/v%d/x", n-1)
			if by == "letters" {
				path = fmt.Sprintf("/v%d.x", n-1)
			}
			if got := x.Find("api.example.org", path); got != n-1 {
				b.Fatal(got)
			}
			b.Run(fmt.Sprintf("by=%s/rules=%d", by, n), func(b *testing.B) {
				for b.Loop() {
					x.Find("api.example.org", path)
				}
			})
		}
	}
}
