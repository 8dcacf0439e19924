package higress

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
	"corsfilter/internal/document"
)

// Higress' own annotations of an Ingress, from which it makes a policy of Envoy's filter
// (pkg/ingress/kube/annotations/cors.go of alibaba/higress, read at commit ae50abad). It reads
// ingress-nginx's annotations first, and its own if those are missing or invalid.

// annotationSettings are those, by the ends of their names.
var annotationSettings = convert.Settings{
	Of: "Higress' annotations", Star: convert.NameLists, MaxAge: convert.Unit{Seconds: convert.Seconds},
	Rows: []convert.Setting{
		{Key: "enable-cors", Default: "false", Note: "also as `nginx.ingress.kubernetes.io/enable-cors`, which comes first"},
		{Key: "cors-allow-origin", Becomes: convert.AllowOrigins, Default: "*", Note: "a star in front of a host is a pattern of the scheme that is written; Higress takes every scheme"},
		{Key: "cors-allow-methods", Becomes: "allow_methods", Default: "GET, PUT, POST, DELETE, PATCH, OPTIONS"},
		{Key: "cors-allow-headers", Becomes: "allow_headers", Default: "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Authorization"},
		{Key: "cors-expose-headers", Becomes: "expose_headers"},
		{Key: "cors-allow-credentials", Becomes: "allow_credentials", Default: "true"},
		{Key: "cors-max-age", Becomes: convert.MaxAge, Default: "1728000"},
	},
}

// annotated is an annotation that Higress takes; nil where it takes none.
func annotated(o *convert.Object, name string) *yaml.Node {
	for _, prefix := range []string{"nginx.ingress.kubernetes.io/", "higress.io/"} {
		text, node := o.Annotation(prefix + name)
		if node == nil {
			continue
		}
		taken := *node
		var err error
		switch name {
		case "enable-cors", "cors-allow-credentials":
			var on bool
			on, err = strconv.ParseBool(text)
			taken.Tag, taken.Value = "!!bool", strconv.FormatBool(on)
		case "cors-max-age":
			_, err = strconv.Atoi(text)
		}
		if err == nil && strings.TrimSpace(text) != "" {
			return &taken
		}
	}
	return nil
}

// ownIngress reports whether an Ingress is Higress' alone: by its class, or by annotations
// that nobody else reads.
func ownIngress(o *convert.Object) bool {
	if !convert.IsIngress(o) || o.Foreign("higress") {
		return false
	}
	return o.Class() == "higress" || slices.ContainsFunc(convert.Members(convert.Child(o.Root, "metadata", "annotations")), func(m document.Member) bool {
		return strings.HasPrefix(m.Key.Value, "higress.io/")
	})
}

// annotationTable makes a table of Ingresses with annotations, where one has a policy.
func annotationTable(c *convert.Conversion, objects []*convert.Object) (t convert.Table) {
	t.Name = "Higress' Ingresses"
	objects = slices.DeleteFunc(slices.Clone(objects), func(o *convert.Object) bool { return !ownIngress(o) })
	if !c.Wants(t.Name) {
		return t
	}
	policies := map[*convert.Object]*convert.Policy{}
	rows := higressRows(objects)
	for i, row := range rows {
		made := rowRoute(c, row)
		made.Hosts = convert.HostList(row.Host)
		policy, known := policies[row.Object]
		if !known {
			policy = annotationPolicy(convert.Reader{Conversion: c, Object: row.Object})
			policies[row.Object] = policy
		}
		made.Policy = policy
		t.Routes = append(t.Routes, made)
		if i+1 == len(rows) || rows[i+1].Host != row.Host {
			t.Routes = append(t.Routes, convert.Route{From: row.Object.From("", nil), Hosts: made.Hosts, Replies: true})
		}
	}
	if !slices.ContainsFunc(t.Routes, func(r convert.Route) bool { return r.Policy != nil }) {
		t.Routes = nil
	}
	convert.Dotted(t.Routes, "Higress")
	return t
}

// annotationPolicy translates the annotations of an Ingress; nil: CORS is off.
func annotationPolicy(r convert.Reader) *convert.Policy {
	enable, origins := annotated(r.Object, "enable-cors"), annotated(r.Object, "cors-allow-origin")
	if on, _ := r.Boolean(enable, "enable-cors"); !on {
		return nil
	}
	p, text, at := &convert.Policy{}, annotationSettings.Default("cors-allow-origin"), r.Object.At(enable)
	if origins != nil {
		text = origins.Value
	}
	for _, v := range convert.StarAlone(convert.Words(text, r.Object.At(cmp.Or(origins, enable)))) {
		if origin, ok := annotatedOrigin(p, v.Text); ok {
			p.Allow(origin, v.At)
		} else {
			r.Fail(origins, "Higress passes over the origin "+strconv.Quote(convert.Shortened(v.Text))+" of cors-allow-origin, whose star is not at the beginning of its host", "take it away, or write a star in front such as https://*.example.com")
		}
	}
	annotationSettings.Take(p, at, func(key string) (convert.Reader, *yaml.Node) { return r, annotated(r.Object, key) })
	p.Finish(convert.Behaviour{Project: "Higress", Echoes: true, Authorization: true, Reflects: true, Keeps: true, Status: "200", Unmatched: "Higress forwards it"})
	return p
}

// annotatedOrigin is one origin. If it has a star, Higress uses only its host, as a regex for
// any scheme.
func annotatedOrigin(p *convert.Policy, text string) (config.SourceOrigin, bool) {
	if text == "*" || !strings.Contains(text, "*") {
		return convert.ExactOrigin(p, text, false), true
	}
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(u.Host, "*") || strings.Contains(u.Host[1:], "*") {
		return config.SourceOrigin{}, false
	}
	origin := u.Scheme + "://" + strings.ToLower(u.Host)
	p.Change(convert.StricterPatterns, origin+" is of the scheme "+u.Scheme+" alone; Higress takes the host with every scheme")
	if strings.HasPrefix(u.Host, "*.") {
		return config.SourceOrigin{Value: origin}, true
	}
	return higressPattern(origin), true
}
