package config

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep a configuration may nest. Ours needs eight levels; gjson
// recurses once for each.
const maxDepth = 64

// parseJSON checks that data is one JSON value in valid UTF-8 (RFC 8259).
// gjson answers from whatever stands in truncated or trailing text, so nothing
// is read before this.
func (p *parser) parseJSON(data []byte) (value, bool) {
	text := strings.TrimPrefix(p.config.keep(data), "\ufeff")
	before := len(data) - len(text)
	// broken refuses the text for what stands at an offset.
	broken := func(i int, reason, remedy string) (value, bool) {
		p.fail(place{offset: before + i}, "", Malformed, reason+position(text, i), remedy)
		return value{}, false
	}
	if strings.TrimSpace(text) == "" {
		p.fail(place{}, "", Missing, "the plugin configuration is empty", `write at least {"allow_origins": ["https://example.com"]}`)
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
	if !json.Valid(data[before:]) {
		return broken(syntaxError(data[before:]))
	}
	return document(text, before), true
}

// syntaxError says where the JSON breaks. gjson only knows that it does; the
// standard decoder, which gjson links anyway, knows the place.
func syntaxError(text []byte) (offset int, reason, remedy string) {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	errors.As(json.Unmarshal(text, &raw), &syntax)
	reason = syntax.Error()
	offset = int(syntax.Offset) - 1
	if offset+1 >= len(text) && strings.Contains(reason, "unexpected end") {
		return len(text), "the JSON ends in the middle, at ", "look for a missing bracket or quote, or for a template that cut it"
	}
	return offset, reason + " at ", "write one JSON object and nothing after it"
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
