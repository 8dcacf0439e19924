package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/convert"
	"corsfilter/internal/diff"
	"corsfilter/internal/explain"
	"corsfilter/internal/fieldpath"
	"corsfilter/internal/lint"
)

var diffCommand = command{
	name:    "diff",
	summary: "say what a change to a policy opens and closes",
	usage:   []string{"diff [flags] OLD NEW"},
	text: `Compares two policies and says what changes for browsers: which origins, methods,
headers and credentials are newly allowed and which no longer are, for each part
of the hosts and paths where something changes. It decides this for all requests
at once, without sampling. Policies that make the same decisions are the same,
however they are written.

OLD and NEW are anything that corsctl check or convert reads, including folders.
With another proxy's policies as OLD it says what a migration changes. It assumes
the waivers that such policies need, and lists them.

Each change opens something, closes something, or does neither. If a wildcard or a
regex newly allows origins, the shortest is named, with the number of registrable
domains.`,
	examples: []example{
		{"What a change does before it ships:", "corsctl diff old.json new.json"},
		{"In a pipeline that fails if something opens:", "corsctl diff -fail-on opens -o github old.json new.json"},
		{"What a migration from another proxy changes:", "corsctl diff routes.yaml policy.json"},
	},
	exits: []exit{
		{exitOK, "compared; no change that -fail-on names"},
		{exitError, "a change that -fail-on names, or one that cannot be decided"},
		{exitUsage, "the command or a configuration is wrong"},
	},
	flags: func(flags *flag.FlagSet) { (&diffFlags{}).declare(flags) },
	words: files,
}

// diffFlags are the command's flags.
type diffFlags struct {
	output, failOn string
	configurationFlags
}

func (f *diffFlags) declare(flags *flag.FlagSet) {
	outputFlag(flags, &f.output, "junit", "github")
	oneOf(flags, &f.failOn, "fail-on", "never", "which `changes` make the exit code 1", "never", "opens", "any")
	f.declareName(flags)
}

// fails reports whether the exit code is to be 1 for a change.
func (f *diffFlags) fails(effect diff.Effect) bool {
	return f.failOn == "any" || f.failOn == "opens" && effect == diff.Opens
}

func compare(_ context.Context, args []string, std stdio) int {
	f := &diffFlags{}
	flags := flag.NewFlagSet(diffCommand.name, flag.ContinueOnError)
	f.declare(flags)
	err := diffCommand.parse(flags, args, std)
	if err == nil && flags.NArg() != 2 {
		err = errors.New("name two files, behind the flags: corsctl diff [flags] OLD NEW")
	}
	if err != nil {
		return diffCommand.mistake(err, std)
	}
	var found [2]explain.Found
	var sources [2]*config.Source
	for i := range found {
		if found[i], err = f.read(flags.Arg(i), std); err == nil {
			sources[i], err = config.Read(found[i].JSON)
		}
		if err != nil {
			return diffCommand.mistake(err, std)
		}
	}
	report, err := diff.Compare(sources[0], sources[1])
	if err != nil {
		return diffCommand.mistake(err, std)
	}
	var migration []string
	if found[1].Converted == "" {
		migration = found[0].Changes
	}
	locate := func(path string, c diff.Change) convert.Place { return found[1].Locate(entry(sources[1], path, c)) }
	if err := f.print(std.out, report, locate, migration); err != nil {
		return diffCommand.mistake(err, std)
	}
	failed := f.failOn != "never" && len(report.Undecided) > 0 || f.failOn == "any" && len(report.Beside) > 0
	for _, effect := range []diff.Effect{diff.Opens, diff.Closes, diff.Changes} {
		failed = failed || f.fails(effect) && report.Count(effect) > 0
	}
	if failed {
		return exitError
	}
	return exitOK
}

// read reads one side. Another proxy's policies are compared unchanged: what the filter
// refuses without a waiver is not a mistake here.
func (f *diffFlags) read(name string, std stdio) (explain.Found, error) {
	all, err := readFiles(std.in, []string{name})
	switch {
	case err != nil:
		return explain.Found{}, err
	case len(all) == 0:
		return explain.Found{}, fmt.Errorf("%s: no .json, .yaml or .yml file is in the folder", name)
	}
	found, err := lint.Find(all[0].Data, f.plugins...)
	if len(all) == 1 && (err != nil || len(found) > 0 || f.name != "") {
		side := f.configurationFlags
		side.file = all[0].Name
		return side.configuration(diffCommand.name, std, func(string) ([]byte, error) { return all[0].Data, nil })
	}
	o := convert.Options{}
	for _, w := range config.Waivers {
		o.Tolerate = append(o.Tolerate, string(w))
	}
	return explain.Converted(all, o)
}

// print writes what changes.
func (f *diffFlags) print(w io.Writer, r *diff.Report, locate func(policy string, c diff.Change) convert.Place, migration []string) error {
	if f.output == "text" {
		_, err := io.WriteString(w, diffText(r, migration))
		return err
	}
	var rows []outcome
	add := func(region diff.Region, change diff.Change, policy string) {
		row := outcome{name: region.Title(), severity: lint.Note, code: "diff " + change.Setting, message: string(change.Effect) + " " + change.Text}
		row.detail = map[diff.Effect]string{diff.Opens: region.Now, diff.Closes: region.Gone}[change.Effect]
		if change.Effect == diff.Opens {
			row.severity = lint.Warning
		}
		if f.fails(change.Effect) {
			row.severity = lint.Error
		}
		at := locate(policy, change)
		row.file, row.line, row.column = at.File, at.Line, at.Column
		rows = append(rows, row)
	}
	for _, region := range r.Regions {
		for _, change := range region.Changes {
			for _, path := range region.Paths {
				add(region, change, path)
			}
		}
	}
	all := diff.Region{Rules: []string{"all requests"}}
	for _, change := range r.Beside {
		add(all, change, "")
	}
	for _, what := range r.Undecided {
		add(all, diff.Change{Effect: diff.Opens, Setting: "undecided", Text: what}, "")
	}
	if len(rows) == 0 {
		rows = append(rows, outcome{name: "all requests", message: theSame})
	}
	return writeOutcomes(w, f.output, "corsctl diff", rows, struct {
		*diff.Report
		Migration []string `json:"migration,omitempty"`
	}{r, migration})
}

// entry is the path of what a change is about: the entry of a list that opens
// something, or else the setting.
func entry(s *config.Source, policy string, c diff.Change) string {
	path := strings.TrimPrefix(policy+"."+c.Setting, ".")
	p := s.SourcePolicy
	for i := range s.Rules {
		if policy == fieldpath.Key(fieldpath.Index("rules", i), "policy") {
			p = s.Rules[i].Policy
		}
	}
	if p == nil || len(c.Names) == 0 || c.Effect != diff.Opens {
		return path
	}
	var list []string
	for _, o := range map[string][]config.SourceOrigin{"allow_origins": p.AllowOrigins, "timing_allow_origins": p.TimingAllowOrigins}[c.Setting] {
		list = append(list, diff.Written(o))
	}
	for _, n := range map[string][]config.Name{"allow_methods": p.AllowMethods, "allow_headers": p.AllowHeaders, "expose_headers": p.ExposeHeaders}[c.Setting] {
		list = append(list, n.Value)
	}
	if i := slices.IndexFunc(list, func(name string) bool { return strings.EqualFold(name, c.Names[0]) }); i >= 0 {
		return fieldpath.Index(path, i)
	}
	return path
}

const theSame = "the same: every request is decided as before"

func diffText(r *diff.Report, migration []string) string {
	var b strings.Builder
	if r.Same {
		b.WriteString(theSame + "\n")
	}
	for i := range r.Regions {
		region := &r.Regions[i]
		b.WriteString(region.Title() + "\n")
		for _, change := range region.Changes {
			fmt.Fprintf(&b, "  %-8s%s\n", change.Effect, change.Text)
		}
		for _, sentence := range []string{region.Now, region.Gone} {
			if sentence != "" {
				b.WriteString("  " + sentence + "\n")
			}
		}
	}
	for _, change := range r.Beside {
		b.WriteString(change.Text + "\n")
	}
	for _, what := range r.Undecided {
		b.WriteString("not decided: " + what + "\n")
	}
	if len(migration) > 0 {
		b.WriteString("and, compared to what the source's own proxy does:\n")
		for _, text := range migration {
			b.WriteString("  " + text + "\n")
		}
	}
	if !r.Same {
		fmt.Fprintf(&b, "%d opened, %d closed, %d other\n", r.Count(diff.Opens), r.Count(diff.Closes), r.Count(diff.Changes))
	}
	return b.String()
}
