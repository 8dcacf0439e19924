package lint

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read. A file over them is refused by the bound's name: a few
// lines of aliases can stand for billions of values, and a long row of brackets
// for a tree that no parser survives.
const (
	maxFile  = 8 << 20   // bytes of a file
	maxDepth = 1000      // levels of nesting
	maxNodes = 1_000_000 // values of a document, aliases written out
)

// budget counts what is left of the bounds while a document is walked.
type budget struct {
	nodes int
	err   error
}

// spend takes one node at a depth; it reports false where a bound is crossed.
func (b *budget) spend(node *yaml.Node, depth int) bool {
	if b.err != nil {
		return false
	}
	if b.nodes++; b.nodes > maxNodes {
		b.err = fmt.Errorf("line %d: with its aliases written out the document holds more than %d values; write out what is meant", node.Line, maxNodes)
	} else if depth > maxDepth {
		b.err = fmt.Errorf("line %d: nested deeper than %d levels, or in itself; no configuration needs that", node.Line, maxDepth)
	}
	return b.err == nil
}

// pair is one member of a mapping.
type pair struct{ key, value *yaml.Node }

// members returns those of a mapping in their order, behind them those that merge
// keys ("<<", YAML 1.1) bring in and that the mapping does not have itself.
func members(node *yaml.Node) (all []pair) {
	merged := false
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].ShortTag() == "!!merge" {
			merged = true
			continue
		}
		all = append(all, pair{node.Content[i], node.Content[i+1]})
	}
	if !merged {
		return all
	}
	have := map[string]bool{}
	for _, m := range all {
		have[m.key.Value] = true
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].ShortTag() != "!!merge" {
			continue
		}
		from := resolve(node.Content[i+1])
		sources := []*yaml.Node{from}
		if from != nil && from.Kind == yaml.SequenceNode {
			sources = from.Content
		}
		for _, s := range sources {
			if s = resolve(s); s == nil || s.Kind != yaml.MappingNode || s == node {
				continue
			}
			for j := 0; j+1 < len(s.Content); j += 2 {
				if key := s.Content[j]; key.ShortTag() != "!!merge" && !have[key.Value] {
					have[key.Value] = true
					all = append(all, pair{key, s.Content[j+1]})
				}
			}
		}
	}
	return all
}

// converter writes a node as the JSON that kubectl and Envoy make of it. Keys
// stay in order and duplicates stay, so that the configuration's parser finds
// them.
type converter struct {
	*budget
	json  []byte
	marks []mark
	leave []string // keys of the outermost mapping that are left out
}

func (c *converter) mark(node *yaml.Node) {
	c.marks = append(c.marks, mark{len(c.json), position{node.Line, node.Column}})
}

func (c *converter) value(node *yaml.Node, depth int) {
	c.mark(node)
	node = resolve(node)
	if node == nil || !c.spend(node, depth) {
		c.json = append(c.json, "null"...)
		return
	}
	switch node.Kind {
	case yaml.MappingNode:
		c.json = append(c.json, '{')
		first := true
		for _, m := range members(node) {
			if depth == 0 && slices.Contains(c.leave, m.key.Value) {
				continue
			}
			if !first {
				c.json = append(c.json, ',')
			}
			first = false
			c.mark(m.key)
			c.json = append(appendString(c.json, m.key.Value), ':')
			c.value(m.value, depth+1)
		}
		c.json = append(c.json, '}')
	case yaml.SequenceNode:
		c.json = append(c.json, '[')
		for i, e := range node.Content {
			if i > 0 {
				c.json = append(c.json, ',')
			}
			c.value(e, depth+1)
		}
		c.json = append(c.json, ']')
	default:
		c.json = appendScalar(c.json, node)
	}
}

// appendScalar writes a scalar by YAML 1.1, which kubectl reads: there yes and on
// are booleans, and 0600 is octal.
func appendScalar(dst []byte, node *yaml.Node) []byte {
	plain := node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch node.ShortTag() {
	case "!!null":
		return append(dst, "null"...)
	case "!!bool":
		return strconv.AppendBool(dst, strings.EqualFold(node.Value, "true"))
	case "!!int":
		if n, err := strconv.ParseInt(strings.ReplaceAll(node.Value, "_", ""), 0, 64); err == nil {
			return strconv.AppendInt(dst, n, 10)
		}
	case "!!float":
		if f, err := strconv.ParseFloat(node.Value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	case "!!str":
		if plain {
			switch strings.ToLower(node.Value) {
			case "yes", "on":
				return append(dst, "true"...)
			case "no", "off":
				return append(dst, "false"...)
			}
		}
	}
	return appendString(dst, node.Value)
}

func appendString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // no string is refused
		panic(err)
	}
	return append(dst, quoted...)
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
