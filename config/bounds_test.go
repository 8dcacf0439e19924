package config

import (
	"fmt"
	"strings"
	"testing"
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
	_, _, err := Parse(regexes(false, `https://.*[0-9].{5}`))
	if err == nil || !strings.Contains(err.Error(), "takes more than 1,000,000 steps to decide what it lets in") {
		t.Errorf("%v", err)
	}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf(`https://.*[0-9].{4}x%d`, i))
	}
	_, _, err = Parse(regexes(false, many...))
	problems, _ := err.(Problems)
	if len(problems) != 1 || problems[0].Code != Costly || !strings.Contains(problems[0].Reason, "together with the other matchers") {
		t.Errorf("%v", err)
	}
}

// TestStrangersThatAreAllWrittenDown lets in more domains than a policy may with
// credentials, each of which stands in the regex.
func TestStrangersThatAreAllWrittenDown(t *testing.T) {
	var domains []string
	for i := range 40 {
		domains = append(domains, fmt.Sprintf(`a%d\.com`, i))
	}
	_, _, err := Parse(regexes(true, "https://("+strings.Join(domains, "|")+")"))
	if err == nil || !strings.Contains(err.Error(), "lets in strangers, and origins of 40 registrable domains") {
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
