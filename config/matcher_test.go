package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/origin"
)

// TestTheWitness reads, for regexes that let unlisted origins in, what the refusal says.
// The witness is a real one: Go's regexp matches it, and so does the filter, once the
// danger is waived.
func TestTheWitness(t *testing.T) {
	for _, c := range []struct{ matcher, unlisted, count string }{
		{`{"regex": "^https://.*example\\.co\\.uk$"}`, "https://aexample.co.uk", "an unlimited number of domains, including ones anyone can register"},
		{`{"regex": "^https://app\\.[a-z]+\\.com$"}`, "https://app.a.com", "an unlimited number of domains, including ones anyone can register"},
		{`{"regex": "^https://app\\..*example\\.com$"}`, "https://app.aexample.com", "an unlimited number of domains, including ones anyone can register"},
		{`{"regex": "^https://(.+)\\.example\\.com(\\.[a-z]{2})?$"}`, "https://a.example.com.om", "677 registrable domains"},
		{`{"regex": "^https://www\\.example\\.[a-z]{2,3}$"}`, "https://www.example.aa", "more than 1,000 registrable domains"},
		{`{"regex": "^https://[\\w-]+\\.vercel\\.app$"}`, "https://a.vercel.app", "an unlimited number of domains, including ones anyone can register"},
		{`{"regex": "^https://example\\.c[a-z]$"}`, "https://example.ca", "26 registrable domains"},
		{`{"regex": "^https?://example.com$"}`, "https://exampleacom", "39 registrable domains"},
		{`{"suffix": "example.co.uk"}`, "https://aexample.co.uk", "an unlimited number of domains, including ones anyone can register"},
		{`{"contains": "EXAMPLE.com", "ignore_case": true}`, "https://aexample.com", "an unlimited number of domains, including ones anyone can register"},
		{`{"prefix": "https://example.co"}`, "https://example.coo", "an unlimited number of domains, including ones anyone can register"},
		{`{"regex": "http://.*\\.com"}`, "http://a.com", "an unlimited number of domains, including ones anyone can register"},
	} {
		text := `{"allow_origins": [` + c.matcher + `], "allow_credentials": true, "dangerously_tolerate": ["loose-origin-match"]}`
		_, _, err := Parse([]byte(text))
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Code != AnyOrigin {
			t.Errorf("%s: %v", c.matcher, err)
			continue
		}
		want := "lets in " + c.count + ", such as " + c.unlisted + ": pages there could read with their visitors' credentials"
		if problems[0].Reason != want {
			t.Errorf("%s %s\nwant %s", c.matcher, problems[0].Reason, want)
		}
		waived := mustParse(t, strings.Replace(text, `"loose-origin-match"`, `"loose-origin-match", "any-origin-with-credentials", "insecure-origin"`, 1))
		var buf origin.Buffer
		if o, ok := origin.Parse(c.unlisted, &buf); !ok || !o.Serialized() || waived.Default.Origins.Match(c.unlisted) != Matches {
			t.Errorf("%s: the filter itself does not let %s in", c.matcher, c.unlisted)
		}
		if m := regexp.MustCompile(`"regex": "(.*)"`).FindStringSubmatch(c.matcher); m != nil && !regexp.MustCompile(`\A(?:`+strings.ReplaceAll(m[1], `\\`, `\`)+`)\z`).MatchString(c.unlisted) {
			t.Errorf("%s: Go's regexp does not let %s in", c.matcher, c.unlisted)
		}
	}
}

// TestCostlyMatchers asks for what took seconds and hundreds of megabytes once. It
// is refused by name in a moment, with or without credentials.
func TestCostlyMatchers(t *testing.T) {
	repeated := strings.Repeat(`.{0,1000}`, 100)
	many := make([]string, 6000)
	for i := range many {
		many[i] = fmt.Sprintf(`{"regex": "https://(www\\.)?shop%d\\.example"}`, i)
	}
	wide := make([]string, 20)
	for i := range wide {
		wide[i] = fmt.Sprintf(`{"regex": "https://shop%d(aaaaaaa){300}"}`, i)
	}
	start := time.Now()
	for _, c := range []struct{ origins, at, reason string }{
		{`{"regex": "` + repeated + `"}`, "allow_origins[0]", "repeats too much"},
		{`{"regex": "(x?y?z?a?b?c?){90}"}`, "allow_origins[0]", "takes more than 1,000,000 steps"},
		{`{"regex": "[ab]*a[ab]{14}"}`, "allow_origins[0]", "takes more than 4,000 states"},
		{`{"regex": "a{0,900}"}`, "allow_origins[0]", "nests or repeats too deeply"},
		{`{"regex": "` + strings.Repeat("(a|b)?", 330) + `"}`, "", ""},
		{`{"contains": "` + strings.Repeat("a", 2049) + `"}`, "allow_origins[0]", "more than 2,048 bytes"},
		{strings.Join(many[:400], ","), "", ""},
		{strings.Join(wide, ","), "allow_origins[19]", "does not fit together with the other matchers of the list"},
		{strings.Join(many, ","), "allow_origins[", "together with the other matchers"},
	} {
		for _, credentials := range []string{"false", "true"} {
			_, _, err := Parse([]byte(`{"allow_origins": [` + c.origins + `], "allow_credentials": ` + credentials + `, "dangerously_tolerate": ["loose-origin-match", "any-origin-with-credentials", "insecure-origin"]}`))
			var problems Problems
			if c.at == "" && err == nil {
				continue
			}
			if !errors.As(err, &problems) || problems.Count() > 2 || problems[0].Code != Costly || !strings.HasPrefix(problems[0].Path, c.at) || !strings.Contains(problems[0].Reason, c.reason) {
				t.Errorf("%.60s: %v", c.origins, err)
			}
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("deciding took %s", took)
	}
}

// TestWhatTheAnyOriginWaiverLetsThrough over plain http: of a matcher that lets in
// anyone no more is asked.
func TestWhatTheAnyOriginWaiverLetsThrough(t *testing.T) {
	const waived = `,"allow_credentials":true,"dangerously_tolerate":["any-origin-with-credentials"]}`
	checkRows(t, []row{
		{json: `{"allow_origins":[{"regex":"https?://.+"}]` + waived},
		{json: `{"allow_origins":[{"regex":"https?://example\\.c[a-z]"}]` + waived, problems: "allow_origins[0] insecure-origin"},
	})
}

func TestMatchersThatOthersCover(t *testing.T) {
	others := func(n int) (list string) {
		for i := range n {
			list += fmt.Sprintf(`"https://h%d.b.example",`, i)
		}
		return list
	}
	matchers := func(n int) (list string) {
		for i := range n {
			list += fmt.Sprintf(`{"regex":"https://h%d\\.(b|c)\\.example"},`, i)
		}
		return list
	}
	checkRows(t, []row{
		{json: `{"allow_origins":["https://*.a.example",{"regex":"https://(x|y)\\.a\\.example"}]}`, warnings: "allow_origins[1] covered"},
		{json: `{"allow_origins":["https://x.a.example",{"regex":"https://[a-z]\\.a\\.example"}]}`, warnings: "allow_origins[0] covered"},
		{json: `{"allow_origins":["https://x.a.example:8443",{"regex":"https://[a-z]\\.a\\.example"}]}`},
		{json: `{"allow_origins":[{"regex":"https://[a-z]\\.a\\.example"},{"regex":"https://(x|y)\\.a\\.example"}]}`, warnings: "allow_origins[1] covered"},
		{json: `{"allow_origins":[{"regex":"https://(x|y)\\.a\\.example"},{"regex":"https://[a-z]\\.a\\.example"}]}`, warnings: "allow_origins[0] covered"},
		{json: `{"allow_origins":[{"regex":"https://(x|y)\\.a\\.example"},{"regex":"https://(y|z)\\.a\\.example"}]}`},
		{json: `{"allow_origins":["*",{"regex":"https://(x|y)\\.a\\.example"}]}`, warnings: "allow_origins[1] covered"},
		// Of many patterns the single origins alone are looked at.
		{json: `{"allow_origins":["https://*.y.a.example","https://x.a.example","https://x.a.example:8443",` + others(20) + `{"regex":"https://([a-z]\\.)+a\\.example"}]}`, warnings: "allow_origins[1] covered"},
		{json: `{"allow_origins":["https://*.a.example","https://a.example:*",` + others(20) + `{"regex":"https://.\\.a\\.example|https://a\\.example:."}]}`}, // the text of both matches
		{json: `{"allow_origins":["https://x.a.example",` + others(15) + `{"regex":"https://[a-z]\\.a\\.example"}]}`, warnings: "allow_origins[0] covered"},
		{json: `{"allow_origins":["https://x.a.example",` + others(16) + `{"regex":"https://[a-z]\\.a\\.example"}]}`, warnings: "allow_origins[0] covered"},
		// A matcher is compared with so many others.
		{json: `{"allow_origins":[` + matchers(16) + `{"regex":"https://h0\\.(b|c)\\.example"}]}`, warnings: "allow_origins[16] covered"},
		{json: `{"allow_origins":[` + matchers(17) + `{"regex":"https://h0\\.(b|c)\\.example"}]}`},
	})
}

// TestMatchersShareAnAutomaton counts what a request is compared with.
func TestMatchersShareAnAutomaton(t *testing.T) {
	var list []string
	for i := range 200 {
		list = append(list, fmt.Sprintf(`{"regex": "https://(www\\.)?shop%d\\.example"}`, i))
	}
	p := mustParse(t, `{"allow_origins": [`+strings.Join(list, ",")+`]}`).Default
	if n := len(p.Origins.automata); n != 1 {
		t.Errorf("%d automata for 200 matchers", n)
	}
	for i := range 200 {
		if p.Origins.Match(fmt.Sprintf("https://www.shop%d.example", i)) != Matches || p.Origins.Match(fmt.Sprintf("https://x.shop%d.example", i)) != NoMatch {
			t.Fatalf("shop %d is matched wrongly", i)
		}
	}
	// What does not fit one automaton is compared with several.
	wide := []string{`{"regex": "https://[ab]*a[ab]{10}\\.example"}`, `{"regex": "https://[ab]*b[ab]{10}\\.[cd]example"}`, `{"regex": "https://[ab]*ab[ab]{9}\\.[ef]example"}`, `{"regex": "https://[ab]*ba[ab]{9}\\.[gh]example"}`}
	plugin, verdict := judge(t, `{"allow_origins": [`+strings.Join(wide, ",")+`]}`)
	if strings.Contains(fmt.Sprint(verdict), "covered") {
		t.Errorf("%q", verdict)
	}
	p = plugin.Default
	if n := len(p.Origins.automata); n < 2 {
		t.Errorf("%d automata", n)
	}
	for _, s := range []string{"https://aaaaaaaaaaa.example", "https://bbbbbbbbbbb.cexample", "https://abbbbbbbbbb.eexample", "https://baaaaaaaaaa.hexample"} {
		if p.Origins.Match(s) != Matches {
			t.Errorf("%s does not match", s)
		}
	}
}

// TestWhatIsSpelled holds a domain that stands in a matcher apart from one that is
// a part of a longer name, with each character before it and behind it.
func TestWhatIsSpelled(t *testing.T) {
	const inNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	for c := range byte(128) {
		want := !strings.Contains(inNames, string(c))
		for _, text := range []string{"https://" + string(c) + "b.example", "https://b.example" + string(c)} {
			if got := SpelledIn(text)("b.example"); got != want {
				t.Errorf("b.example is spelled in %q: %v", text, got)
			}
		}
	}
	for text, want := range map[string]bool{
		"b.example": true, `HTTPS://(A|B)\.EXAMPLE`: false, `(a|B\.Example)`: true, "": false,
		"ab.example|b.example": true, "ab.example|b.examples": false, "b.examples|b.example": true,
	} {
		if got := SpelledIn(text)("b.example"); got != want {
			t.Errorf("b.example is spelled in %q: %v", text, got)
		}
	}
}
