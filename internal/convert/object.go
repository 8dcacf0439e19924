package convert

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// Object is a document, or an item of a Kubernetes List.
type Object struct {
	File     string
	document int
	Root     *yaml.Node
	// Kind and group are those of a Kubernetes object; group is apiVersion without
	// the version. Both are empty for anything else.
	Kind, Group     string
	Name, Namespace string
	Created         string
	// Parsed is the value that a source's Text returned for the file.
	Parsed any
}

func (o *Object) String() string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + name
	}
	return strings.TrimSpace(o.Kind + " " + name)
}

func (o *Object) Is(group string, kinds ...string) bool {
	return o.Group == group && slices.Contains(kinds, o.Kind)
}

// At is the place of a node of the object; of the object itself where the node is
// not there.
func (o *Object) At(node *yaml.Node) Place {
	if node == nil {
		node = o.Root
	}
	return Place{o.File, max(node.Line, 1), max(node.Column, 1), o.document}
}

// From is the place of a part of the object; the part's name stands alone if the object has none.
func (o *Object) From(part string, node *yaml.Node) From {
	if o.String() == "" {
		return From{Source: part, Place: o.At(node)}
	}
	return From{Source: o.String(), Part: part, Place: o.At(node)}
}

var lineInError = regexp.MustCompile(`line (\d+)`)

// read returns the objects of all files. A file that cannot be read is a problem.
func (c *Conversion) read(files []File) (all []*Object) {
	for _, f := range files {
		if c.refuseUnread(f, false) {
			continue
		}
		budget, documents := &document.Budget{}, 0
		own, err := c.text(f)
		if all = append(all, own...); own == nil && err == nil {
			err = document.Read(f.Data, func(number int, root *yaml.Node) error {
				walk(root, budget, 0)
				documents = number
				if budget.Err == nil {
					all = c.collect(all, f.Name, number, root)
				}
				return budget.Err
			})
		}
		if err != nil && !c.refuseUnread(f, true) {
			line := 1
			if m := lineInError.FindStringSubmatch(err.Error()); m != nil {
				line, _ = strconv.Atoi(m[1])
			}
			c.Problem(Place{f.Name, max(line, 1), 1, documents + 1}, "", err.Error(), "fix that first")
		}
	}
	return all
}

// text returns the objects of a file that a source's Text reads, if one does.
func (c *Conversion) text(f File) (all []*Object, err error) {
	for _, s := range c.sources {
		if s.Text == nil {
			continue
		}
		root, parsed, err := s.Text(f)
		switch {
		case err != nil:
			return nil, err
		case parsed != nil:
			return []*Object{{File: f.Name, document: 1, Root: &yaml.Node{Kind: yaml.MappingNode}, Parsed: parsed}}, nil
		case root != nil:
			return c.collect(nil, f.Name, 1, root), nil
		}
	}
	return nil, nil
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

func (c *Conversion) collect(all []*Object, file string, number int, root *yaml.Node) []*Object {
	if root != nil && root.Kind == yaml.SequenceNode { // several resources of xDS
		for _, e := range Elements(root) {
			all = c.collect(all, file, number, e)
		}
	}
	if root == nil || root.Kind != yaml.MappingNode {
		return all
	}
	o := &Object{File: file, document: number, Root: root}
	version := document.Scalar(document.Child(root, "apiVersion"))
	if kind := document.Scalar(document.Child(root, "kind")); kind != "" && version != "" {
		o.Kind = kind
		o.Group, _, _ = strings.Cut(version, "/")
	}
	if items := document.Child(root, "items"); items != nil && strings.HasSuffix(o.Kind, "List") {
		for _, e := range Elements(items) {
			all = c.collect(all, file, number, e)
		}
		return all
	}
	if o.Is("v1", "ConfigMap") {
		for _, m := range Members(document.Child(root, "data")) {
			all = c.collect(all, file, number, inside(m.Value))
		}
	}
	metadata := document.Child(root, "metadata")
	o.Name = document.Scalar(document.Child(metadata, "name"))
	o.Namespace = document.Scalar(document.Child(metadata, "namespace"))
	o.Created = document.Scalar(document.Child(metadata, "creationTimestamp"))
	return append(all, o)
}

// inside returns the document in a scalar, such as the envoy.yaml in a ConfigMap,
// with the lines of the file around it. It is nil if there is none, or if no source
// would read it.
func inside(scalar *yaml.Node) *yaml.Node {
	if scalar.Kind != yaml.ScalarNode || !strings.Contains(Snake(scalar.Value), "virtual_hosts") || document.Bounded([]byte(scalar.Value)) != nil {
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

// Elements returns those of a list, without aliases.
func Elements(node *yaml.Node) (all []*yaml.Node) {
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

// Members returns those of a mapping, without aliases.
func Members(node *yaml.Node) (all []document.Member) {
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

// Child is [document.Field]; null is as good as missing.
func Child(node *yaml.Node, keys ...string) *yaml.Node {
	node = document.Field(node, keys...)
	if node != nil && node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return nil
	}
	return node
}

// Snake is the snake_case of a name in lowerCamelCase.
func Snake(name string) string {
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

func Text(node *yaml.Node) string { return document.Scalar(document.Resolve(node)) }

// Reader reads the values of one object, and says what has the wrong type.
type Reader struct {
	*Conversion
	Object *Object
	// Part is the place in the object that problems name.
	Part string
}

func (r Reader) Fail(node *yaml.Node, what, remedy string) {
	source := r.place()
	r.Problem(r.Object.At(node), source, what, remedy)
}

// place names the object and the part.
func (r Reader) place() string {
	name := r.Object.String()
	return strings.TrimSpace(name + " " + r.Part)
}

// Leave refuses a part of a policy, or leaves it out with a comment.
func (r Reader) Leave(p *Policy, at Place, what, remedy string) {
	source := r.place()
	if r.Options.Partial {
		p.Comments = append(p.Comments, Comment{at, Printable(what), source})
		return
	}
	r.Problem(at, source, what, remedy+", or leave it out with -partial")
}

// Inside is the reader of a part.
func (r Reader) Inside(part string) Reader {
	r.Part = part
	return r
}

// Boolean reads a boolean, or protobuf's wrapper of one; missing is false.
func (r Reader) Boolean(node *yaml.Node, name string) (b, given bool) {
	node = document.Resolve(node)
	if node == nil {
		return false, false
	}
	if node.Kind == yaml.MappingNode {
		node = Child(node, "value")
		if node == nil {
			return false, true
		}
	}
	var v bool
	if node.Kind != yaml.ScalarNode || node.Decode(&v) != nil {
		r.Fail(node, name+" is not a boolean", "write true or false without quotes")
		return false, false
	}
	return v, true
}

// Flag reads the boolean of a mapping.
func (r Reader) Flag(node *yaml.Node, name string) bool {
	on, _ := r.Boolean(Child(node, name), name)
	return on
}

// Whole reads a whole number; missing is 0.
func (r Reader) Whole(node *yaml.Node, name, what string) int {
	n, err := strconv.Atoi(Text(node))
	if node != nil && err != nil {
		r.Fail(node, name+" is no "+what, "write one such as 10")
	}
	return n
}

// List reads a list of strings.
func (r Reader) List(node *yaml.Node, name string) (values []Value) {
	node = document.Resolve(node)
	if node == nil {
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		r.Fail(node, name+" is not a list", "write a list of strings")
		return nil
	}
	for _, e := range Elements(node) {
		if e.Kind != yaml.ScalarNode {
			r.Fail(e, "an element of "+name+" is not a string", "write a string")
			continue
		}
		values = append(values, Value{e.Value, r.Object.At(e)})
	}
	return values
}

// Commas reads a string of elements between commas.
func (r Reader) Commas(node *yaml.Node, name string) (values []Value) {
	node = document.Resolve(node)
	switch {
	case node == nil:
		return nil
	case node.Kind == yaml.SequenceNode:
		return r.List(node, name)
	case node.Kind != yaml.ScalarNode:
		r.Fail(node, name+" is not a string", "write one string with commas")
		return nil
	}
	return Words(node.Value, r.Object.At(node))
}

// Words are the elements between commas.
func Words(list string, at Place) (values []Value) {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			values = append(values, Value{part, at})
		}
	}
	return values
}

// Mentions reports whether a key occurs anywhere below a node.
func Mentions(node *yaml.Node, key string) bool {
	node = document.Resolve(node)
	if node == nil {
		return false
	}
	if node.Kind == yaml.SequenceNode {
		return slices.ContainsFunc(node.Content, func(n *yaml.Node) bool { return Mentions(n, key) })
	}
	return slices.ContainsFunc(Members(node), func(m document.Member) bool { return Snake(m.Key.Value) == key || Mentions(m.Value, key) })
}

// Qualified is the name with its namespace, unless it has one or there is none.
func Qualified(name, namespace string) string {
	if strings.Contains(name, "/") || namespace == "" {
		return name
	}
	return namespace + "/" + name
}
