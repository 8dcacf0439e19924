// Package bucket reads the CORS rules of buckets: those of Amazon S3 and of what speaks its
// protocol (MinIO, R2, Ceph), and those of Google Cloud Storage, each as JSON, YAML or XML.
// What S3 does was read in the copy of it that scality/cloudserver keeps, at commit
// 125b0e8e (lib/api/apiUtils/object/corsResponse.js), and in its user guide; what Cloud
// Storage does, in its documentation of November 2026.
package bucket

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "S3 and Cloud Storage",
	Files:    "the CORS rules of a bucket of S3 or Google Cloud Storage, in JSON, YAML or XML",
	Settings: []convert.Settings{s3.Settings, gcs.Settings},
	Reads:    func(o *convert.Object) bool { return len(buckets([]*convert.Object{o})) > 0 },
	Tables:   tables,
	Text:     readXML,
}

// cloud is whose buckets they are.
type cloud struct {
	convert.Settings
	name, origins string
	behaviour     convert.Behaviour
}

var seconds = convert.Unit{Seconds: convert.Seconds, What: "%q is no number of seconds", Remedy: "write one such as 3600"}

var s3 = cloud{
	Settings: convert.Settings{
		Of: "a rule of S3", Lists: true, MaxAge: seconds,
		Rows: []convert.Setting{
			{Key: "AllowedOrigins", Becomes: convert.AllowOrigins, Note: "`https://*.example.com` is the same; a star elsewhere is a regex"},
			{Key: "AllowedMethods", Becomes: "allow_methods", Note: "GET, HEAD and POST are readable without being listed"},
			{Key: "AllowedHeaders", Becomes: "allow_headers", Note: "`*` is the same; `x-amz-*` is refused"},
			{Key: "ExposeHeaders", Becomes: "expose_headers"},
			{Key: "ExposedHeaders", Becomes: "expose_headers", Note: "as CloudFormation calls it"},
			{Key: "MaxAgeSeconds", Becomes: convert.MaxAge},
			{Key: "MaxAge", Becomes: convert.MaxAge, Note: "as CloudFormation calls it"},
			{Key: "ID", Note: "a name"}, {Key: "Id", Note: "a name"},
		},
	},
	name: "S3", origins: "AllowedOrigins",
	behaviour: convert.Behaviour{Project: "S3", Echoes: true, Authorization: true, Status: "200", Varies: true},
}

var gcs = cloud{
	Settings: convert.Settings{
		Of: "a rule of Cloud Storage", Lists: true, MaxAge: seconds,
		Rows: []convert.Setting{
			{Key: "origin", Becomes: convert.AllowOrigins, Note: "compared as it stands: a star is one alone"},
			{Key: "method", Becomes: "allow_methods", Note: "GET, HEAD and POST are readable without being listed"},
			{Key: "responseHeader", Becomes: "allow_headers", Note: "and `expose_headers`: Cloud Storage sends it as both"},
			{Key: "maxAgeSeconds", Becomes: convert.MaxAge},
		},
	},
	name: "Cloud Storage", origins: "origin",
	behaviour: convert.Behaviour{
		Project: "Cloud Storage", Echoes: true, Authorization: true, Reflects: true, Status: "200", Varies: true,
		Unmatched: "Cloud Storage answers it with 200 and no CORS headers",
	},
}

// bucket is one with its rules, each in its object: a list of rules by itself is read as
// several.
type bucket struct {
	name  string
	rules []rule
}

type rule struct {
	o    *convert.Object
	node *yaml.Node
}

func isRule(node *yaml.Node) bool {
	return convert.Child(node, s3.origins) != nil && convert.Child(node, "AllowedMethods") != nil || convert.Child(node, gcs.origins) != nil && convert.Child(node, "method") != nil
}

// rulesAt are where an object has its rules.
var rulesAt = [][]string{{"CORSRules"}, {"CorsRules"}, {"CORSConfiguration", "CORSRules"}, {"CorsConfiguration", "CorsRules"}, {"cors"}, {"cors_config"}}

func buckets(objects []*convert.Object) (all []bucket) {
	add := func(o *convert.Object, name string, nodes []*yaml.Node) {
		if len(nodes) == 0 || !isRule(nodes[0]) {
			return
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, bucket{name: name})
		}
		for _, node := range nodes {
			all[len(all)-1].rules = append(all[len(all)-1].rules, rule{o, node})
		}
	}
	for _, o := range objects {
		add(o, "bucket of "+o.File, []*yaml.Node{o.Root})
		for _, at := range rulesAt {
			add(o, "bucket of "+o.File, convert.Elements(convert.Child(o.Root, at...)))
		}
		for _, m := range convert.Members(convert.Child(o.Root, "Resources")) {
			add(o, "bucket "+m.Key.Value, convert.Elements(convert.Child(m.Value, "Properties", "CorsConfiguration", "CorsRules")))
		}
	}
	return all
}

func tables(c *convert.Conversion, objects []*convert.Object) (all []convert.Table) {
	for _, b := range buckets(objects) {
		if c.Wants(b.name) {
			all = append(all, b.table(c))
		}
	}
	return all
}

// table has one route: a bucket answers for all of its paths alike. Of several rules it
// takes the first that has the origin, the method and the headers, and a policy has one
// set of those for all of its origins.
func (b bucket) table(c *convert.Conversion) convert.Table {
	first := b.rules[0]
	of := &gcs
	if convert.Child(first.node, s3.origins) != nil {
		of = &s3
	}
	made := of.policy(convert.Reader{Conversion: c, Object: first.o, Part: b.name + " rule 1"}, first.node)
	for i, next := range b.rules[1:] {
		r := convert.Reader{Conversion: c, Object: next.o, Part: fmt.Sprintf("%s rule %d", b.name, i+2)}
		p := of.policy(r, next.node)
		const what = "its methods, headers, credentials or seconds are others than those of rule 1, and a policy has one set of them for all of its origins"
		at := r.Object.At(next.node)
		if !alike(made, p) {
			r.Leave(made, at, what, "write them alike")
			continue
		}
		for _, o := range p.AllowOrigins {
			made.Allow(o, at)
		}
	}
	made.Finish(of.behaviour)
	from := convert.From{Source: b.name, Place: first.o.At(first.node)}
	return convert.Table{Name: b.name, Routes: []convert.Route{{From: from, Policy: made}}}
}

// alike reports whether two policies differ in their origins alone.
func alike(a, b *convert.Policy) bool {
	x, y := convert.Policy{SourcePolicy: a.SourcePolicy}, convert.Policy{SourcePolicy: b.SourcePolicy}
	x.AllowOrigins, y.AllowOrigins = nil, nil
	return x.Key() == y.Key()
}

// policy reads a rule.
func (of *cloud) policy(r convert.Reader, node *yaml.Node) *convert.Policy {
	p := &convert.Policy{}
	of.Read(r, p, node)
	origins := convert.Child(node, of.origins)
	values := convert.StarAlone(r.List(origins, of.origins))
	p.Put(convert.AllowOrigins, nil, r.Object.At(origins))
	for _, v := range values {
		if of == &gcs && !v.IsStar() && strings.Contains(v.Text, "*") {
			r.Problem(v.At, r.Part, fmt.Sprintf("Cloud Storage compares the origin %q as it stands, which matches no page", v.Text), "write the origins, or `*` for any")
			continue
		}
		p.Allow(originOf(p, v.Text), v.At)
	}
	p.Unlisted(of.name)
	if of == &gcs {
		exposed := convert.Child(node, "responseHeader")
		names := r.List(exposed, "responseHeader")
		p.SetList("expose_headers", r.Object.At(exposed), names)
		return p
	}
	if p.Credentials = !p.AllowsAny(); p.Credentials {
		p.Change(convert.VaryIsSet, "Vary names Origin on every response; S3 sets it where it sends CORS headers alone, so that a cache may hand a page the copy without them")
	}
	p.AllowHeaders = slices.DeleteFunc(p.AllowHeaders, func(n config.Name) bool {
		if n == convert.Star || !strings.Contains(n.Value, "*") {
			return false
		}
		at := p.Places[convert.Entry{Setting: "allow_headers", Element: n}]
		r.Leave(p, at, fmt.Sprintf("the header %q has a star in it, and a list here names each header, or any by `*`", n.Value), "write the names that pages send")
		return true
	})
	return p
}

// originOf is an origin as S3 compares it: one star stands for any letters.
func originOf(p *convert.Policy, text string) config.SourceOrigin {
	scheme, host, _ := strings.Cut(text, "://")
	switch below := strings.TrimPrefix(host, "*."); {
	case !strings.Contains(text, "*") || text == "*":
		return convert.ExactOrigin(p, text, false)
	case below != host && below != "" && !strings.ContainsAny(scheme+below, "*[]") && strings.ToLower(text) == text:
		return config.SourceOrigin{Value: text} // it is a pattern here
	}
	return convert.RegexOrigin(strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*"))
}

// names are those of JSON for elements of XML; elements of the first kind repeat.
var (
	repeated = map[string]string{"AllowedOrigin": "AllowedOrigins", "AllowedMethod": "AllowedMethods", "AllowedHeader": "AllowedHeaders", "ExposeHeader": "ExposeHeaders"}
	single   = map[string]string{"Origins": "origin", "Methods": "method", "ResponseHeaders": "responseHeader", "MaxAgeSec": "maxAgeSeconds"}
)

// readXML reads an XML document as the JSON with the same rules.
func readXML(f convert.File) (*yaml.Node, any, error) {
	data := bytes.TrimSpace(bytes.TrimPrefix(f.Data, []byte("\ufeff")))
	if !bytes.HasPrefix(data, []byte("<")) {
		return nil, nil, nil
	}
	d := xml.NewDecoder(bytes.NewReader(f.Data))
	for {
		token, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		if _, is := token.(xml.StartElement); is {
			root, err := element(d, 0)
			return root, nil, err
		}
	}
}

// element reads what follows the start of an element: a list where its elements are all of
// one name.
func element(d *xml.Decoder, depth int) (*yaml.Node, error) {
	line, column := d.InputPos()
	node := &yaml.Node{Kind: yaml.ScalarNode, Line: line, Column: column}
	lists := map[string]*yaml.Node{}
	last, mixed, text := "", false, ""
	var children []*yaml.Node
	for depth < 20 {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.CharData:
			text += string(t)
		case xml.StartElement:
			child, err := element(d, depth+1)
			if err != nil {
				return nil, err
			}
			name := t.Name.Local
			mixed = mixed || last != "" && last != name
			last = name
			children = append(children, child)
			if key, ok := repeated[name]; ok && lists[key] != nil {
				lists[key].Content = append(lists[key].Content, child)
				continue
			} else if ok {
				child = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{child}, Line: child.Line, Column: child.Column}
				name, lists[key] = key, child
			} else if key, ok := single[name]; ok {
				name = key
			}
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name, Line: child.Line, Column: child.Column}, child)
		case xml.EndElement:
			switch {
			case mixed:
				node.Kind = yaml.MappingNode
			case len(children) > 0:
				node.Kind, node.Content = yaml.SequenceNode, children
			default:
				node.Value = strings.TrimSpace(text)
			}
			return node, nil
		}
	}
	return nil, fmt.Errorf("line %d: elements are nested too deep", line)
}
