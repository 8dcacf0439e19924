package document

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// JSON writes a node as the JSON that kubectl and Envoy make of it. Keys stay in
// order and duplicates stay, so that the configuration's parser finds them. leave
// are keys of the node's own that are left out. Where the budget ends, so does the
// text, and the budget has the error.
func JSON(node *yaml.Node, budget *Budget, leave ...string) ([]byte, YAMLSource) {
	w := writer{Budget: budget, leave: leave}
	w.value(node, 0)
	return w.json, YAMLSource{w.marks}
}

// writer is a JSON text in the making.
type writer struct {
	*Budget
	json  []byte
	marks []mark
	leave []string // keys of the outermost mapping that are left out
}

func (w *writer) mark(node *yaml.Node) {
	w.marks = append(w.marks, mark{len(w.json), At(node)})
}

func (w *writer) value(node *yaml.Node, depth int) {
	w.mark(node)
	node = Resolve(node)
	if node == nil || !w.Spend(node, depth) {
		w.json = append(w.json, "null"...)
		return
	}
	switch node.Kind {
	case yaml.MappingNode:
		w.json = append(w.json, '{')
		first := true
		for _, m := range Members(node) {
			if depth == 0 && slices.Contains(w.leave, m.Key.Value) {
				continue
			}
			if !first {
				w.json = append(w.json, ',')
			}
			first = false
			w.mark(m.Key)
			w.json = append(appendString(w.json, m.Key.Value), ':')
			w.value(m.Value, depth+1)
		}
		w.json = append(w.json, '}')
	case yaml.SequenceNode:
		w.json = append(w.json, '[')
		for i, e := range node.Content {
			if i > 0 {
				w.json = append(w.json, ',')
			}
			w.value(e, depth+1)
		}
		w.json = append(w.json, ']')
	default:
		w.json = appendScalar(w.json, node)
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
