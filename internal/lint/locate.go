package lint

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// next cuts the first step off a path: a key of the given ones, or an index. Keys
// may hold dots and brackets, so that the longest key that fits is taken.
func next(path string, keys func(yield func(string) bool)) (key, rest string, ok bool) {
	keys(func(k string) bool {
		after, found := strings.CutPrefix(path, k)
		if found && (!ok || len(k) > len(key)) && (after == "" || after[0] == '.' || after[0] == '[') {
			key, rest, ok = k, strings.TrimPrefix(after, "."), true
		}
		return true
	})
	return key, rest, ok
}

func index(path string) (i int, rest string, ok bool) {
	inside, found := strings.CutPrefix(path, "[")
	number, rest, closed := strings.Cut(inside, "]")
	i, err := strconv.Atoi(number)
	return i, strings.TrimPrefix(rest, "."), found && closed && err == nil
}

// yamlSource is a configuration written as YAML.
type yamlSource struct{ node *yaml.Node }

// locate returns where the value at a path stands, or what of the path is there.
// Of a key that stands several times it is the first, or the last.
func (s yamlSource) locate(path string, last bool) position {
	node := s.node
	at := position{node.Line, node.Column}
	for path != "" {
		node = resolve(node)
		switch node.Kind {
		case yaml.MappingNode:
			key, rest, ok := next(path, func(yield func(string) bool) {
				for i := 0; i < len(node.Content); i += 2 {
					yield(node.Content[i].Value)
				}
			})
			if !ok {
				return at
			}
			node, at = member(node, key, last && rest == "")
			path = rest
		case yaml.SequenceNode:
			i, rest, ok := index(path)
			if !ok || i >= len(node.Content) {
				return at
			}
			node, path = node.Content[i], rest
			at = position{node.Line, node.Column}
		default:
			return at
		}
	}
	return at
}

// member returns a value of a mapping, and where its key stands.
func member(node *yaml.Node, key string, last bool) (value *yaml.Node, at position) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if k := node.Content[i]; k.Value == key {
			value, at = node.Content[i+1], position{k.Line, k.Column}
			if !last {
				break
			}
		}
	}
	return value, at
}

// jsonSource is a configuration written as JSON text: a file, or a scalar of a
// YAML document.
type jsonSource struct {
	text   string
	at     position // where the text, or the scalar that holds it, begins
	indent int      // of a literal block's lines; -1: the scalar is no such block
}

func (s jsonSource) locate(path string, last bool) position {
	return s.position(offset(s.text, path, last))
}

// position turns an offset into the text into a place in the file.
func (s jsonSource) position(offset int) position {
	before := s.text[:min(offset, len(s.text))]
	line := strings.Count(before, "\n")
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	switch {
	case s.indent > 0: // the text begins in the line below the scalar's mark
		return position{s.at.line + 1 + line, column + s.indent + 1}
	case s.indent < 0: // quoted or plain: where exactly depends on escapes
		return s.at
	}
	return position{s.at.line + line, column + 1}
}

// offset returns where in a JSON text the value at a path begins, or the last
// part of the path that is there.
func offset(text, path string, last bool) int {
	decoder := json.NewDecoder(strings.NewReader(text))
	best, bestLen := firstOf(text, 0), -1
	// visit reads one value whose path is known and notes the best match.
	var visit func(here string) bool
	visit = func(here string) bool {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		delim, ok := token.(json.Delim)
		if !ok {
			return true
		}
		for i := 0; decoder.More(); i++ {
			start := firstOf(text, int(decoder.InputOffset()))
			inner := here + "[" + strconv.Itoa(i) + "]"
			if delim == '{' {
				key, err := decoder.Token()
				if err != nil {
					return false
				}
				inner = join(here, key.(string))
			}
			covers := inner == path || strings.HasPrefix(path, inner) && strings.ContainsAny(path[len(inner):len(inner)+1], ".[")
			if covers && (len(inner) > bestLen || last && inner == path) {
				best, bestLen = start, len(inner)
			}
			if !visit(inner) {
				return false
			}
		}
		_, err = decoder.Token()
		return err == nil
	}
	visit("")
	return best
}

// firstOf skips what stands between values.
func firstOf(text string, i int) int {
	for i < len(text) && strings.IndexByte(" \t\r\n,:", text[i]) >= 0 {
		i++
	}
	return i
}
