package traefik

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// traefikSettings are those of the headers middleware that are about CORS.
var traefikSettings = convert.Settings{
	Of: "Traefik's headers middleware",
	Rows: []convert.Setting{
		{Key: "accessControlAllowOriginList", Becomes: convert.AllowOrigins},
		{Key: "accessControlAllowOriginListRegex", Becomes: convert.AllowOrigins, Note: "a regex with what stands around it: Traefik looks for it anywhere"},
		{Key: "accessControlAllowMethods", Becomes: "allow_methods"},
		{Key: "accessControlAllowHeaders", Becomes: "allow_headers"},
		{Key: "accessControlExposeHeaders", Becomes: "expose_headers", Note: "left out with credentials and a `*`, as Traefik does"},
		{Key: "accessControlAllowCredentials", Becomes: "allow_credentials", Default: "false"},
		{Key: "accessControlMaxAge", Becomes: convert.MaxAge},
		{Key: "addVaryHeader", Default: "false", Note: "`Vary` names Origin wherever the response depends on it"},
	},
	MaxAge: convert.Unit{Seconds: convert.Seconds, What: "accessControlMaxAge is no whole number", Remedy: "write seconds, such as 600"},
}

var traefikSpelling = &convert.Spelling{
	Exact:  func(text string) string { return `"` + text + `" in accessControlAllowOriginList` },
	Regex:  func(text string) string { return `'^` + text + `$' in accessControlAllowOriginListRegex` },
	Search: true,
}

// traefikPolicy translates a headers middleware; cors says whether it has to do with
// CORS at all.
func traefikPolicy(r convert.Reader, node *yaml.Node) (p *convert.Policy, cors bool) {
	p = &convert.Policy{Spelling: traefikSpelling}
	inFile := r.Object.Kind == ""
	list := func(name string) []convert.Value {
		value := field(node, name)
		if inFile && value != nil && value.Kind == yaml.ScalarNode {
			value = &yaml.Node{Kind: yaml.SequenceNode, Content: listed(value), Line: value.Line, Column: value.Column}
		}
		return r.List(value, name)
	}
	flag := func(name string) bool {
		value := field(node, name)
		if !inFile {
			on, _ := r.Boolean(value, name)
			return on
		}
		on, err := strconv.ParseBool(convert.Text(value)) // a string as well
		if value != nil && err != nil {
			r.Fail(value, name+" is no boolean", "write true or false")
		}
		return on
	}
	for _, m := range convert.Members(node) {
		known := slices.ContainsFunc(traefikSettings.Rows, func(row convert.Setting) bool { return strings.EqualFold(row.Key, m.Key.Value) })
		switch key := strings.ToLower(m.Key.Value); {
		case known || !strings.HasPrefix(key, "accesscontrol"):
		case key == "accesscontrolalloworigin":
			r.Fail(m.Key, "accessControlAllowOrigin is of Traefik 2.0 and ignored since", "write accessControlAllowOriginList")
		default:
			r.Fail(m.Key, fmt.Sprintf("%q is no setting of Traefik's headers middleware", m.Key.Value), "look for a typing mistake")
		}
	}
	for _, m := range convert.Members(field(node, "customResponseHeaders")) {
		if !strings.HasPrefix(strings.ToLower(m.Key.Value), "access-control-") || convert.Text(m.Value) == "" {
			continue
		}
		r.Fail(m.Key, "customResponseHeaders sends "+strings.ToLower(m.Key.Value)+" to everyone, whatever the request asks for", "write accessControlAllowOriginList and the like in place of it")
		cors = true
	}
	origins, regexes := list("accessControlAllowOriginList"), list("accessControlAllowOriginListRegex")
	methods, headers, expose := list("accessControlAllowMethods"), list("accessControlAllowHeaders"), list("accessControlExposeHeaders")
	credentials, vary, age := flag("accessControlAllowCredentials"), flag("addVaryHeader"), field(node, "accessControlMaxAge")
	cors = cors || credentials || vary || age != nil || len(origins)+len(regexes)+len(methods)+len(headers)+len(expose) > 0
	if !cors {
		return nil, false
	}
	m := convert.Behaviour{Project: "Traefik", Echoes: credentials, Unmatched: "Traefik answers it with 200 and no access-control-allow-origin", Status: "200", Keeps: true, Varies: vary}
	if len(origins)+len(regexes) == 0 {
		return convert.Nobody(r.Object.At(node), m), true
	}
	any := slices.IndexFunc(origins, convert.Value.IsStar)
	if any >= 0 {
		p.Allow(convert.Anyone, origins[any].At)
		if credentials {
			p.Change(convert.AnyWithCredential, "any origin gets its visitors' data; Traefik before 3.6.22 and 3.7.6 sends `*` with credentials, which browsers refuse")
		}
	} else {
		p.AllowExact(origins)
		for _, v := range regexes { // which are looked for anywhere in the origin
			p.LooksLikePattern(v.Text, "Traefik")
			p.Allow(convert.WholeOrigin(p, convert.WholeRegex(v.Text, false)), v.At)
		}
	}
	for i, values := range [][]convert.Value{methods, headers, expose} {
		if star := slices.IndexFunc(values, convert.Value.IsStar); star >= 0 && credentials {
			if convert.NameLists[i] == "expose_headers" {
				p.Change(convert.LiteralStar, "expose_headers is left out: Traefik does not send it with credentials and `*` in it")
				continue
			}
			values = values[star : star+1] // what is asked for comes back
		}
		if len(values) > 0 {
			p.SetList(convert.NameLists[i], values[0].At, values)
		}
	}
	p.Credentials = credentials
	traefikSettings.MaxAge.Read(r, p, age)
	m.Reflects = any < 0
	p.Finish(m)
	return p, true
}
