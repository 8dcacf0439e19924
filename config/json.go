package config

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep a configuration may nest. Ours needs eight levels; gjson
// recurses once for each.
const maxDepth = 64

// parseJSON checks that data is one JSON value in valid UTF-8 (RFC 8259).
// gjson answers from whatever stands in truncated or trailing text, so nothing
// is read before this.
func (r *parser) parseJSON(data []byte) (value, bool) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	before := len(data) - len(text)
	// broken refuses the text for what stands at an offset.
	broken := func(i int, reason, remedy string) (value, bool) {
		r.fail(place{offset: before + i}, "", Malformed, reason+position(text, i), remedy)
		return value{}, false
	}
	if strings.TrimSpace(text) == "" {
		r.fail(place{}, "", Missing, "the plugin configuration is empty", `write at least {"allow_origins": ["https://example.com"]}`)
		return value{}, false
	}
	if !utf8.ValidString(text) {
		i := 0
		for i < len(text) {
			c, size := utf8.DecodeRuneInString(text[i:])
			if c == utf8.RuneError && size == 1 {
				break
			}
			i += size
		}
		return broken(i, "invalid UTF-8 at ", "save the configuration as UTF-8")
	}
	if i := tooDeep(text); i >= 0 {
		return broken(i, "nested deeper than "+strconv.Itoa(maxDepth)+" levels at ", "no setting needs that; look for a bracket too many")
	}
	if !gjson.Valid(text) {
		return broken(syntaxError(text))
	}
	return document(text, before), true
}

// syntaxError says where the JSON breaks. gjson only knows that it does; the
// standard decoder, which gjson links anyway, knows the place.
func syntaxError(text string) (offset int, reason, remedy string) {
	var raw json.RawMessage
	err := json.Unmarshal([]byte(text), &raw)
	var syntax *json.SyntaxError
	switch {
	case !errors.As(err, &syntax):
		return 0, "not valid JSON, which begins at ", "check it with a JSON tool"
	case int(syntax.Offset) >= len(text) && strings.Contains(syntax.Error(), "unexpected end"):
		return len(text), "the JSON ends in the middle, at ", "look for a missing bracket or quote, or for a template that cut it"
	}
	return int(syntax.Offset) - 1, syntax.Error() + " at ", "write one JSON object and nothing after it"
}

// position returns line and column, from 1, of the byte at offset.
func position(text string, offset int) string {
	before := text[:offset]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return "line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column)
}

func tooDeep(text string) int {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

// spelling is what a key as written stands for: the name under which it is read
// and the setting it means. Two keys that mean the same setting are a duplicate.
type spelling struct {
	name, means string
}

// exactly maps the names, and their lowerCamelCase forms, to themselves.
func exactly(names []string) map[string]spelling {
	span := make(map[string]spelling, 2*len(names))
	for _, name := range names {
		span[name], span[camel(name)] = spelling{name, name}, spelling{name, name}
	}
	return span
}

// members walks the members of an object and hands each known key on under its
// name. span says which spellings are known.
func (r *parser) members(object value, span map[string]spelling, known []string, each func(name string, v value)) {
	if !object.IsObject() {
		r.wrongType(object, "an object")
		return
	}
	seen := map[string]string{}
	object.ForEach(func(key, member gjson.Result) bool {
		v := object.member(key, member)
		spelled, ok := span[key.String()]
		if !ok {
			r.fail(v.key, "", UnknownKey, "unknown key", nearest(key.String(), known))
			return true
		}
		if first, again := seen[spelled.means]; again {
			reason := "stands twice"
			if first != key.String() {
				reason = "means the same as " + strconv.Quote(first)
			}
			r.fail(v.key, v.Raw, DuplicateKey, reason, "keep one of the two")
			return true
		}
		seen[spelled.means] = key.String()
		each(spelled.name, v)
		return true
	})
}

func (r *parser) wrongType(v value, want string) {
	r.fail(v.place, v.Raw, WrongType, "is "+typeName(v.Result)+", not "+want, "write "+want)
}

func typeName(v gjson.Result) string {
	switch {
	case v.IsObject():
		return "an object"
	case v.IsArray():
		return "a list"
	}
	switch v.Type {
	case gjson.String:
		return "a string"
	case gjson.Number:
		return "a number"
	case gjson.True, gjson.False:
		return "a boolean"
	}
	return "null"
}

// The accessors below check the type first: gjson would coerce.

func (r *parser) boolean(v value) bool {
	if v.Type != gjson.True && v.Type != gjson.False {
		r.wrongType(v, "true or false")
	}
	return v.Type == gjson.True
}

func (r *parser) text(v value) (string, bool) {
	if v.Type != gjson.String {
		r.wrongType(v, "a string")
		return "", false
	}
	return v.Str, true
}

// choice reads one of the given words.
func (r *parser) choice(v value, words ...string) string {
	s, ok := r.text(v)
	if !ok {
		return ""
	}
	for _, word := range words {
		if s == word {
			return word
		}
	}
	r.fail(v.place, v.Raw, BadValue, "not one of the choices", `write "`+strings.Join(words, `" or "`)+`"`)
	return ""
}

// elements walks a list.
func (r *parser) elements(v value, each func(v value)) {
	if !v.IsArray() {
		r.wrongType(v, "a list")
		return
	}
	i := 0
	v.ForEach(func(_, element gjson.Result) bool {
		each(v.element(i, element))
		i++
		return true
	})
}

// whole reads a whole number however JSON writes it: 600, 600.0 and 6e2 are the
// same number, and a protobuf Struct may print any of them.
func whole(raw string) (n int64, ok bool) {
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -1<<53 {
		return 0, false
	}
	return int64(f), true
}

// nearest is the remedy for an unknown word: the known one that is the fewest
// edits away, or all of them where none is near.
func nearest(word string, known []string) string {
	best, distance := "", len(word)/2+1
	for _, k := range known {
		if d := edits(strings.ToLower(word), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return "known here: " + strings.Join(known, ", ")
	}
	return "did you mean " + strconv.Quote(best) + "?"
}

// edits is the Levenshtein distance of a and b.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
