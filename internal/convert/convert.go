// Package convert reads the CORS policies that people run today and makes one
// plugin configuration of this filter of them, with rules by host and path in the
// order in which the source would match.
//
// It has three steps, and each knows only its own half:
//
//   - A source (a folder in source, and its line in source/source.go) translates into
//     the intermediate form and does nothing else. It knows nothing of this filter's
//     rules. It states requirements beyond host and path as conditions, and requests
//     that its proxy applies no policy to as routes without a policy.
//   - The intermediate form (intermediate.go) is a table: routes in the order in
//     which they are tried, each with hosts, paths, conditions, the whole policy
//     and its place. The first route that matches decides, even if it has no policy.
//     Policies use this filter's settings. Each value has its place, so a mistake that
//     package config finds in the result is reported with the line of the source.
//   - plan.go turns a table into rules, in the same order and with the same sets of
//     hosts and paths (region.go). A route that asks for more than host and path is
//     dropped only if everything that would take its requests instead decides the same.
//     Anything else is a problem, or a comment with Options.Partial.
//
// config.Parse accepts every result; otherwise there is none. The package imports
// config, document and the YAML parser, and no code of the proxies.
package convert

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
)

// File is one file, whole.
type File struct {
	Name string
	Data []byte
}

// Options say what the result may be.
type Options struct {
	// Partial leaves out what cannot be converted, with a comment at the rule, instead
	// of refusing everything.
	Partial bool
	// Tolerate names the waivers that an origin of the result may have, where it
	// needs them.
	Tolerate []string
	// Only restricts the conversion to the tables of these names; messages give
	// them where two do not agree. Empty: all.
	Only []string
}

// Source is one form in which policies are written.
type Source struct {
	// Name is its name, and Files what it reads, in messages and the help.
	Name, Files string
	// Settings are the tables of its policies, for its page; several where it has several
	// forms.
	Settings []Settings
	// Text reads files that are neither YAML nor JSON. It returns the nodes of a document,
	// or a value of the source's own, which becomes an object's Parsed; neither if the file
	// is not the source's. nil: the source has no such files.
	Text func(f File) (root *yaml.Node, parsed any, err error)
	// Reads reports whether an object is one that the source looks at, policies or
	// not; an object may be looked at by several.
	Reads func(o *Object) bool
	// Tables translates all objects at once, since they refer to each other.
	Tables func(c *Conversion, objects []*Object) []Table
	// Attacher gives routes of other sources policies; nil: the source has none such.
	Attacher *Attacher
	// Attached says that this source asks them, and looks at their objects as well.
	Attached bool
}

// looksAt reports whether a source looks at an object.
func (c *Conversion) looksAt(s Source, o *Object) bool {
	return s.Reads != nil && s.Reads(o) || s.Attached && slices.ContainsFunc(c.Attachers(), func(a *Attacher) bool { return a.Reads(o) })
}

// Attachers are those of all sources, in the order in which they are tried.
func (c *Conversion) Attachers() (all []*Attacher) {
	for _, s := range c.sources {
		if s.Attacher != nil {
			all = append(all, s.Attacher)
		}
	}
	return all
}

// Convert makes one configuration of all policies in the files, which the sources read.
// Problems are all that stand in the way, in the order of the files, and then there is no
// Result.
func Convert(sources []Source, files []File, o Options) (*Result, Problems) {
	c := &Conversion{sources: sources, Options: o}
	objects := c.read(files)
	var tables []Table
	recognised := false
	for _, s := range sources {
		own := slices.DeleteFunc(slices.Clone(objects), func(o *Object) bool { return !c.looksAt(s, o) })
		if len(own) == 0 {
			continue
		}
		recognised = true
		// Routes without any policy are another proxy's, or decide nothing: an Ingress
		// is looked at by several sources.
		if made := s.Tables(c, own); slices.ContainsFunc(made, Table.hasPolicy) {
			tables = append(tables, made...)
		}
	}
	tables = slices.DeleteFunc(tables, func(t Table) bool { return !c.Wants(t.Name) || len(t.Routes) == 0 })
	if !slices.ContainsFunc(tables, Table.hasPolicy) {
		if len(c.problems) == 0 {
			for _, p := range c.idle {
				c.add(p)
			}
			for _, f := range files {
				c.refuseUnread(f, true)
			}
		}
		if len(c.problems) == 0 {
			c.Problem(Place{File: nameOf(files), Line: 1, Column: 1, Document: 1}, "", c.nothing(recognised), c.whatIsRead())
		}
		return nil, c.all(files)
	}
	tables = c.withoutOverlap(tables)
	var rules []*rule
	for _, t := range tables {
		rules = append(rules, c.plan(t)...)
	}
	if len(rules) == 0 && len(c.problems) == 0 { // every policy stands behind something that decides otherwise
		rules = []*rule{{from: []From{tables[0].Routes[0].From}}}
	}
	result := c.result(rules)
	if len(c.problems) > 0 {
		return nil, c.all(files)
	}
	return result, nil
}

// whatIsRead says what the sources read.
func (c *Conversion) whatIsRead() string {
	var all []string
	for _, s := range c.sources {
		all = append(all, s.Name)
	}
	last := len(all) - 1
	return "name files with policies of " + strings.Join(all[:last], ", ") + " or " + all[last] + "; corsctl convert -h lists the forms"
}

func (c *Conversion) nothing(recognised bool) string {
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

// Recognises reports whether a file holds anything that one of the sources looks at.
func Recognises(sources []Source, f File) bool {
	c := &Conversion{sources: sources}
	return slices.ContainsFunc(c.read([]File{f}), func(o *Object) bool {
		return slices.ContainsFunc(sources, func(s Source) bool { return c.looksAt(s, o) })
	})
}

// Conversion is one in the making.
type Conversion struct {
	sources  []Source
	Options  Options
	problems Problems
	// idle are policies that stand where their proxy does not apply them.
	idle    []Problem
	told    map[Problem]bool
	steps   int   // of comparing routes
	where   Place // of those that are compared
	bounded bool
}

// Wants reports whether the options ask for a table of that name.
func (c *Conversion) Wants(name string) bool {
	return len(c.Options.Only) == 0 || slices.Contains(c.Options.Only, name)
}

// tolerates reports whether the options name a waiver.
func (c *Conversion) tolerates(code config.Code) bool {
	return slices.Contains(c.Options.Tolerate, string(code))
}
