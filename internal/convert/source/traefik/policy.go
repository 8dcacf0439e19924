package traefik

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// traefikSettings are those of the headers middleware that are about CORS.
var traefikSettings = convert.Settings{
	Of: "Traefik's headers middleware", Lists: true,
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
	MaxAge: convert.Unit{Seconds: convert.Seconds, What: "accessControlMaxAge is not a whole number", Remedy: "write seconds, such as 600"},
}

var traefikSpelling = &convert.Spelling{
	Exact:  func(text string) string { return `"` + text + `" in accessControlAllowOriginList` },
	Regex:  func(text string) string { return `'^` + text + `$' in accessControlAllowOriginListRegex` },
	Search: true,
}

// traefikPolicy translates a headers middleware; cors says whether it concerns CORS at all.
func traefikPolicy(r convert.Reader, node *yaml.Node) (p *convert.Policy, cors bool) {
	p = &convert.Policy{Spelling: traefikSpelling}
	inFile := r.Object.Kind == ""
	find := func(key string) (convert.Reader, *yaml.Node) { // the file provider takes strings for lists and booleans
		value := field(node, key)
		if !inFile || value == nil || value.Kind != yaml.ScalarNode {
			return r, value
		}
		made := *value
		if key == "accessControlAllowCredentials" || key == "addVaryHeader" {
			on, err := strconv.ParseBool(value.Value)
			if made.Tag, made.Value = "!!bool", strconv.FormatBool(on); err != nil {
				made.Kind = yaml.SequenceNode // which is refused
			}
		} else if key != "accessControlMaxAge" {
			made = yaml.Node{Kind: yaml.SequenceNode, Content: listed(value), Line: value.Line, Column: value.Column}
		}
		return r, &made
	}
	list := func(key string) []convert.Value {
		_, value := find(key)
		return r.List(value, key)
	}
	for _, m := range convert.Members(node) {
		known := slices.ContainsFunc(traefikSettings.Rows, func(row convert.Setting) bool { return strings.EqualFold(row.Key, m.Key.Value) })
		switch key := strings.ToLower(m.Key.Value); {
		case known || !strings.HasPrefix(key, "accesscontrol"):
		case key == "accesscontrolalloworigin":
			r.Fail(m.Key, "accessControlAllowOrigin belongs to Traefik 2.0 and has been ignored since", "write accessControlAllowOriginList")
		default:
			r.Fail(m.Key, fmt.Sprintf("%q is not a setting of Traefik's headers middleware", m.Key.Value), "check the spelling")
		}
	}
	traefikSettings.Take(p, r.Object.At(node), find)
	credentials := p.Credentials
	_, value := find("addVaryHeader")
	vary, _ := r.Boolean(value, "addVaryHeader")
	origins, regexes := list("accessControlAllowOriginList"), list("accessControlAllowOriginListRegex")
	named := len(origins) + len(regexes) + len(p.AllowMethods) + len(p.AllowHeaders) + len(p.ExposeHeaders)
	own := named > 0 || credentials || vary || p.MaxAge != ""
	for _, m := range convert.Members(field(node, "customResponseHeaders")) {
		if !strings.HasPrefix(strings.ToLower(m.Key.Value), "access-control-") || convert.Text(m.Value) == "" {
			continue
		}
		cors = true
		what, remedy := "customResponseHeaders sends "+strings.ToLower(m.Key.Value)+" to everyone, whatever the request asks for", "write accessControlAllowOriginList and its companions instead"
		if own {
			at := r.Object.At(m.Key)
			r.Leave(p, at, what, remedy)
		} else { // nothing would be left
			r.Fail(m.Key, what, remedy)
		}
	}
	if !cors && !own {
		return nil, false
	}
	m := convert.Behaviour{Project: "Traefik", Echoes: credentials, Unmatched: "Traefik answers it with 200 and no access-control-allow-origin", Status: "200", Keeps: true, Varies: vary}
	if len(origins)+len(regexes) == 0 {
		nobody := convert.Nobody(r.Object.At(node), m)
		nobody.Comments = p.Comments
		return nobody, true
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
	if credentials {
		for _, names := range []*[]config.Name{&p.AllowMethods, &p.AllowHeaders} { // what is asked for comes back
			if slices.Contains(*names, convert.Star) {
				*names = []config.Name{convert.Star}
			}
		}
		if slices.Contains(p.ExposeHeaders, convert.Star) {
			p.Change(convert.LiteralStar, "expose_headers is left out: Traefik does not send it with credentials and `*` in it")
			p.ExposeHeaders = nil
		}
	}
	m.Reflects = any < 0
	p.Finish(m)
	return p, true
}
