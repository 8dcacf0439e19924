// Package lint finds configurations of the filter in the files that people have
// (a bare configuration, an envoy.yaml, Kubernetes resources), and says for each
// mistake in which line it stands. It knows what the module does not, such as the
// public suffix list. It imports config and internal/origin, and YAML.
package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
)

// Configuration is a plugin configuration found in a file.
type Configuration struct {
	// Document is the number of the YAML document, from 1.
	Document int
	// Place is where it stands in the document, such as spec.pluginConfig; "" for
	// a bare configuration.
	Place string
	// JSON is what the proxy hands to the module.
	JSON []byte

	source source
}

// source leads from a path in a configuration back to the file.
type source interface {
	locate(path string, last bool) position
}

// position is a place in a file; lines and columns count from 1.
type position struct {
	line, column int
}

// Find returns the configurations in a file. The error says what keeps the file
// from being read at all, with its line.
func Find(data []byte) (found []Configuration, err error) {
	// A bare configuration in JSON goes to the parser byte for byte: it is
	// stricter than any YAML parser, and says better what is wrong.
	if text := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n"); bytes.HasPrefix(text, []byte("{")) && bareJSON(data) {
		return []Configuration{{Document: 1, JSON: data, source: jsonSource{text: string(data), at: position{1, 1}}}}, nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for document := 1; ; document++ {
		var node yaml.Node
		switch err := decoder.Decode(&node); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return found, fmt.Errorf("document %d is not YAML: %s", document, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		f := &finder{document: document, lines: strings.Split(string(data), "\n")}
		f.resource(resolve(&node))
		found = append(found, f.found...)
	}
}

// bareJSON reports whether a JSON text is a configuration and not a bootstrap or
// a resource: it begins with a key of ours, or has no key of theirs.
func bareJSON(data []byte) bool {
	var node yaml.Node
	if yaml.Unmarshal(data, &node) != nil {
		return true // broken; the configuration's parser says where
	}
	root := resolve(&node)
	if root.Kind != yaml.MappingNode {
		return true
	}
	for _, key := range []string{"apiVersion", "kind", "static_resources", "staticResources", "@type", "resources"} {
		if child(root, key) != nil && !config.KnownKey(key) {
			return false
		}
	}
	return true
}

// finder collects the configurations of one document.
type finder struct {
	document int
	lines    []string
	found    []Configuration
}

// resource looks into a document by what it is.
func (f *finder) resource(root *yaml.Node) {
	if root == nil || root.Kind != yaml.MappingNode {
		return
	}
	spec := child(root, "spec")
	switch kind := scalar(child(root, "kind")); {
	case kind == "WasmPlugin":
		f.add("spec.pluginConfig", child(spec, "pluginConfig"), true)
		f.add("spec.defaultConfig", child(spec, "defaultConfig"), false) // Higress
	case kind == "EnvoyExtensionPolicy":
		if list := child(spec, "wasm"); list != nil {
			for i, e := range list.Content {
				f.add(fmt.Sprintf("spec.wasm[%d].config", i), child(resolve(e), "config"), false)
			}
		}
	case kind == "List":
		if list := child(root, "items"); list != nil {
			for _, e := range list.Content {
				f.resource(resolve(e))
			}
		}
	case kind != "" && child(root, "apiVersion") != nil:
		f.filters("", root) // an EnvoyFilter, or whatever else holds a wasm filter
	case looksLikeOurs(root):
		f.add("", root, true)
	default:
		f.filters("", root)
	}
}

// filters looks for wasm filters anywhere below a node.
func (f *finder) filters(path string, node *yaml.Node) {
	node = resolve(node)
	switch {
	case node == nil:
	case node.Kind == yaml.SequenceNode:
		for i, e := range node.Content {
			f.filters(fmt.Sprintf("%s[%d]", path, i), e)
		}
	case node.Kind == yaml.MappingNode:
		if configuration, place := wasmFilter(node); configuration != nil {
			f.payload(join(path, place), configuration)
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			f.filters(join(path, node.Content[i].Value), node.Content[i+1])
		}
	}
}

// wasmType is the message of the wasm filter.
const wasmType = "envoy.extensions.filters.http.wasm.v3.Wasm"

// wasmFilter returns the plugin's configuration where the node is a typed_config
// of the wasm filter, in either of the forms that go around.
func wasmFilter(node *yaml.Node) (configuration *yaml.Node, place string) {
	named := func(key string) bool { return strings.HasSuffix(scalar(child(node, key)), wasmType) }
	switch {
	case named("@type"):
		return child(child(node, "config"), "configuration"), "config.configuration"
	case named("type_url"), named("typeUrl"):
		return child(child(child(node, "value"), "config"), "configuration"), "value.config.configuration"
	}
	return nil, ""
}

// payload looks into the Any that holds a configuration: a StringValue with JSON
// in it, or a Struct.
func (f *finder) payload(place string, node *yaml.Node) {
	if value := child(node, "value"); value != nil && child(node, "@type") != nil {
		place, node = join(place, "value"), value
	}
	f.add(place, node, false)
}

// add takes a node as a configuration, unless it is somebody else's.
func (f *finder) add(place string, node *yaml.Node, sure bool) {
	node = resolve(node)
	if node == nil {
		return
	}
	c := Configuration{Document: f.document, Place: place}
	if node.Kind == yaml.ScalarNode {
		text := jsonSource{text: node.Value, at: position{node.Line, node.Column}, indent: f.indent(node)}
		c.JSON, c.source = []byte(node.Value), text
		var inner yaml.Node
		if yaml.Unmarshal([]byte(node.Value), &inner) == nil {
			sure = sure || looksLikeOurs(resolve(&inner))
		} else {
			sure = sure || mentionsOurs(node.Value)
		}
	} else {
		c.JSON, c.source = toJSON(node), yamlSource{node}
		sure = sure || looksLikeOurs(node)
	}
	if sure {
		f.found = append(f.found, c)
	}
}

// indent returns how far a literal block is indented, or -1 for other scalars,
// whose lines are not those of the file.
func (f *finder) indent(node *yaml.Node) int {
	if node.Style&yaml.LiteralStyle == 0 {
		return -1
	}
	for _, line := range f.lines[min(node.Line, len(f.lines)):] {
		if trimmed := strings.TrimLeft(line, " "); strings.TrimSpace(trimmed) != "" {
			return len(line) - len(trimmed)
		}
	}
	return 0
}

// looksLikeOurs reports whether a mapping has a key that only this filter's
// configuration has, or no other keys than such a configuration may have.
func looksLikeOurs(node *yaml.Node) bool {
	if node == nil || node.Kind != yaml.MappingNode {
		return false
	}
	known := 0
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if !config.KnownKey(key) {
			continue
		}
		known++
		if key != "@type" && key != "debug" && key != "mode" && key != "rules" {
			return true
		}
	}
	return known > 0 && known == len(node.Content)/2
}

// mentionsOurs is looksLikeOurs for text that can not be read.
func mentionsOurs(text string) bool {
	return strings.Contains(text, "allow_origin") || strings.Contains(text, "allowOrigin")
}

// child returns the value of a mapping's key; of several the last.
func child(node *yaml.Node, key string) (value *yaml.Node) {
	node = resolve(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			value = resolve(node.Content[i+1])
		}
	}
	return value
}

// resolve goes from a document or an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
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

func scalar(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Name is what the configuration is called on a command line: where it stands,
// with the document's number in front where it is not the first.
func (c Configuration) Name() string {
	name := c.Place
	if name == "" {
		name = "."
	}
	if c.Document > 1 {
		name = fmt.Sprintf("%d:%s", c.Document, name)
	}
	return name
}
