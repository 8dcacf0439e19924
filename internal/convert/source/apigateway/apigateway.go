// Package apigateway reads the CORS configuration of HTTP APIs of Amazon API Gateway: in an
// OpenAPI document (x-amazon-apigateway-cors), in a template of CloudFormation or SAM, and
// as `aws apigatewayv2 get-api` prints it. What it does stands in the developer guide ("CORS
// for HTTP APIs"), read in November 2026.
package apigateway

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "API Gateway",
	Files:    "x-amazon-apigateway-cors or CorsConfiguration of an HTTP API of Amazon API Gateway, in OpenAPI, CloudFormation, SAM or as the AWS CLI prints it",
	Settings: []convert.Settings{settings},
	Reads:    func(o *convert.Object) bool { return len(apis(o)) > 0 },
	Tables:   tables,
}

var settings = convert.Settings{
	Of: "API Gateway's CORS configuration", Lists: true,
	MaxAge: convert.Unit{Seconds: convert.Seconds, What: "maxAge %q is no number of seconds", Remedy: "write one such as 300"},
	Rows: []convert.Setting{
		{Key: "allowOrigins", Becomes: convert.AllowOrigins, Note: "`https://*` is any host of that scheme, there and here"},
		{Key: "allowMethods", Becomes: "allow_methods", Note: "GET, HEAD and POST are readable without being listed"},
		{Key: "allowHeaders", Becomes: "allow_headers"},
		{Key: "exposeHeaders", Becomes: "expose_headers"},
		{Key: "maxAge", Becomes: convert.MaxAge},
		{Key: "allowCredentials", Becomes: "allow_credentials", Default: "false"},
	},
}

// api is one with its configuration.
type api struct {
	name string
	node *yaml.Node
}

func apis(o *convert.Object) (all []api) {
	add := func(name string, node *yaml.Node) {
		if node != nil && convert.Child(node, "CorsRules") == nil { // which is a bucket's
			all = append(all, api{name, node})
		}
	}
	add("API of "+o.File, convert.Child(o.Root, "x-amazon-apigateway-cors"))
	add("API of "+o.File, convert.Child(o.Root, "CorsConfiguration"))
	for _, m := range convert.Members(convert.Child(o.Root, "Resources")) {
		properties := convert.Child(m.Value, "Properties")
		switch convert.Text(convert.Child(m.Value, "Type")) {
		case "AWS::ApiGatewayV2::Api", "AWS::Serverless::HttpApi":
			add("API "+m.Key.Value, convert.Child(properties, "CorsConfiguration"))
			add("API "+m.Key.Value, convert.Child(properties, "Body", "x-amazon-apigateway-cors"))
		}
	}
	return all
}

// tables makes one of each API, which has one route: all of its paths answer alike.
func tables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	for _, o := range objects {
		for _, a := range apis(o) {
			if c.Wants(a.name) {
				r := convert.Reader{Conversion: c, Object: o, Part: a.name}
				from := convert.From{Source: a.name, Place: o.At(a.node)}
				tables = append(tables, convert.Table{Name: a.name, Routes: []convert.Route{{From: from, Policy: policy(r, a.node)}}})
			}
		}
	}
	return tables
}

func policy(r convert.Reader, node *yaml.Node) *convert.Policy {
	if node.Kind != yaml.MappingNode { // `CorsConfiguration: true` is SAM's
		r.Fail(node, "the CORS configuration is no mapping", "write allowOrigins and the rest of it")
		return nil
	}
	// Keys are in upper case in CloudFormation and what the CLI prints.
	lower := *node
	lower.Content = slices.Clone(node.Content)
	for i := 0; i < len(lower.Content); i += 2 {
		key := *lower.Content[i]
		if len(key.Value) > 0 {
			key.Value = strings.ToLower(key.Value[:1]) + key.Value[1:]
		}
		lower.Content[i] = &key
	}
	p := &convert.Policy{}
	settings.Read(r, p, &lower)
	origins := convert.Child(&lower, "allowOrigins")
	m := convert.Behaviour{Project: "API Gateway", Unmatched: "API Gateway answers it with 204 and no CORS headers", Status: "204", Varies: true}
	for _, v := range convert.StarAlone(r.List(origins, "allowOrigins")) {
		if strings.HasSuffix(v.Text, "://*") {
			p.Allow(config.SourceOrigin{Value: v.Text}, v.At)
		} else {
			p.AllowExact([]convert.Value{v})
		}
	}
	if len(p.AllowOrigins) == 0 {
		return convert.Nobody(r.Object.At(node), m)
	}
	p.Unlisted("API Gateway")
	p.Finish(m)
	return p
}
