package jsontext

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const maxDepth = 64

var texts = []string{
	"", " ", "{}", "[]", "null", "true", "false", "0", "-0", "-", "00", "01", "1.", "1.5", ".5", "1e", "1e+", "1e5", "1E-5", "-1.50e+07", "+1", "1 2", "1,", "nul", "nulL", "truex", "tru", "True",
	`""`, `"a`, `"a\`, `"\u00e9"`, `"\u00E9\u00"`, `"\uD83D\uDE00"`, `"\uD83D"`, `"\uD83D\u0041"`, `"\uDE00\uD83D\uDE00"`, `"\uD83Dx"`, `"\x41"`, `"\b\f\n\r\t\"\\\/"`, "\"a\nb\"", "\"\x00\"", "\"é\"", "\"\x7f\"", `"\u`, `"\ug"`,
	"[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,2]", " [ 1 , \"]\" , [ ] , { } ] ", "]", "[}", "[1}", "[[[]],[[],[]]]",
	"{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`, `{,}`, `{"a":1]`, `{"a":1}}`, `{"a":1}x`, `{'a':1}`,
	` { "a" : 1 , "b\u0063" : [ "}" , { "c" : null } ] , "a" : true , "" : "" } `, "{\"a\":\"\\\"}\"}", "\ufeff{}", "{\"a\":1}\x00", "\t{\r\n}\t",
	`{"allow_origins":["https://a.example",{"exact":"https://b.example"}],"max_age":6e2,"debug":true}`,
}

// TestParseAgreesWithTheStandardLibrary compares verdict, offset and words with
// those of encoding/json, and values with its and with gjson's.
func TestParseAgreesWithTheStandardLibrary(t *testing.T) {
	for _, text := range texts {
		compare(t, text)
		// Everything that is cut off, and everything with another byte in it.
		for i := range text {
			compare(t, text[:i])
			for _, b := range []byte("\"\\{}[],:0e.-tu \x01é") {
				compare(t, text[:i]+string([]byte{b})+text[i:])
				compare(t, text[:i]+string([]byte{b})+text[i+1:])
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { compare(t, text) })
}

func compare(t *testing.T, text string) {
	t.Helper()
	got, err := Parse(text, maxDepth)
	if err != nil && err.Reason == TooDeep {
		if depth := strings.Count(text[:err.Offset], "[") + strings.Count(text[:err.Offset], "{"); depth < maxDepth {
			t.Fatalf("%q is too deep at %d", text, err.Offset)
		}
		return
	}
	var want any
	wantErr := json.Unmarshal([]byte(text), &want)
	var syntax *json.SyntaxError
	if errors.As(wantErr, &syntax) != (err != nil) {
		t.Fatalf("%q: %+v, want %v", text, err, wantErr)
	}
	if err != nil {
		compareErrors(t, text, err, syntax)
		return
	}
	if !utf8.ValidString(text) {
		return // the standard library changes such strings
	}
	if value := toAny(t, text, got); wantErr == nil && !reflect.DeepEqual(value, want) {
		t.Fatalf("%q says %#v, want %#v", text, value, want)
	}
	if theirs := gjson.Parse(text); got.Offset != theirs.Index || got.Raw != strings.TrimRight(theirs.Raw, " \t\r\n") {
		t.Fatalf("%q: %q at %d, want %q at %d", text, got.Raw, got.Offset, theirs.Raw, theirs.Index)
	}
}

func compareErrors(t *testing.T, text string, err *Error, want *json.SyntaxError) {
	t.Helper()
	if err.Reason == Ends {
		// The standard library puts a space behind the text, and may name that.
		if int(want.Offset) < len(text) || err.Offset != len(text) {
			t.Fatalf("%q: %+v, want %v", text, err, want)
		}
		return
	}
	if err.Offset != int(want.Offset)-1 || !strings.HasSuffix(want.Error(), "' "+err.Where) || err.Where == "" {
		t.Fatalf("%q: %+v, want %v at %d", text, err, want, want.Offset-1)
	}
}

// toAny reads a value as encoding/json does into an any, and holds each part to
// its place in the text.
func toAny(t *testing.T, text string, v Value) any {
	t.Helper()
	if v.Raw == "" || !strings.HasPrefix(text[v.Offset:], v.Raw) {
		t.Fatalf("%q: %q does not stand at %d", text, v.Raw, v.Offset)
	}
	if (v.Kind == Object) != v.IsObject() || (v.Kind == List) != v.IsList() || v.Str != "" && v.Kind != String {
		t.Fatalf("%q: %+v", text, v)
	}
	switch v.Kind {
	case Null:
		return nil
	case False, True:
		return v.Kind == True
	case String:
		return v.Str
	case Number:
		var f float64
		if err := json.Unmarshal([]byte(v.Raw), &f); err != nil {
			return err
		}
		return f
	case List:
		list := []any{}
		for e := range v.Elements {
			list = append(list, toAny(t, text, e))
		}
		return list
	}
	object := map[string]any{}
	for key, of := range v.Members {
		toAny(t, text, key)
		object[key.Str] = toAny(t, text, of)
	}
	return object
}

// TestMembersComeAsOftenAsTheyStand has what a map would lose.
func TestMembersComeAsOftenAsTheyStand(t *testing.T) {
	v, err := Parse(`{"a":1, "\u0061" : [2, 3],"b":{"a":4}}`, maxDepth)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for key, of := range v.Members {
		got = append(got, fmt.Sprint(key.Str, " ", key.Raw, " ", key.Offset, " ", of.Raw, " ", of.Offset))
	}
	want := []string{`a "a" 1 1 5`, `a "\u0061" 8 [2, 3] 19`, `b "b" 26 {"a":4} 30`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range v.Members {
		break // ends there
	}
	for range v.Elements {
		t.Error("an object has elements")
	}
	list, _ := Parse("[1,2]", maxDepth)
	n := 0
	for range list.Elements {
		n++
		break
	}
	for range list.Members {
		n++
	}
	if n != 1 {
		t.Errorf("%d visits, want one", n)
	}
}

func TestDepthIsBounded(t *testing.T) {
	for _, c := range []struct {
		text   string
		max    int
		offset int // of what is too deep; -1: nothing
	}{
		{"1", 0, -1}, {"[]", 0, 0}, {"[]", 1, -1}, {"[[], {}]", 2, -1}, {`[{"a":[]}]`, 2, 6}, {strings.Repeat("[", 100_000), 64, 64},
		{`["[[[["]`, 1, -1}, {"[[1],[2],[3]]", 2, -1},
	} {
		_, err := Parse(c.text, c.max)
		if c.offset < 0 && err != nil || c.offset >= 0 && (err == nil || err.Reason != TooDeep || err.Offset != c.offset) {
			t.Errorf("%.20q, %d levels: %+v, want %d", c.text, c.max, err, c.offset)
		}
	}
}

// TestReadingTakesNoMemory: strings are those of the text.
func TestReadingTakesNoMemory(t *testing.T) {
	text := `{"allow_origins": ["https://a.example", "https://b.example"], "max_age": 600}`
	n := 0
	visit := func(v Value) bool { n += len(v.Str); return true }
	members := func(_, of Value) bool { of.Elements(visit); return true }
	if allocs := testing.AllocsPerRun(100, func() {
		v, _ := Parse(text, maxDepth)
		v.Members(members)
	}); allocs > 1 { // the error that there is not
		t.Errorf("%v allocations", allocs)
	}
	if n == 0 {
		t.Error("nothing was read")
	}
}
