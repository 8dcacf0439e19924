package lint

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// position is a place in a file; lines and columns count from 1.
type position struct {
	line, column int
}

// source leads from a byte of a configuration's JSON back to the file.
type source interface {
	locate(offset int) position
}

// yamlSource is a configuration written as YAML. Its JSON was made by toJSON,
// which noted where each key and value comes from.
type yamlSource struct{ marks []mark }

// mark says where the JSON at an offset comes from.
type mark struct {
	offset int
	at     position
}

func (s yamlSource) locate(offset int) position {
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].offset > offset })
	if i == 0 {
		return position{1, 1}
	}
	return s.marks[i-1].at
}

// jsonSource is a configuration written as JSON text: a file, or a scalar of a
// YAML document.
type jsonSource struct {
	text   string
	at     position // where the text, or the scalar that holds it, begins
	indent int      // of a literal block's lines; -1: the scalar is no such block
}

func (s jsonSource) locate(offset int) position {
	before := s.text[:min(max(offset, 0), len(s.text))]
	line := strings.Count(before, "\n")
	text := strings.TrimPrefix(before[strings.LastIndexByte(before, '\n')+1:], "\ufeff")
	column := utf8.RuneCountInString(text)
	switch {
	case s.indent > 0: // the text begins in the line below the scalar's mark
		return position{s.at.line + 1 + line, column + s.indent + 1}
	case s.indent < 0: // quoted or plain: where exactly depends on escapes
		return s.at
	}
	return position{s.at.line + line, column + 1}
}
