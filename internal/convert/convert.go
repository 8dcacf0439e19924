// Package convert reads the CORS policies that people run today and makes one
// plugin configuration of this filter of them, with rules by host and path in the
// order in which the source would match.
//
// It has three steps, and each knows only its own half:
//
//   - A source (envoy.go, istio.go, gatewayapi.go, …) translates into the
//     intermediate form and does nothing else. Its row in sources registers it;
//     there is no other place to touch. It asks no questions about this filter's
//     rules: what a request must have beyond host and path it states as a
//     condition, and what its proxy does for requests without any policy it states
//     as a route without a policy.
//   - The intermediate form (intermediate.go) is a table: routes in the order in
//     which they are asked, each with hosts, paths, conditions, the whole policy
//     and where it stands. The first route that matches decides. A route without a
//     policy decides as well: it applies none. Policies are in this filter's own
//     settings, each value with its place, so that a mistake which the filter's
//     parser finds in the result is told with the line of the source.
//   - plan.go makes rules of a table. It proves each step on sets of hosts and
//     paths (region.go): a route that asks for more than host and path may go only
//     where everything that would take its requests instead decides the same; what
//     a prefix takes beyond whole segments may go only where that closes and does
//     not open. Everything else is a problem, or a comment with Options.Partial.
//
// The result is what config.Parse accepts, or there is none. The package imports
// config, document and the YAML parser, and nothing of the proxies.
package convert

import (
	"slices"

	"corsfilter/config"
)

// File is one file, whole.
type File struct {
	Name string
	Data []byte
}

// Options say what the result may be.
type Options struct {
	// Partial leaves out what can not be carried over, with a comment beside the
	// rule, in place of refusing all of it.
	Partial bool
	// Tolerate names the waivers that a policy of the result may have, where it
	// needs them.
	Tolerate []string
	// Only restricts the conversion to the tables of these names; messages give
	// them where two do not agree. Empty: all.
	Only []string
}

// source is one form in which policies are written.
type source struct {
	// name is whose it is.
	name string
	// reads reports whether an object is one that the source looks at, policies or
	// not; an object may be looked at by several.
	reads func(o *object) bool
	// tables translates all of them at once, since they refer to each other.
	tables func(c *conversion, objects []*object) []table
}

// sources are all of them. A new one is one file and its row here.
var sources = []source{
	envoySource,
	istioSource,
	gatewaySource,
	higressSource,
	kongSource,
	traefikSource,
	nginxSource,
}

// Convert makes one configuration of all policies in the files. Problems are all
// that stand in the way, in the order of the files, and then there is no Result.
func Convert(files []File, o Options) (*Result, Problems) {
	c := &conversion{options: o}
	objects := c.read(files)
	var tables []table
	recognised := false
	for _, s := range sources {
		var own []*object
		for _, o := range objects {
			if s.reads(o) {
				own = append(own, o)
			}
		}
		if len(own) == 0 {
			continue
		}
		recognised = true
		// Routes without any policy are another proxy's, or decide nothing: an Ingress
		// is looked at by several sources.
		if made := s.tables(c, own); slices.ContainsFunc(made, table.hasPolicy) {
			tables = append(tables, made...)
		}
	}
	tables = slices.DeleteFunc(tables, func(t table) bool { return !c.wants(t.name) || len(t.routes) == 0 })
	if !slices.ContainsFunc(tables, table.hasPolicy) {
		if len(c.problems) == 0 {
			c.problem(Place{File: nameOf(files), Line: 1, Column: 1, Document: 1}, "", c.nothing(recognised), whatIsRead)
		}
		return nil, c.all(files)
	}
	tables = c.apart(tables)
	var rules []*rule
	for _, t := range tables {
		rules = append(rules, c.plan(t)...)
	}
	if len(rules) == 0 && len(c.problems) == 0 { // every policy stands behind something that decides otherwise
		rules = []*rule{{from: []From{tables[0].routes[0].from}}}
	}
	result := c.result(rules)
	if len(c.problems) > 0 {
		return nil, c.all(files)
	}
	return result, nil
}

const whatIsRead = "name files with an envoy.yaml or its route configuration, Istio VirtualServices, HTTPRoutes and GRPCRoutes of the Gateway API with Envoy Gateway's SecurityPolicies, Higress' cors WasmPlugin, Kong's configuration or KongPlugins, Traefik's Middlewares with their routers, or Ingresses of ingress-nginx, with the policies in them"

func (c *conversion) nothing(recognised bool) string {
	if recognised {
		return "no CORS policy is in the file"
	}
	return "nothing that can be converted is in the file"
}

func nameOf(files []File) string {
	if len(files) == 0 {
		return ""
	}
	return files[0].Name
}

// Recognises reports whether a file holds anything that Convert looks at.
func Recognises(f File) bool {
	c := &conversion{}
	for _, o := range c.read([]File{f}) {
		for _, s := range sources {
			if s.reads(o) {
				return true
			}
		}
	}
	return false
}

// conversion is one in the making.
type conversion struct {
	options  Options
	problems Problems
	told     map[Problem]bool
	steps    int   // of comparing routes
	where    Place // of those that are compared
	bounded  bool
}

// wants reports whether the options ask for a table of that name.
func (c *conversion) wants(name string) bool {
	return len(c.options.Only) == 0 || slices.Contains(c.options.Only, name)
}

// tolerates reports whether the options name a waiver.
func (c *conversion) tolerates(code config.Code) bool {
	return slices.Contains(c.options.Tolerate, string(code))
}
