package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// outline maps every path of a JSON text to where its keys and values begin, as
// encoding/json reads it.
type outline struct {
	keys, values map[string][]int
}

func outlineOf(t interface{ Fatal(...any) }, text string) outline {
	o := outline{map[string][]int{}, map[string][]int{}}
	body := strings.TrimPrefix(text, "\ufeff")
	before := len(text) - len(body)
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	next := func() (json.Token, int) {
		i := int(decoder.InputOffset())
		for i < len(body) && strings.IndexByte(" \t\r\n,:", body[i]) >= 0 {
			i++
		}
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		return token, before + i
	}
	var read func(path string)
	read = func(path string) {
		token, at := next()
		o.values[path] = append(o.values[path], at)
		delim, _ := token.(json.Delim)
		if delim == 0 {
			return
		}
		for i := 0; decoder.More(); i++ {
			if delim == '[' {
				read(path + "[" + strconv.Itoa(i) + "]")
				continue
			}
			key, at := next()
			inner := join(path, key.(string))
			o.keys[inner] = append(o.keys[inner], at)
			read(inner)
		}
		next()
	}
	read("")
	return o
}

// drawDocument draws a configuration from keys and values of which each is wrong, or
// worth a warning, somewhere.
func drawDocument(t *rapid.T) string {
	space := func() string { return rapid.SampledFrom([]string{"", "", " ", "\n  ", "\t"}).Draw(t, "space") }
	var keys []string
	for _, set := range []keySet{topKeys, ruleKeys, matcherKeys} {
		for key := range set.keys {
			keys = append(keys, key)
		}
	}
	keys = append(keys, "allow_originsx", "x", "é", "default_value", "numerator", "regex")
	slices.Sort(keys)
	leaves := []string{
		`"*"`, `"null"`, `"https://a.example"`, `"https://A.example/"`, `"http://*.a.example"`, `"https://*.com"`, `"https:\/\/a.example\n"`,
		`"PUT, patch,TRACE ,x a"`, `"x\u002da, x b"`,
		`"cookie,, cookie"`, `"any-origin-with-credentials"`, `"loose-origin-match"`, `"null-orgin"`, `"off"`, `"shadow"`, `"FORWARD"`, `"600"`,
		`"90000s"`, `""`, `"a.example"`, `"/x/*"`, `"/*"`, `".*"`, `"("`,
		`true`, `false`, `null`, `0`, `204`, `99999`, `1.5`, `[]`, `{}`, `"é"`,
	}
	var value func(depth int) string
	value = func(depth int) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 || kind > 2 {
			return rapid.SampledFrom(leaves).Draw(t, "leaf")
		}
		var parts []string
		for i := rapid.IntRange(0, 4).Draw(t, "parts"); i > 0; i-- {
			part := value(depth - 1)
			if kind == 0 {
				key := rapid.SampledFrom(keys).Draw(t, "key")
				quoted := strconv.Quote(key)
				if rapid.IntRange(0, 5).Draw(t, "escape") == 0 {
					quoted = `"\u00` + strconv.FormatInt(int64(key[0]), 16) + quoted[2:]
					if key == "é" {
						quoted = `"\u00e9"`
					}
				}
				part = quoted + space() + ":" + space() + part
			}
			parts = append(parts, space()+part+space())
		}
		brackets := "[]"
		if kind == 0 {
			brackets = "{}"
		}
		return brackets[:1] + strings.Join(parts, ",") + brackets[1:]
	}
	// Settings at the top and in a rule, so that most documents get past the types.
	object := func() string {
		var members []string
		for i := rapid.IntRange(0, 6).Draw(t, "members"); i > 0; i-- {
			members = append(members, space()+strconv.Quote(rapid.SampledFrom(keys).Draw(t, "key"))+":"+space()+value(4))
		}
		if rapid.Bool().Draw(t, "origins") {
			members = append(members, `"allow_origins":[`+value(2)+`,"*",`+rapid.SampledFrom(leaves).Draw(t, "origin")+`]`)
		}
		if rapid.Bool().Draw(t, "credentials") {
			members = append(
				members,
				`"allow_credentials":true,"expose_headers": `+rapid.SampledFrom([]string{`"x-a , *"`, `["x","*"]`, `"*"`}).Draw(t, "expose"),
			)
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	text := object()
	if rapid.Bool().Draw(t, "rule") {
		text = strings.TrimSuffix(text, "}")
		if text != "{" {
			text += ","
		}
		text += `"rules":[{"name":"x","policy":` + object() + `},{"policy":` + object() + `,"name":"x","paths":` + value(2) + `}]}`
	}
	return rapid.SampledFrom([]string{"", "\ufeff"}).Draw(t, "mark") + space() + text + space()
}

// checkPlaces compares the place of every mistake and warning of a configuration
// with what another parser says of its text.
func checkPlaces(t interface {
	Helper()
	Fatalf(string, ...any)
	Fatal(...any)
}, text string) {
	t.Helper()
	c, warnings, err := Parse([]byte(text))
	var problems Problems
	errors.As(err, &problems)
	if c != nil {
		problems = c.Notes
	}
	if len(problems) > 0 && (problems[0].Code == Malformed || problems[0].Path == "" && problems[0].Code == Missing) {
		return // TestBrokenJSONSaysWhere
	}
	stands := outlineOf(t, text)
	for _, p := range append(problems, warnings...) {
		fail := func(why string) {
			t.Helper()
			t.Fatalf("%s\n%+v\n%s", text, p, why)
		}
		if p.Offset < 0 || p.Length <= 0 || p.Offset+p.Length > len(text) {
			if p.Length == 0 && p.Value == `""` { // an empty entry between commas
				continue
			}
			fail("is not in the text")
		}
		there := text[p.Offset : p.Offset+p.Length]
		value := unquote(there)
		if there != strings.TrimSpace(there) {
			fail("has the space around it")
		}
		switch {
		case p.Code == UnknownKey, p.Code == DuplicateKey, p.Code == Unmatched:
			if !slices.Contains(stands.keys[p.Path], p.Offset) || !strings.HasSuffix(p.Path, value) {
				fail(fmt.Sprintf("not its key: %q", there))
			}
		case p.Code == Missing && p.Value == "" && strings.HasSuffix(p.Path, allowOrigins):
			object := strings.TrimSuffix(strings.TrimSuffix(p.Path, allowOrigins), ".")
			if !slices.Contains(stands.values[object], p.Offset) || !json.Valid([]byte(there)) {
				fail(fmt.Sprintf("not the object that lacks it: %q", there))
			}
		case slices.Contains(stands.values[p.Path], p.Offset):
			if !json.Valid([]byte(there)) {
				fail(fmt.Sprintf("not the whole value: %q", there))
			}
			whole := p.Value == "" || p.Value == shorten(there) || p.Value == shorten(quote(value))
			if !whole && !(strings.Contains(there, `\`) && strings.Contains(there, ",")) { // a list in a string with escapes
				fail(fmt.Sprintf("not its value: %q", there))
			}
		default: // an entry of a list in a string
			begin := stands.values[p.Path]
			if len(begin) == 0 || text[begin[0]] != '"' || p.Offset < begin[0] || shorten(quote(there)) != p.Value {
				fail(fmt.Sprintf("not where its value stands: %q", there))
			}
		}
	}
}

// TestProblemsSayWhereTheyStand draws documents; those of all other tests are
// held to the same in checkRows.
func TestProblemsSayWhereTheyStand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkPlaces(t, drawDocument(t)) })
}

func unquote(text string) string {
	var s string
	if json.Unmarshal([]byte(text), &s) != nil {
		return text
	}
	return s
}

// TestBrokenJSONSaysWhere gives the byte at which the text stops to be JSON.
func TestBrokenJSONSaysWhere(t *testing.T) {
	deep := strings.Repeat("[", maxDepth)
	for text, want := range map[string]int{
		"":                           0,
		"{\"mode\":\n\"of":           12,
		"{\"mode\": \"é\xff\"}":      12,
		"{} {}":                      3,
		"\ufeff{} {}":                6,
		"\ufeff{\"mode\": \"\xff\"":  13,
		"\xff{}":                     0,
		"{\"mode\": \"\ufffd\xff\"}": 13,
		"{'mode':1}":                 1,
		deep + "[":                   len(deep),
		"\ufeff" + deep + "{":        3 + len(deep),
	} {
		_, _, err := Parse([]byte(text))
		problems, _ := err.(Problems)
		if len(problems) != 1 || problems[0].Offset != want {
			t.Errorf("%.40q: %+v, want offset %d", text, problems, want)
		}
	}
}

func join(path, key string) string { return place{base: path, key: key}.path() }
