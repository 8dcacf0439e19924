package document

import (
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Position is a place in a file; lines and columns count from 1.
type Position struct {
	Line, Column int
}

// At is where a node stands.
func At(node *yaml.Node) Position { return Position{node.Line, node.Column} }

// Source leads from a byte of a configuration's JSON back to the file.
type Source interface {
	Locate(offset int) Position
}

// YAMLSource is a configuration written as YAML. Its JSON was made by JSON,
// which noted where each key and value comes from.
type YAMLSource struct{ marks []mark }

// mark says where the JSON at an offset comes from.
type mark struct {
	offset int
	at     Position
}

// Locate is the place of the key or value at an offset.
func (s YAMLSource) Locate(offset int) Position {
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].offset > offset })
	if i == 0 {
		return Position{1, 1}
	}
	return s.marks[i-1].at
}

// TextSource is a configuration written as JSON text: a file, or a scalar of a
// YAML document.
type TextSource struct {
	Text   string
	At     Position // where the text, or the scalar that holds it, begins
	Indent int      // of a literal block's lines; -1: the scalar is no such block
}

// Locate is the place of the byte at an offset.
func (s TextSource) Locate(offset int) Position {
	before := s.Text[:min(max(offset, 0), len(s.Text))]
	line := strings.Count(before, "\n")
	text := strings.TrimPrefix(before[strings.LastIndexByte(before, '\n')+1:], "\ufeff")
	column := utf8.RuneCountInString(text)
	switch {
	case s.Indent > 0: // the text begins in the line below the scalar's mark
		return Position{s.At.Line + 1 + line, column + s.Indent + 1}
	case s.Indent < 0: // quoted or plain: where exactly depends on escapes
		return s.At
	}
	return Position{s.At.Line + line, column + 1}
}
