package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/automaton"
)

// regexes is a policy of regexes, with credentials or not.
func regexes(credentials bool, list ...string) []byte {
	for i, r := range list {
		list[i] = fmt.Sprintf(`{"regex": %q}`, r)
	}
	return fmt.Appendf(nil, `{"allow_origins": [%s], "allow_credentials": %v}`, strings.Join(list, ", "), credentials)
}

// TestMatchersThatCostTooMuchToDecide are automata soon made, and take their steps
// when it is asked what they let in: alone, and all together.
func TestMatchersThatCostTooMuchToDecide(t *testing.T) {
	_, _, err := Parse(regexes(false, `https://.*[0-9].{8}`))
	problems, _ := err.(Problems)
	if len(problems) != 1 || problems[0].Code != Costly || !strings.Contains(problems[0].Reason, "takes more than 1,000,000 steps to decide what it lets in") {
		t.Errorf("%v", err)
	}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf(`https://.*[0-9].{4}x%d`, i))
	}
	_, _, err = Parse(regexes(false, many...))
	problems, _ = err.(Problems)
	if len(problems) != 1 || problems[0].Code != Costly || !strings.Contains(problems[0].Reason, "together with the other matchers") {
		t.Errorf("%v", err)
	}
	// What is given up has taken its steps, too.
	many = nil
	for i := range 30 {
		many = append(many, fmt.Sprintf(`https://x%d.*[0-9].{8}`, i))
	}
	_, _, err = Parse(regexes(false, many...))
	if problems, _ = err.(Problems); len(problems) == 0 || len(problems) > 5 {
		t.Errorf("%d problems: %v", len(problems), err)
	}
}

// TestUnintendedOriginsThatAreAllWrittenDown lets in more domains than a policy may with
// credentials, each of which stands in the regex.
func TestUnintendedOriginsThatAreAllWrittenDown(t *testing.T) {
	var domains []string
	for i := range 40 {
		domains = append(domains, fmt.Sprintf(`a%d\.com`, i))
	}
	_, _, err := Parse(regexes(true, "https://("+strings.Join(domains, "|")+")"))
	if err == nil || !strings.Contains(err.Error(), "lets in 40 registrable domains: pages there") {
		t.Errorf("%v", err)
	}
}

func TestSettingOf(t *testing.T) {
	for key, want := range map[string]string{"allow_origins": "allow_origins", "allowMethods": "allow_methods", "allow_origin_string_match": "allow_origins", "nonsense": "", "": ""} {
		if got := SettingOf(key); got != want {
			t.Errorf("SettingOf(%q) is %q, want %q", key, got, want)
		}
	}
}

// TestMatchersThatDoNotFitTogether are told beside what else is wrong.
func TestMatchersThatDoNotFitTogether(t *testing.T) {
	list := `"https://a.example/"`
	for i := range 20 {
		list += fmt.Sprintf(`, {"regex": "https://shop%d(aaaaaaa){300}"}`, i)
	}
	_, got := judge(t, `{"allow_origins": [`+list+`]}`)
	if want := split("allow_origins[0] bad-origin, allow_origins[20] costly-matcher"); !slices.Equal(got.problems, want) {
		t.Errorf("%q, want %q", got.problems, want)
	}
}

// TestTheStepsOfAllMatchersAreBounded counts what each matcher takes, to be made
// and to be asked what it lets in, and leaves so many steps, or one less. It is
// said once that they do not suffice, and nothing is decided any more.
func TestTheStepsOfAllMatchersAreBounded(t *testing.T) {
	const one = `{"regex": "https://(a|b)\\.example"}`
	parse := func(spent int, list string) *parser {
		var p parser
		p.begin(&Config{})
		p.steps += spent
		p.read([]byte(`{"allow_origins": [` + list + `]}`))
		p.compile(&p.source)
		return &p
	}
	made := parse(0, `"*", `+one).steps // beside "*" it is of no interest what a matcher lets in
	var builder automaton.Builder
	if _, err := builder.Regex(`https://(a|b)\.example`, false); err != nil || made != builder.Steps+matcherSteps {
		t.Errorf("making one takes %d steps, want %d and %d, %v", made, builder.Steps, matcherSteps, err)
	}
	decided := parse(0, one).steps
	if both := parse(0, one+", "+one).steps; both != 2*decided {
		t.Errorf("one takes %d steps, and two take %d", decided, both)
	}
	for _, c := range []struct {
		name, list string
		left       int
		at         string // where it is said that they do not suffice, if it is
	}{
		{"made with all that are left", `"*", ` + one, made, ""},
		{"one too few to be made", `"*", ` + one, made - 1, "allow_origins[1]"},
		{"none left to be made", `"*", ` + one, 0, "allow_origins[1]"},
		{"said before it is made", `"*", ` + one, -1, ""},
		{"decided with all that are left", one, decided, ""},
		{"one too few to be decided", one, decided - 1, "allow_origins[0]"},
		{"none left to be decided", one, made, "allow_origins[0]"},
		{"said of the second one before the first is decided", one + ", " + one, 2*made - 1, "allow_origins[1]"},
	} {
		var want []string
		if c.at != "" {
			want = []string{c.at + " " + string(Costly)}
		}
		p := parse(maxMatcherSteps-c.left, c.list)
		if got := places(p.mistakes.all()); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

// TestHintsAreBounded compares the origins with the matchers one by
// one, as long as that takes no more than a million times.
func TestHintsAreBounded(t *testing.T) {
	var builder automaton.Builder
	a, err := builder.Regex(`https://a\.example`, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ patterns, matchers, warnings int }{
		{1000, 1000, 1000}, {101, 9901, 0}, {17, 1, 17}, {16, 1, 0},
	} {
		var list entries
		e := SourceOrigin{Value: "https://a.example"}
		for range c.patterns {
			list.patterns = append(list.patterns, placedPattern{SourceOrigin: &e})
		}
		for range c.matchers {
			list.matchers = append(list.matchers, matcher{raw: &e, Automaton: a})
		}
		var p parser
		p.begin(&Config{})
		p.warnMatched(&list)
		if p.warnings.count != c.warnings {
			t.Errorf("%d warnings of %d patterns and %d matchers, want %d", p.warnings.count, c.patterns, c.matchers, c.warnings)
		}
	}
}
