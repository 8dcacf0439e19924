package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

var texts = []string{
	"", " ", "{}", "[]", "null", "true", "false", "0", "-0", "-", "00", "01", "1.", "1.5", ".5", "1e", "1e+", "1e5", "1E-5", "-1.50e+07",
	"+1", "1 2", "1,", "nul", "nulL", "truex", "tru", "True",
	`""`, `"a`, `"a\`, `"\u00e9"`, `"\u00E9\u00"`, `"\uD83D\uDE00"`, `"\uD83D"`, `"\uD83Dx"`, `"\x41"`, `"\b\f\n\r\t\"\\\/"`, "\"a\nb\"",
	"\"\x00\"", "\"é\"", "\"\x7f\"", `"\u`, `"\ug"`,
	"[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,2]", " [ 1 , \"]\" , [ ] , { } ] ", "]", "[}", "[1}", "[[[]],[[],[]]]",
	"{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`, `{,}`, `{"a":1]`, `{"a":1}}`,
	`{"a":1}x`, `{'a':1}`,
	` { "a" : 1 , "b\u0063" : [ "}" , { "c" : null } ] , "a" : true , "" : "" } `, "{\"a\":\"\\\"}\"}", "\ufeff{}", "{\"a\":1}\x00",
	"\t{\r\n}\t",
	`{"allow_origins":["https://a.example",{"exact":"https://b.example"}],"max_age":6e2,"debug":true}`,
}

// TestMalformedAgreesWithTheStandardLibrary compares gjson's verdict with that of
// encoding/json, and the place and the words of what is wrong with its.
func TestMalformedAgreesWithTheStandardLibrary(t *testing.T) {
	for _, text := range texts {
		compareJSON(t, text)
		// Everything that is cut off, and everything with another byte in it.
		for i := range text {
			compareJSON(t, text[:i])
			for _, b := range []byte("\"\\{}[],:0e.-tu \x01é") {
				compareJSON(t, text[:i]+string([]byte{b})+text[i:])
				compareJSON(t, text[:i]+string([]byte{b})+text[i+1:])
			}
		}
	}
}

func FuzzMalformed(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(compareJSON)
}

func compareJSON(t *testing.T, text string) {
	t.Helper()
	if at := tooDeep(text); at >= 0 {
		if depth := strings.Count(text[:at], "[") + strings.Count(text[:at], "{"); depth < maxDepth {
			t.Fatalf("%q is too deep at %d", text, at)
		}
		return
	}
	var ignored any
	var want *json.SyntaxError
	valid := !errors.As(json.Unmarshal([]byte(text), &ignored), &want)
	if gjson.Valid(text) != valid {
		t.Fatalf("%q: gjson says it is valid: %v, the standard library: %v", text, !valid, valid)
	}
	at, where := malformed(text)
	switch {
	case valid:
		if at != len(text) || where != "" {
			t.Fatalf("%q: %q at %d, and it is valid", text, where, at)
		}
	case where == "":
		// The standard library puts a space behind the text, and may name that.
		if int(want.Offset) < len(text) || at != len(text) {
			t.Fatalf("%q ends too early at %d, want %v at %d", text, at, want, want.Offset)
		}
	case at != int(want.Offset)-1 || !strings.HasSuffix(want.Error(), "' "+where):
		t.Fatalf("%q: %q at %d, want %v at %d", text, where, at, want, want.Offset-1)
	}
}

func TestDepthIsBounded(t *testing.T) {
	open, end := strings.Repeat("[", maxDepth), strings.Repeat("]", maxDepth)
	for text, want := range map[string]int{
		"1": -1, open + end: -1, "[" + open: maxDepth, open[1:] + `{"a":[`: maxDepth + len(`{"a":`) - 1, strings.Repeat("[", 100_000): maxDepth,
		`["` + open + `"]`: -1, `["\"` + open + `"]`: -1, `["\\",` + open: len(`["\\",`) + maxDepth - 1, open[1:] + "[1],[2],{}" + end[1:]: -1,
		`"a`: -1, `"a\`: -1,
	} {
		if got := tooDeep(text); got != want {
			t.Errorf("%.80q: too deep at %d, want %d", text, got, want)
		}
	}
}
