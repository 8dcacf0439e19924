package lint

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/document"
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

	source   document.Source
	resource *yaml.Node // the WasmPlugin or TrafficExtension that it stands in
	message  *yaml.Node // the message that Envoy gets it in
	around   *yaml.Node // the connection manager whose filter it is, or else the document
	managed  bool       // it is a connection manager
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

// Find returns the configurations in a file. A WasmPlugin, a TrafficExtension or a wasm filter of
// Envoy is this filter's where its configuration has one of our keys or of the
// dialects', or where plugins has its name. The error says what keeps the file
// from being read at all, with its line.
func Find(data []byte, plugins ...string) ([]Configuration, error) {
	all, err := read(data, plugins)
	return all.found, err
}

// contents are what is of interest in a file.
type contents struct {
	found []Configuration
	// routes are Envoy's route configurations, and services Istio's VirtualServices.
	routes, services []part
}

// part is a part of a file.
type part struct {
	document int
	node     *yaml.Node
}

func read(data []byte, plugins []string) (all contents, err error) {
	if err := document.Bounded(data); err != nil {
		return all, err
	}
	// A bare configuration in JSON goes to the parser byte for byte: it is
	// stricter than any YAML parser, and says better what is wrong.
	if text := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n"); bytes.HasPrefix(text, []byte("{")) && bareJSON(data) {
		all.found = []Configuration{{Document: 1, JSON: data, source: document.TextSource{Text: string(data), At: document.Position{Line: 1, Column: 1}}}}
		return all, nil
	}
	lines := strings.Split(string(data), "\n")
	err = document.Read(data, func(number int, root *yaml.Node) error {
		f := &finder{document: number, lines: lines, plugins: plugins}
		f.visit(root)
		if f.Err == nil {
			all.found = append(all.found, f.found...)
			all.routes = append(all.routes, f.routes...)
			all.services = append(all.services, f.services...)
		}
		return f.Err
	})
	return all, err
}

// bareJSON reports whether a JSON text is a configuration of this filter: it has
// one of our keys at its top, or it is broken and mentions one.
func bareJSON(data []byte) bool {
	var node yaml.Node
	if yaml.Unmarshal(data, &node) != nil {
		return mentionsOurs(string(data)) && !mentionsTheirs(string(data))
	}
	root := document.Resolve(&node)
	if root == nil || root.Kind != yaml.MappingNode {
		return false
	}
	for _, key := range theirKeys {
		if document.Child(root, key) != nil && !config.KnownKey(key) {
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
	document.Budget
	document int
	lines    []string
	plugins  []string
	manager  *yaml.Node // the connection manager that is being looked into
	root     *yaml.Node
	contents
}

// visit looks into a document, or an item of a list, by what it is.
func (f *finder) visit(root *yaml.Node) {
	if root == nil || root.Kind != yaml.MappingNode || !f.Spend(root, 0) {
		return
	}
	f.root = root
	spec := document.Child(root, "spec")
	named := f.named(document.Scalar(document.Child(document.Child(root, "metadata"), "name")))
	switch kind := document.Scalar(document.Child(root, "kind")); {
	case kind == "WasmPlugin":
		before := len(f.found)
		f.add("spec.pluginConfig", document.Child(spec, "pluginConfig"), named)
		f.add("spec.defaultConfig", document.Child(spec, "defaultConfig"), named) // Higress
		for i := before; i < len(f.found); i++ {
			f.found[i].resource = root
		}
	case kind == "TrafficExtension": // what Istio has after WasmPlugin
		before := len(f.found)
		f.add("spec.wasm.pluginConfig", document.Field(spec, "wasm", "plugin_config"), named)
		for i := before; i < len(f.found); i++ {
			f.found[i].resource = root
		}
	case kind == "EnvoyExtensionPolicy":
		if list := document.Child(spec, "wasm"); list != nil {
			for i, e := range list.Content {
				f.add(fmt.Sprintf("spec.wasm[%d].config", i), document.Child(document.Resolve(e), "config"), named || f.named(document.Scalar(document.Child(e, "name"))))
			}
		}
	case kind == "List":
		if list := document.Child(root, "items"); list != nil {
			for _, e := range list.Content {
				f.visit(document.Resolve(e))
			}
		}
	case kind == "VirtualService":
		f.services = append(f.services, part{f.document, root})
	case kind != "" && document.Child(root, "apiVersion") != nil:
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
	node = document.Resolve(node)
	if node == nil || !f.Spend(node, depth) {
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
		if document.Field(node, "virtual_hosts") != nil {
			f.routes = append(f.routes, part{f.document, node})
		}
		if document.Field(node, "http_filters") != nil {
			defer func(outer *yaml.Node) { f.manager = outer }(f.manager)
			f.manager = node
		}
		sure = sure || f.named(document.Scalar(document.Child(node, "name"))) && document.Child(node, "typed_config") != nil
		for _, m := range document.Members(node) {
			f.filters(fieldpath.Key(path, m.Key.Value), m.Value, depth+1, sure)
		}
	}
}

// wasmType is the message of the wasm filter.
const wasmType = "envoy.extensions.filters.http.wasm.v3.Wasm"

// wasmFilter returns the plugin's configuration where the node is a typed_config
// of the wasm filter, in either of the forms that go around.
func wasmFilter(node *yaml.Node) (configuration *yaml.Node, place string) {
	named := func(key string) bool { return strings.HasSuffix(document.Scalar(document.Child(node, key)), wasmType) }
	switch {
	case named("@type"):
		return document.Child(document.Child(node, "config"), "configuration"), "config.configuration"
	case named("type_url"), named("typeUrl"):
		return document.Child(document.Child(document.Child(node, "value"), "config"), "configuration"), "value.config.configuration"
	}
	return nil, ""
}

// payload looks into the message that holds a configuration: a StringValue with JSON
// in it, or one that Envoy does not hand over as JSON.
func (f *finder) payload(place string, node *yaml.Node, sure bool) {
	message := node
	if value := document.Child(node, "value"); value != nil && document.Child(node, "@type") != nil {
		place, node = fieldpath.Key(place, "value"), value
		if text, err := base64.StdEncoding.DecodeString(document.Scalar(value)); err == nil && messageName(message) == "google.protobuf.BytesValue" {
			decoded := *value
			decoded.Value, decoded.Style = string(text), yaml.DoubleQuotedStyle
			node = &decoded
		}
	}
	before := len(f.found)
	f.add(place, node, sure)
	for i := before; i < len(f.found); i++ {
		f.found[i].message, f.found[i].around = message, f.root
		if f.manager != nil {
			f.found[i].around, f.found[i].managed = f.manager, true
		}
	}
}

// messageName is the name of the message that an Any holds; "" where it says none.
func messageName(message *yaml.Node) string {
	_, name, _ := strings.Cut(document.Scalar(document.Child(message, "@type")), "/")
	return name
}

// add takes a node as a configuration, unless it is somebody else's.
func (f *finder) add(place string, node *yaml.Node, sure bool) {
	node = document.Resolve(node)
	if node == nil || f.Err != nil {
		return
	}
	c := Configuration{Document: f.document, Place: place}
	if node.Kind == yaml.ScalarNode {
		c.JSON, c.source = []byte(node.Value), document.TextSource{Text: node.Value, At: document.At(node), Indent: f.indent(node)}
		var inner yaml.Node
		if document.Bounded(c.JSON) == nil && yaml.Unmarshal([]byte(node.Value), &inner) == nil {
			sure = sure || looksLikeOurs(document.Resolve(&inner))
		} else {
			sure = sure || mentionsOurs(node.Value)
		}
	} else if sure = sure || looksLikeOurs(node); sure {
		c.JSON, c.source = document.JSON(node, &f.Budget)
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
	all := document.Members(node)
	for _, m := range all {
		if config.KnownKey(m.Key.Value) && !slices.Contains(common, m.Key.Value) {
			return true
		}
	}
	if rules := document.Child(node, "rules"); rules != nil && rules.Kind == yaml.SequenceNode {
		for _, rule := range rules.Content {
			if policy := document.Child(rule, "policy"); policy != nil && (looksLikeOurs(policy) || ourMode(policy)) {
				return true
			}
		}
	}
	// A key that is misspelled must not make a policy somebody else's file.
	if len(all) > 0 && !slices.ContainsFunc(all, func(m document.Member) bool { return !config.KnownKey(m.Key.Value) && !config.NearKey(m.Key.Value) }) &&
		slices.ContainsFunc(all, func(m document.Member) bool { return config.NearKey(m.Key.Value) }) {
		return true
	}
	return ourMode(node) && !slices.ContainsFunc(all, func(m document.Member) bool { return !config.KnownKey(m.Key.Value) })
}

func ourMode(node *yaml.Node) bool {
	switch mode := document.Child(node, "mode"); document.Scalar(mode) {
	case "enforce", "shadow", "off":
		return true
	}
	return false
}

// mentionsOurs is looksLikeOurs for text that cannot be read.
func mentionsOurs(text string) bool {
	return strings.Contains(text, "allow_origin") || strings.Contains(text, "allowOrigin")
}
