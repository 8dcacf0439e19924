package convert

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// object is a document, or an item of a Kubernetes List.
type object struct {
	file     string
	document int
	root     *yaml.Node
	// kind and group are those of a Kubernetes object; group is apiVersion without
	// the version. Both are empty for anything else.
	kind, group     string
	name, namespace string
	created         string
}

func (o *object) String() string {
	name := o.name
	if o.namespace != "" {
		name = o.namespace + "/" + name
	}
	return strings.TrimSpace(o.kind + " " + name)
}

func (o *object) is(group string, kinds ...string) bool {
	if o.group != group {
		return false
	}
	for _, k := range kinds {
		if o.kind == k {
			return true
		}
	}
	return false
}

// at is the place of a node of the object; of the object itself where the node is
// not there.
func (o *object) at(node *yaml.Node) Place {
	if node == nil {
		node = o.root
	}
	return Place{o.file, max(node.Line, 1), max(node.Column, 1), o.document}
}

func (o *object) from(part string, node *yaml.Node) From {
	return From{Source: o.String(), Part: part, Place: o.at(node)}
}

var lineInError = regexp.MustCompile(`line (\d+)`)

// read returns the objects of all files. A file that can not be read is a problem.
func (c *conversion) read(files []File) (all []*object) {
	for _, f := range files {
		budget, documents := &document.Budget{}, 0
		err := document.Read(f.Data, func(number int, root *yaml.Node) error {
			walk(root, budget, 0)
			documents = number
			if budget.Err == nil {
				all = c.collect(all, f.Name, number, root)
			}
			return budget.Err
		})
		if err != nil {
			line := 1
			if m := lineInError.FindStringSubmatch(err.Error()); m != nil {
				line, _ = strconv.Atoi(m[1])
			}
			c.problem(Place{f.Name, max(line, 1), 1, documents + 1}, "", err.Error(), "fix that first")
		}
	}
	return all
}

// walk spends a document's values, aliases written out: whoever looks into it
// later is within bounds then.
func walk(node *yaml.Node, budget *document.Budget, depth int) {
	node = document.Resolve(node)
	if node == nil || !budget.Spend(node, depth) {
		return
	}
	if node.Kind == yaml.MappingNode {
		for _, m := range document.Members(node) {
			walk(m.Value, budget, depth+1)
		}
		return
	}
	for _, e := range node.Content {
		walk(e, budget, depth+1)
	}
}

func (c *conversion) collect(all []*object, file string, number int, root *yaml.Node) []*object {
	if root != nil && root.Kind == yaml.SequenceNode { // several resources of xDS
		for _, e := range elements(root) {
			all = c.collect(all, file, number, e)
		}
	}
	if root == nil || root.Kind != yaml.MappingNode {
		return all
	}
	o := &object{file: file, document: number, root: root}
	version := document.Scalar(document.Child(root, "apiVersion"))
	if kind := document.Scalar(document.Child(root, "kind")); kind != "" && version != "" {
		o.kind = kind
		o.group, _, _ = strings.Cut(version, "/")
	}
	if items := document.Child(root, "items"); items != nil && strings.HasSuffix(o.kind, "List") {
		for _, e := range elements(items) {
			all = c.collect(all, file, number, e)
		}
		return all
	}
	if o.is("v1", "ConfigMap") {
		for _, m := range members(document.Child(root, "data")) {
			all = c.collect(all, file, number, inside(m.Value))
		}
	}
	metadata := document.Child(root, "metadata")
	o.name = document.Scalar(document.Child(metadata, "name"))
	o.namespace = document.Scalar(document.Child(metadata, "namespace"))
	o.created = document.Scalar(document.Child(metadata, "creationTimestamp"))
	return append(all, o)
}

// inside returns the document in a scalar, such as the envoy.yaml in a ConfigMap,
// with the lines of the file around it. It is nil where there is none, and for what
// no source would look at.
func inside(scalar *yaml.Node) *yaml.Node {
	if scalar.Kind != yaml.ScalarNode || !strings.Contains(snake(scalar.Value), "virtual_hosts") || document.Bounded([]byte(scalar.Value)) != nil {
		return nil
	}
	var node yaml.Node
	if yaml.Unmarshal([]byte(scalar.Value), &node) != nil {
		return nil
	}
	root := document.Resolve(&node)
	budget := &document.Budget{}
	if walk(root, budget, 0); root == nil || budget.Err != nil {
		return nil
	}
	seen := map[*yaml.Node]bool{}
	var shift func(n *yaml.Node)
	shift = func(n *yaml.Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		n.Line += scalar.Line
		shift(n.Alias)
		for _, child := range n.Content {
			shift(child)
		}
	}
	shift(root)
	return root
}

// elements returns those of a list, without aliases.
func elements(node *yaml.Node) (all []*yaml.Node) {
	node = document.Resolve(node)
	if node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	for _, e := range node.Content {
		if e = document.Resolve(e); e != nil {
			all = append(all, e)
		}
	}
	return all
}

// members returns those of a mapping, without aliases.
func members(node *yaml.Node) (all []document.Member) {
	node = document.Resolve(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for _, m := range document.Members(node) {
		if m.Value = document.Resolve(m.Value); m.Value != nil {
			all = append(all, m)
		}
	}
	return all
}

// child is [document.Field]; null is as good as missing.
func child(node *yaml.Node, keys ...string) *yaml.Node {
	node = document.Field(node, keys...)
	if node != nil && node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return nil
	}
	return node
}

// snake is the snake_case of a name in lowerCamelCase.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func text(node *yaml.Node) string { return document.Scalar(document.Resolve(node)) }

// reader reads the values of one object, and says what has the wrong type.
type reader struct {
	*conversion
	o *object
	// part is the place in the object that problems name.
	part string
}

func (r reader) fail(node *yaml.Node, what, remedy string) {
	source := r.o.String()
	if r.part != "" {
		source = strings.TrimSpace(source + " " + r.part)
	}
	r.problem(r.o.at(node), source, what, remedy)
}

// inside is the reader of a part.
func (r reader) inside(part string) reader {
	r.part = part
	return r
}

// boolean reads a boolean, or protobuf's wrapper of one; missing is false.
func (r reader) boolean(node *yaml.Node, name string) (b, given bool) {
	node = document.Resolve(node)
	if node == nil {
		return false, false
	}
	if node.Kind == yaml.MappingNode {
		node = child(node, "value")
		if node == nil {
			return false, true
		}
	}
	var v bool
	if node.Kind != yaml.ScalarNode || node.Decode(&v) != nil {
		r.fail(node, name+" is no boolean", "write true or false without quotes")
		return false, false
	}
	return v, true
}

// list reads a list of strings.
func (r reader) list(node *yaml.Node, name string) (values []value) {
	node = document.Resolve(node)
	if node == nil {
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		r.fail(node, name+" is no list", "write a list of strings")
		return nil
	}
	for _, e := range elements(node) {
		if e.Kind != yaml.ScalarNode {
			r.fail(e, "an element of "+name+" is no string", "write a string")
			continue
		}
		values = append(values, value{e.Value, r.o.at(e)})
	}
	return values
}

// commas reads a string of elements between commas.
func (r reader) commas(node *yaml.Node, name string) (values []value) {
	node = document.Resolve(node)
	switch {
	case node == nil:
		return nil
	case node.Kind == yaml.SequenceNode:
		return r.list(node, name)
	case node.Kind != yaml.ScalarNode:
		r.fail(node, name+" is no string", "write one string with commas")
		return nil
	}
	for _, part := range strings.Split(node.Value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			values = append(values, value{part, r.o.at(node)})
		}
	}
	return values
}
