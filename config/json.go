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
func parseJSON(data []byte, r *parser) (gjson.Result, bool) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	if strings.TrimSpace(text) == "" {
		r.fail("", "", Missing, "the plugin configuration is empty", `write at least {"allow_origins": ["https://example.com"]}`)
		return gjson.Result{}, false
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
		r.fail("", "", Malformed, "invalid UTF-8 at "+position(text, i), "save the configuration as UTF-8")
		return gjson.Result{}, false
	}
	if i := tooDeep(text); i >= 0 {
		r.fail("", "", Malformed, "nested deeper than "+strconv.Itoa(maxDepth)+" levels at "+position(text, i), "no setting needs that; look for a bracket too many")
		return gjson.Result{}, false
	}
	if !gjson.Valid(text) {
		r.syntaxError(text)
		return gjson.Result{}, false
	}
	return gjson.Parse(text), true
}

// syntaxError says where the JSON breaks. gjson only knows that it does; the
// standard decoder, which gjson links anyway, knows the place.
func (r *parser) syntaxError(text string) {
	var raw json.RawMessage
	err := json.Unmarshal([]byte(text), &raw)
	var syntax *json.SyntaxError
	switch {
	case !errors.As(err, &syntax):
		r.fail("", "", Malformed, "not valid JSON", "check it with a JSON tool")
	case int(syntax.Offset) >= len(text) && strings.Contains(syntax.Error(), "unexpected end"):
		r.fail("", "", Malformed, "the JSON ends in the middle, at "+position(text, len(text)), "look for a missing bracket or quote, or for a template that cut it")
	default:
		r.fail("", "", Malformed, syntax.Error()+" at "+position(text, int(syntax.Offset)-1), "write one JSON object and nothing after it")
	}
}

// position returns line and column, from 1, of the byte at offset.
func position(text string, offset int) string {
	offset = min(max(offset, 0), len(text))
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
func (r *parser) members(path string, object gjson.Result, span map[string]spelling, known []string, each func(name, path string, value gjson.Result)) {
	if !object.IsObject() {
		r.wrongType(path, object, "an object")
		return
	}
	seen := map[string]string{}
	object.ForEach(func(key, value gjson.Result) bool {
		spelled, ok := span[key.String()]
		here := join(path, shorten(key.String()))
		if !ok {
			r.fail(here, "", UnknownKey, "unknown key", nearest(key.String(), known))
			return true
		}
		if first, again := seen[spelled.means]; again {
			reason := "stands twice"
			if first != key.String() {
				reason = "means the same as " + strconv.Quote(first)
			}
			r.fail(here, value.Raw, DuplicateKey, reason, "keep one of the two")
			return true
		}
		seen[spelled.means] = key.String()
		each(spelled.name, here, value)
		return true
	})
}

func (r *parser) wrongType(path string, value gjson.Result, want string) {
	r.fail(path, value.Raw, WrongType, "is "+typeName(value)+", not "+want, "write "+want)
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

func (r *parser) boolean(path string, v gjson.Result) bool {
	if v.Type != gjson.True && v.Type != gjson.False {
		r.wrongType(path, v, "true or false")
	}
	return v.Type == gjson.True
}

func (r *parser) text(path string, v gjson.Result) (string, bool) {
	if v.Type != gjson.String {
		r.wrongType(path, v, "a string")
		return "", false
	}
	return v.Str, true
}

// choice reads one of the given words.
func (r *parser) choice(path string, v gjson.Result, words ...string) string {
	s, ok := r.text(path, v)
	if !ok {
		return ""
	}
	for _, word := range words {
		if s == word {
			return word
		}
	}
	r.fail(path, v.Raw, BadValue, "not one of the choices", `write "`+strings.Join(words, `" or "`)+`"`)
	return ""
}

// elements walks a list.
func (r *parser) elements(path string, v gjson.Result, each func(path string, value gjson.Result)) {
	if !v.IsArray() {
		r.wrongType(path, v, "a list")
		return
	}
	i := 0
	v.ForEach(func(_, value gjson.Result) bool {
		each(at(path, i), value)
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
