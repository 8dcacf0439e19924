package convert

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// Formats are what Format writes.
var Formats = []string{"json", "yaml", "wasmplugin", "envoy", "envoy-gateway"}

// manifests are those of the repository with a mark in place of the configuration;
// the tests compare them.
//
//go:embed manifests
var manifests embed.FS

// mark is the placeholder of the configuration.
const mark = "CONFIGURATION"

// Format writes the configuration alone, as JSON or YAML, or in a manifest that loads
// it. YAML has a comment at each rule for what was left out; JSON has no comments, so
// the rule's name says it.
func (r *Result) Format(format string) ([]byte, error) {
	switch format {
	case "json":
		return r.text(true), nil
	case "yaml":
		return encode(r.node())
	}
	template, err := manifests.ReadFile("manifests/" + format + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("%q is no format; write one of %s", format, strings.Join(Formats, ", "))
	}
	configuration := r.node()
	if format == "envoy" { // a protobuf StringValue
		configuration = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: string(r.text(true))}
	}
	var whole bytes.Buffer
	err = document.Read(template, func(number int, root *yaml.Node) error {
		put(root, configuration)
		if !r.asksForPaths() {
			drop(root, escapedSlashes)
		}
		text, err := encode(root)
		if number > 1 {
			whole.WriteString("---\n")
		}
		whole.Write(text)
		return err
	})
	return whole.Bytes(), err
}

// put replaces the mark below a node.
func put(node, configuration *yaml.Node) {
	for i, n := range node.Content {
		if n.Kind == yaml.ScalarNode && n.Value == mark {
			node.Content[i] = configuration
			continue
		}
		put(n, configuration)
	}
}

// escapedSlashes is the setting of the connection manager that a rule by path needs,
// and that changes what upstream gets.
const escapedSlashes = "path_with_escaped_slashes_action"

func (r *Result) asksForPaths() bool {
	return slices.ContainsFunc(r.Rules, func(rule Rule) bool { return len(rule.made.paths) > 0 })
}

// drop takes the members of a name out of all objects below a node, with the
// comments in front of them.
func drop(node *yaml.Node, name string) {
	for i := 0; i < len(node.Content); i++ {
		if node.Kind == yaml.MappingNode && i%2 == 0 && node.Content[i].Value == name {
			node.Content = slices.Delete(node.Content, i, i+2)
			i--
			continue
		}
		drop(node.Content[i], name)
	}
}

func encode(node *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// node is the configuration as YAML.
func (r *Result) node() *yaml.Node {
	root := nodeOf(gjson.ParseBytes(r.JSON), true)
	for i, rule := range root.Content[1].Content {
		var comments []string
		for _, c := range r.Rules[i].Comments {
			comments = append(comments, "# "+Printable(c.String()))
		}
		rule.HeadComment = strings.Join(comments, "\n")
	}
	return root
}

// nodeOf writes JSON in the order of its members; lists stand in one line, but that of
// the rules.
func nodeOf(v gjson.Result, block bool) *yaml.Node {
	node := &yaml.Node{}
	switch {
	case v.IsObject():
		node.Kind = yaml.MappingNode
	case v.IsArray():
		node.Kind = yaml.SequenceNode
		block = v.Get("0.policy").Exists()
	case v.Type == gjson.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.Raw}
	default:
		if err := node.Encode(v.Value()); err != nil { // nothing here is refused
			panic(err)
		}
		return node
	}
	if !block {
		node.Style = yaml.FlowStyle
	}
	v.ForEach(func(key, value gjson.Result) bool {
		if v.IsObject() {
			node.Content = append(node.Content, nodeOf(key, block))
		}
		node.Content = append(node.Content, nodeOf(value, block))
		return true
	})
	return node
}
