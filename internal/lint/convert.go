package lint

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds what aliases can blow a document up to.
const maxNodes = 1_000_000

// toJSON writes a node as the JSON that kubectl and Envoy make of it. Keys stay
// in order and duplicates stay, so that the configuration's parser finds them.
func toJSON(node *yaml.Node) []byte {
	left := maxNodes
	return appendJSON(nil, node, &left)
}

func appendJSON(dst []byte, node *yaml.Node, left *int) []byte {
	node = resolve(node)
	if *left--; node == nil || *left < 0 {
		return append(dst, "null"...)
	}
	switch node.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(node.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, node.Content[i].Value), ':')
			dst = appendJSON(dst, node.Content[i+1], left)
		}
		return append(dst, '}')
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, e := range node.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e, left)
		}
		return append(dst, ']')
	}
	return appendScalar(dst, node)
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
