package document

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Member is one member of a mapping.
type Member struct{ Key, Value *yaml.Node }

// Members returns those of a mapping in their order, behind them those that merge
// keys ("<<", YAML 1.1) bring in and that the mapping does not have itself.
func Members(node *yaml.Node) (all []Member) {
	merged := false
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].ShortTag() == "!!merge" {
			merged = true
			continue
		}
		all = append(all, Member{node.Content[i], node.Content[i+1]})
	}
	if !merged {
		return all
	}
	have := map[string]bool{}
	for _, m := range all {
		have[m.Key.Value] = true
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].ShortTag() != "!!merge" {
			continue
		}
		from := Resolve(node.Content[i+1])
		sources := []*yaml.Node{from}
		if from != nil && from.Kind == yaml.SequenceNode {
			sources = from.Content
		}
		for _, s := range sources {
			if s = Resolve(s); s == nil || s.Kind != yaml.MappingNode || s == node {
				continue
			}
			for j := 0; j+1 < len(s.Content); j += 2 {
				if key := s.Content[j]; key.ShortTag() != "!!merge" && !have[key.Value] {
					have[key.Value] = true
					all = append(all, Member{key, s.Content[j+1]})
				}
			}
		}
	}
	return all
}

// Child returns the value of a mapping's key; of several the last.
func Child(node *yaml.Node, key string) (value *yaml.Node) {
	node = Resolve(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for _, m := range Members(node) {
		if m.Key.Value == key {
			value = Resolve(m.Value)
		}
	}
	return value
}

// Field returns the value at the end of a path of keys. Each may be written as
// protobuf's JSON has it, in camel case as well as in snake case.
func Field(node *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		next := Child(node, key)
		if next == nil {
			next = Child(node, Camel(key))
		}
		node = next
	}
	return node
}

// Camel is the lowerCamelCase of a name in snake_case.
func Camel(name string) string {
	parts := strings.Split(name, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

// Resolve goes from a document or an alias to what it stands for.
func Resolve(node *yaml.Node) *yaml.Node {
	for node != nil {
		switch {
		case node.Kind == yaml.DocumentNode && len(node.Content) > 0:
			node = node.Content[0]
		case node.Kind == yaml.AliasNode:
			node = node.Alias
		default:
			return node
		}
	}
	return nil
}

// Scalar returns the text of a scalar; "" for anything else.
func Scalar(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}
