// Package document reads YAML and JSON files: several documents in one, aliases and
// merge keys, each value with its line, and within bounds whatever the file contains.
// It knows nothing of the filter. It imports YAML.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read. A file over them is refused by the bound's name: a few
// lines of aliases can stand for billions of values, and a long row of brackets
// for a tree that no parser survives.
const (
	MaxFile  = 8 << 20   // bytes of a file
	maxDepth = 1000      // levels of nesting
	maxNodes = 1_000_000 // values of a document, aliases written out
)

// Budget counts what is left of the bounds while a document is walked.
type Budget struct {
	nodes int
	// Err names the bound that was crossed.
	Err error
}

// Spend takes one node at a depth; it reports false where a bound is crossed.
func (b *Budget) Spend(node *yaml.Node, depth int) bool {
	if b.Err != nil {
		return false
	}
	if b.nodes++; b.nodes > maxNodes {
		b.Err = fmt.Errorf("line %d: with its aliases written out the document holds more than %d values; write out what is meant", node.Line, maxNodes)
	} else if depth > maxDepth {
		b.Err = fmt.Errorf("line %d: nested deeper than %d levels, or in itself; no configuration needs that", node.Line, maxDepth)
	}
	return b.Err == nil
}

// Read calls visit for each document of a file, which counts them from 1, until it
// returns an error. The error says what keeps the file from being read, with its
// line.
func Read(data []byte, visit func(number int, root *yaml.Node) error) error {
	if err := Bounded(data); err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for number := 1; ; number++ {
		var node yaml.Node
		switch err := decoder.Decode(&node); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return unreadable(number, data, err)
		}
		if err := visit(number, Resolve(&node)); err != nil {
			return err
		}
	}
}

// Bounded says why a text is not to be given to a parser.
func Bounded(data []byte) error {
	if len(data) > MaxFile {
		return fmt.Errorf("line 1: the file has %d bytes, and more than %d are not read", len(data), MaxFile)
	}
	if line := tooDeep(data); line > 0 {
		return fmt.Errorf("line %d: nested deeper than %d levels; look for an extra bracket", line, maxDepth)
	}
	return nil
}

// unreadable says why a document is no YAML. Most that are none are templates.
func unreadable(document int, data []byte, err error) error {
	if bytes.Contains(data, []byte("{{")) {
		return fmt.Errorf("document %d is a template and not YAML yet: render it first, for example with helm template CHART | corsctl check - (%s)", document, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return fmt.Errorf("document %d is not YAML: %s", document, strings.TrimPrefix(err.Error(), "yaml: "))
}

// tooDeep returns the line of the bracket that opens one level too many, or 0.
// It runs before any parser, which would recurse.
func tooDeep(data []byte) (line int) {
	line, depth, quote := 1, 0, byte(0)
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '\n':
			line++
			quote = 0 // a quote of prose; a string over several lines only hides brackets
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"':
			quote = c
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return line
			}
		case (c == ']' || c == '}') && depth > 0:
			depth--
		}
	}
	return 0
}
