package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/fieldpath"
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

	source   source
	resource *yaml.Node // the WasmPlugin that it stands in
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

// Find returns the configurations in a file. A WasmPlugin or a wasm filter of
// Envoy is this filter's where its configuration has one of our keys or of the
// dialects', or where plugins has its name. The error says what keeps the file
// from being read at all, with its line.
func Find(data []byte, plugins ...string) (found []Configuration, err error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("line 1: the file has %d bytes, and more than %d are not read", len(data), maxFile)
	}
	if line := tooDeep(data); line > 0 {
		return nil, fmt.Errorf("line %d: nested deeper than %d levels; look for a bracket too many", line, maxDepth)
	}
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
			return found, unreadable(document, data, err)
		}
		f := &finder{document: document, lines: strings.Split(string(data), "\n"), plugins: plugins}
		f.visit(resolve(&node))
		if f.err != nil {
			return found, f.err
		}
		found = append(found, f.found...)
	}
}

// unreadable says why a document is no YAML. Most that are none are templates.
func unreadable(document int, data []byte, err error) error {
	if bytes.Contains(data, []byte("{{")) {
		return fmt.Errorf("document %d is a template and not YAML yet: render it first, for example with helm template CHART | corsctl check - (%s)", document, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return fmt.Errorf("document %d is not YAML: %s", document, strings.TrimPrefix(err.Error(), "yaml: "))
}

// bareJSON reports whether a JSON text is a configuration of this filter: it has
// one of our keys at its top, or it is broken and mentions one.
func bareJSON(data []byte) bool {
	var node yaml.Node
	if yaml.Unmarshal(data, &node) != nil {
		return mentionsOurs(string(data)) && !mentionsTheirs(string(data))
	}
	root := resolve(&node)
	if root == nil || root.Kind != yaml.MappingNode {
		return false
	}
	for _, key := range theirKeys {
		if child(root, key) != nil && !config.KnownKey(key) {
			return false
		}
	}
	return looksLikeOurs(root)
}

// theirKeys are those of bootstraps and resources, which hold configurations.
var theirKeys = []string{"apiVersion", "kind", "static_resources", "staticResources", "@type", "resources"}

func mentionsTheirs(text string) bool {
	return strings.Contains(text, `"apiVersion"`) || strings.Contains(text, "static_resources") || strings.Contains(text, "staticResources")
}

// finder collects the configurations of one document.
type finder struct {
	budget
	document int
	lines    []string
	plugins  []string
	found    []Configuration
}

// visit looks into a document, or an item of a list, by what it is.
func (f *finder) visit(root *yaml.Node) {
	if root == nil || root.Kind != yaml.MappingNode || !f.spend(root, 0) {
		return
	}
	spec := child(root, "spec")
	named := f.named(scalar(child(child(root, "metadata"), "name")))
	switch kind := scalar(child(root, "kind")); {
	case kind == "WasmPlugin":
		before := len(f.found)
		f.add("spec.pluginConfig", child(spec, "pluginConfig"), named)
		f.add("spec.defaultConfig", child(spec, "defaultConfig"), named) // Higress
		for i := before; i < len(f.found); i++ {
			f.found[i].resource = root
		}
	case kind == "EnvoyExtensionPolicy":
		if list := child(spec, "wasm"); list != nil {
			for i, e := range list.Content {
				f.add(fmt.Sprintf("spec.wasm[%d].config", i), child(resolve(e), "config"), named || f.named(scalar(child(e, "name"))))
			}
		}
	case kind == "List":
		if list := child(root, "items"); list != nil {
			for _, e := range list.Content {
				f.visit(resolve(e))
			}
		}
	case kind != "" && child(root, "apiVersion") != nil:
		f.filters("", root, 0, named) // an EnvoyFilter, or whatever else holds a wasm filter
	case looksLikeOurs(root):
		f.add("", root, true)
	default:
		f.filters("", root, 0, named)
	}
}

// named reports whether the command line names a plugin.
func (f *finder) named(name string) bool { return name != "" && slices.Contains(f.plugins, name) }

// filters looks for wasm filters anywhere below a node.
func (f *finder) filters(path string, node *yaml.Node, depth int, sure bool) {
	node = resolve(node)
	if node == nil || !f.spend(node, depth) {
		return
	}
	switch node.Kind {
	case yaml.SequenceNode:
		for i, e := range node.Content {
			f.filters(fmt.Sprintf("%s[%d]", path, i), e, depth+1, sure)
		}
	case yaml.MappingNode:
		if configuration, place := wasmFilter(node); configuration != nil {
			f.payload(fieldpath.Key(path, place), configuration, sure)
			return
		}
		sure = sure || f.named(scalar(child(node, "name"))) && child(node, "typed_config") != nil
		for _, m := range members(node) {
			f.filters(fieldpath.Key(path, m.key.Value), m.value, depth+1, sure)
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
func (f *finder) payload(place string, node *yaml.Node, sure bool) {
	if value := child(node, "value"); value != nil && child(node, "@type") != nil {
		place, node = fieldpath.Key(place, "value"), value
	}
	f.add(place, node, sure)
}

// add takes a node as a configuration, unless it is somebody else's.
func (f *finder) add(place string, node *yaml.Node, sure bool) {
	node = resolve(node)
	if node == nil || f.err != nil {
		return
	}
	c := Configuration{Document: f.document, Place: place}
	if node.Kind == yaml.ScalarNode {
		c.JSON, c.source = []byte(node.Value), jsonSource{text: node.Value, at: position{node.Line, node.Column}, indent: f.indent(node)}
		var inner yaml.Node
		if tooDeep(c.JSON) == 0 && yaml.Unmarshal([]byte(node.Value), &inner) == nil {
			sure = sure || looksLikeOurs(resolve(&inner))
		} else {
			sure = sure || mentionsOurs(node.Value)
		}
	} else if sure = sure || looksLikeOurs(node); sure {
		made := converter{budget: &f.budget}
		made.value(node, 0)
		c.JSON, c.source = made.json, yamlSource{made.marks}
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

// common are keys of ours that other modules' configurations have as well: alone
// they tell nothing.
var common = []string{"@type", "debug", "mode", "rules", "max_age", "maxAge", "stat_prefix", "statPrefix"}

// looksLikeOurs reports whether a mapping has a key that only this filter's
// configuration has, or rules with policies in them, or a mode of ours alone.
func looksLikeOurs(node *yaml.Node) bool {
	if node == nil || node.Kind != yaml.MappingNode {
		return false
	}
	all := members(node)
	for _, m := range all {
		if config.KnownKey(m.key.Value) && !slices.Contains(common, m.key.Value) {
			return true
		}
	}
	if rules := child(node, "rules"); rules != nil && rules.Kind == yaml.SequenceNode {
		for _, rule := range rules.Content {
			if policy := child(rule, "policy"); policy != nil && (looksLikeOurs(policy) || ourMode(policy)) {
				return true
			}
		}
	}
	return ourMode(node) && !slices.ContainsFunc(all, func(m pair) bool { return !config.KnownKey(m.key.Value) })
}

func ourMode(node *yaml.Node) bool {
	switch mode := child(node, "mode"); scalar(mode) {
	case "enforce", "shadow", "off":
		return true
	}
	return false
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
	for _, m := range members(node) {
		if m.key.Value == key {
			value = resolve(m.value)
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
