package automaton

import (
	"errors"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// all operators, alone and together, and what is said of matchers in policies.
var all = []string{
	``, `a`, `ab`, `.`, `(?s).`, `[ab]`, `[^a]`, `a|b`, `a|`, `a*`, `a+`, `a?`, `a*?`, `(a|b)*a`, `(?:ab)+`, `a{2}`, `a{1,3}`, `a{2,}`, `(a{1,2}){2}`, `(a|ab)(b|)`,
	`^a`, `a$`, `^$`, `^`, `$`, `a^`, `$a`, `^a|b$`, `(^a|b)c*$`, `\Aa\z`, `a\zb`, `(?m)^a`, `(?m)a$`, "(?m)a$\n^b", `(?m)(^a$\n?)*`, `(?m)^`, `(?m)$`, "(?m)\n^", `(?m:^)b`,
	`\ba`, `a\b`, `\Ba`, `a\B`, `a\bb`, `\b`, `\B`, `a\b.`, `.\bb`, `(\ba|\Bb)+`, `a\B\B-?`, `\b-\b`, `(?m)^\b`, `a(\b|b)*`,
	`(?i)a`, `(?i)[a-b]`, `(?i)A-`, `(?i)k`, `(?i)s`, `[\w-]+`, `\w`, `\W`, `\d`, `\s`, `[[:alpha:]]`, `\x61`, `a\.b`, `\Qa.b\E`, `[^\n]`, `(?U)a+`, `(?P<x>a)b`, `(a)(b)|-`, `[a-]`, `[^a-b]`, `(((a)))`, `(|a)+`, `(a*)*`, `(a*|b)*`, `é`, `(?i)é|a`, `[à-ü]a`, `.a.`, `(.*\.)?ab`,
}

// TestAgainstAllStrings compares with Go's regexp on every string of up to six
// characters, of kinds that some operator tells apart.
func TestAgainstAllStrings(t *testing.T) {
	var texts []string
	for level, length := []string{""}, 0; length <= 6; length++ {
		texts = append(texts, level...)
		var next []string
		for _, s := range level {
			for _, c := range "ab-\n" {
				next = append(next, s+string(c))
			}
		}
		level = next
	}
	var b Builder
	for _, regex := range all {
		a, err := b.Regex(regex, false)
		if err != nil {
			t.Fatalf("%q: %v", regex, err)
		}
		want := regexp.MustCompile(`\A(?:` + regex + `)\z`)
		for _, text := range texts {
			if got := a.Match(text); got != want.MatchString(text) {
				t.Fatalf("%q matches %q: %v", regex, text, got)
			}
		}
	}
}

// TestAgainstRegexp compares random regexes with Go's on random strings, and the
// union with both.
func TestAgainstRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { againstRegexp(t) })
}

func FuzzRegexp(f *testing.F) { f.Fuzz(rapid.MakeFuzz(againstRegexp)) }

func againstRegexp(t *rapid.T) {
	var b Builder
	regexes := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom(all),
		rapid.StringMatching(`(\^)?(https?|[a-c.]{0,3})(://)?(\(?[a-c*.?+|-]{0,6}\)?[*+?]?(\\.|\\b|\\B|\$)?){0,4}(\[[a-c^-]{1,3}\]\{[0-3],?[4-9]?\})?\$?`),
	), 1, 4).Draw(t, "regexes")
	fold := rapid.Bool().Draw(t, "fold")
	var automata []*Automaton
	var wants []*regexp.Regexp
	for _, regex := range regexes {
		a, err := b.Regex(regex, fold)
		prefix := `\A(?:`
		if fold {
			prefix = `\A(?i:`
		}
		_, alone := syntax.Parse(regex, syntax.Perl)
		want, _ := regexp.Compile(prefix + regex + `)\z`)
		if (err == nil) != (alone == nil) {
			t.Fatalf("%q: %v, and of the library %v", regex, err, alone)
		}
		if err != nil {
			continue
		}
		automata, wants = append(automata, a), append(wants, want)
	}
	texts := rapid.SliceOfN(rapid.OneOf(
		rapid.StringMatching(`[a-c.A-C\n-]{0,12}`), rapid.StringMatching(`https?://[a-c.]{0,8}(:[0-9]{1,3})?`), rapid.String(),
	), 1, 20).Draw(t, "texts")
	union, err := b.Union(automata)
	if err != nil {
		t.Fatal(err)
	}
	first, last := 0, len(automata)-1
	if last < 0 {
		return
	}
	but, err1 := b.Difference(automata[first], automata[last])
	both, err2 := b.Intersection(automata[first], automata[last])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		x, y := automata[first].Match(text), automata[last].Match(text)
		if but.Match(text) != (x && !y) || both.Match(text) != (x && y) {
			t.Fatalf("%q without %q matches %q: %v, and with: %v", wants[first], wants[last], text, but.Match(text), both.Match(text))
		}
		any := false
		for i, a := range automata {
			want := wants[i].MatchString(text) && isASCII(text)
			any = any || want
			if got := a.Match(text); got != want {
				t.Fatalf("%q matches %q: %v", wants[i], text, got)
			}
		}
		got := false
		for _, a := range union {
			got = got || a.Match(text)
		}
		if got != any {
			t.Fatalf("the union of %q matches %q: %v", wants, text, got)
		}
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 127 {
			return false
		}
	}
	return true
}

func TestParts(t *testing.T) {
	texts := []string{"", "a.b", "xa.b", "a.bx", "xa.bx", "A.B", "xA.b", "aXb", "a.", "a\n.b", "\na.b\n"}
	for _, c := range []struct {
		before, after, fold bool
		want                func(s string) bool
	}{
		{false, true, false, func(s string) bool { return strings.HasPrefix(s, "a.b") }},
		{true, false, false, func(s string) bool { return strings.HasSuffix(s, "a.b") }},
		{true, true, false, func(s string) bool { return strings.Contains(s, "a.b") }},
		{true, true, true, func(s string) bool { return strings.Contains(strings.ToLower(s), "a.b") }},
	} {
		a, err := new(Builder).Part("a.b", c.before, c.after, c.fold)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if a.Match(text) != c.want(text) {
				t.Errorf("%+v matches %q: %v", c, text, a.Match(text))
			}
		}
	}
}

// TestEqualLanguagesAreEqualTables says the same in several ways.
func TestEqualLanguagesAreEqualTables(t *testing.T) {
	for _, same := range [][]string{
		{`(a|b)*`, `[ab]*`, `(a*b*)*`, `(?:b|a)*?`, `[ab]{0,}`},
		{`^https?://a\.b$`, `(http|https)://a[.]b`, `https://a\.b|http://a\.b`},
		{`aa|ab|ba|bb`, `[ab]{2}`, `(?:a|b)[ab]`},
		{`a\bb`, `a\B-$^b`, `[^\x00-\x{10ffff}]`},
	} {
		var b Builder
		var first *Automaton
		for _, regex := range same {
			a, err := b.Regex(regex, false)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = a
			}
			if !reflect.DeepEqual(a, first) {
				t.Errorf("%q and %q have other tables", same[0], regex)
			}
		}
	}
}

// TestBounds asks for what costs too much. All of it is refused in a moment.
func TestBounds(t *testing.T) {
	start := time.Now()
	for regex, want := range map[string]*LimitError{
		strings.Repeat(`.{0,1000}`, 100):      errSize,
		`(abcdefghijklmnopqrstuvwxyz){1,900}`: errSize,
		`a{0,900}`:                            errDepth,
		strings.Repeat(`(`, 500) + `a` + strings.Repeat(`)`, 500): errDepth,
		`[ab]*a[ab]{14}`:     errStates,
		`(a|b)*a(a|b){40}c`:  errStates,
		`(x?y?z?a?b?c?){90}`: errSteps,
	} {
		_, err := new(Builder).Regex(regex, false)
		var limit *LimitError
		if !errors.As(err, &limit) || limit != want {
			t.Errorf("%.40q…: %v, want %v", regex, err, want)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("refusing took %s", took)
	}
}

func TestMatchingDoesNotAllocate(t *testing.T) {
	a, err := new(Builder).Regex(`^https://([a-z0-9-]+\.)*example\.com(:\d+)?$`, false)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"https://a.b.example.com:8080": true, "https://example.com.evil.example": false, "": false} {
		if n := testing.AllocsPerRun(100, func() {
			if a.Match(text) != want {
				t.Fatal(text)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	var none Automaton
	if none.Match("") || none.Match("a") || none.Next(none.Start(), 'a') != Dead || none.Accepts(none.Start()) {
		t.Error("the zero automaton accepts something")
	}
	if a.After(a.Start(), "https://x.example.com") == Dead || !a.Accepts(a.After(a.Start(), "https://example.com")) {
		t.Error("a walk by hand ends elsewhere")
	}
}
