package config

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep a configuration may nest. Eight levels are needed; checking recurses
// once for each.
const maxDepth = 64

// parseJSON checks that data is one JSON value in valid UTF-8 (RFC 8259) before anything is
// read from it, because gjson also gives answers from broken text.
func (p *parser) parseJSON(data []byte) (value, bool) {
	text := strings.TrimPrefix(p.config.keep(data), "\ufeff")
	before := len(data) - len(text)
	// broken refuses the text because of what is at an offset.
	broken := func(i int, reason, remedy string) (value, bool) {
		p.fail(place{offset: before + i}, "", Malformed, reason+position(text, i), remedy)
		return value{}, false
	}
	if strings.TrimSpace(text) == "" {
		p.fail(place{}, "", Missing, "the plugin configuration is empty", `write at least {"allow_origins": ["https://example.com"]}`)
		return value{}, false
	}
	if isBinary(text) {
		p.fail(place{}, "", Malformed, "the plugin configuration is binary", "use google.protobuf.StringValue, with the JSON as its value")
		return value{}, false
	}
	if !utf8.ValidString(text) {
		for i, c := range text {
			if c == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd") {
				return broken(i, "invalid UTF-8 at ", "save the configuration as UTF-8")
			}
		}
	}
	if at := tooDeep(text); at >= 0 {
		return broken(at, "nested deeper than "+strconv.Itoa(maxDepth)+" levels at ", "no setting needs that; look for an extra bracket")
	}
	if gjson.Valid(text) {
		root := gjson.Parse(text)
		root.Raw = strings.TrimRight(root.Raw, space)
		return document(root, before), true
	}
	at, where := malformed(text)
	if where == "" {
		return broken(at, "the JSON ends in the middle, at ", "look for a missing bracket or quote, or for a template that cut it off")
	}
	remedy := "write one JSON object and nothing after it"
	if c := text[at]; (c == ']' || c == '}') && strings.HasSuffix(strings.TrimRight(text[:at], space), ",") {
		remedy = "remove the comma before " + string(rune(c))
	}
	found, _ := utf8.DecodeRuneInString(text[at:])
	return broken(at, "invalid character "+strconv.QuoteRune(found)+" "+where+" at ", remedy)
}

// tooDeep is the offset of the first bracket beyond maxDepth levels, or -1. This check
// comes first, because checking JSON recurses.
func tooDeep(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return i
			}
		case '}', ']':
			depth--
		}
	}
	return -1
}

// isBinary reports whether data is not text but a protobuf message, as Envoy passes on a
// google.protobuf.Struct. Such a message starts with a line feed and has at least one other
// control character. Data that starts like an object is JSON with a mistake, and text in
// another encoding starts with a byte that is not ASCII.
func isBinary(text string) bool {
	if object, ok := strings.CutPrefix(strings.TrimLeft(text, space), "{"); ok {
		if object = strings.TrimLeft(object, space); object == "" || object[0] == '"' || object[0] == '}' {
			return false
		}
	}
	control := func(r rune) bool { return r < ' ' && !strings.ContainsRune(space, r) }
	return text[0] < utf8.RuneSelf && strings.ContainsFunc(text, control)
}

// space is what JSON may have between its tokens.
const space = " \t\r\n"

// position returns line and column, from 1, of the byte at offset.
func position(text string, offset int) string {
	before := text[:offset]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return "line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column)
}
