package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"corsfilter/config"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
)

var convertCommand = command{
	name:    "convert",
	summary: "make a configuration of the policies that other proxies have",
	usage:   []string{"convert [flags] [FILE|FOLDER...]"},
	text: `Reads the CORS policies that run today and prints one configuration of the
filter, with rules by host and path in the order in which the source would
match, or a manifest with it. It recognises by itself what a file holds:

` + source.Forms() + `

Several files, folders, documents and Kubernetes Lists are read as one. Without
a file, or for the file "-", it reads standard input.

What cannot be carried over, such as a match by header, is an error with its
line and what to do; with -partial it is left out, with a comment beside the
rule. What the configuration does otherwise than the source is listed on standard
error, by rule. What the filter refuses without a waiver is refused here, too;
with -tolerate NAME the origins that need it get the waiver.`,
	examples: []example{
		{"A configuration of what Envoy's own filter has, in an Envoy or a sidecar that runs:", "curl -s localhost:9901/config_dump | corsctl convert"},
		{"The same of a file:", "corsctl convert routes.yaml"},
		{"In a whole manifest for Istio:", "corsctl convert -o wasmplugin routes.yaml"},
		{"As YAML, with comments for what is left out:", "corsctl convert -partial -o yaml routes.yaml"},
	},
	exits: []exit{
		{exitOK, "a configuration was printed"},
		{exitError, "something stands in the way, and nothing was printed"},
		{exitUsage, "the command is wrong, or a file cannot be read"},
	},
	flags: func(flags *flag.FlagSet) { (&convertFlags{}).declare(flags) },
	words: files,
}

// convertFlags are the command's flags.
type convertFlags struct {
	output, report string
	partial        bool
	tolerate, only list
}

func (f *convertFlags) declare(flags *flag.FlagSet) {
	oneOf(flags, &f.output, "o", "json", "`format` of the configuration", convert.Formats...)
	oneOf(flags, &f.report, "report", "text", "what to say of changes and problems on standard error (`form`)", "text", "json")
	flags.BoolVar(&f.partial, "partial", false, "leave out what cannot be carried over, with a comment beside the rule")
	flags.Var(&f.tolerate, "tolerate", "`waiver` that origins may have where they need it, by its name in dangerously_tolerate; may be repeated")
	flags.Var(&f.only, "only", "convert one source alone, by the `name` that messages give it; may be repeated")
}

func (f *convertFlags) options() convert.Options {
	return convert.Options{Partial: f.partial, Tolerate: f.tolerate, Only: f.only}
}

// validate says which waiver does not exist.
func (f *convertFlags) validate() error {
	var known []string
	for _, w := range config.Waivers {
		known = append(known, string(w))
	}
	for _, name := range f.tolerate {
		if err := (&choice{new(string), known}).Set(name); err != nil {
			return fmt.Errorf("-tolerate %q: %w", name, err)
		}
	}
	return nil
}

func convertPolicies(_ context.Context, args []string, std stdio) int {
	f := &convertFlags{}
	flags := flag.NewFlagSet(convertCommand.name, flag.ContinueOnError)
	f.declare(flags)
	err := convertCommand.parse(flags, args, std)
	if err == nil {
		err = f.validate()
	}
	if err != nil {
		return convertCommand.mistake(err, std)
	}
	names := flags.Args()
	if len(names) == 0 {
		names = []string{stdinName}
	}
	read, err := readFiles(std.in, names)
	if err != nil {
		return convertCommand.mistake(err, std)
	}
	result, problems := source.Convert(read, f.options())
	if err := f.tell(std.err, result, problems); err != nil {
		return convertCommand.mistake(err, std)
	}
	if problems != nil {
		return exitError
	}
	text, err := result.Format(f.output)
	if err == nil {
		_, err = std.out.Write(text)
	}
	if err != nil {
		return convertCommand.mistake(err, std)
	}
	return exitOK
}

// readFiles reads files and those of folders; the error has all that cannot be.
func readFiles(stdin io.Reader, names []string) (all []convert.File, err error) {
	var failed []error
	for _, name := range names {
		below, err := walk(name)
		if err != nil {
			failed = append(failed, err)
		}
		for _, file := range below {
			called, data, err := readInput(stdin, file, os.ReadFile)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			all = append(all, convert.File{Name: called, Data: data})
		}
	}
	return all, errors.Join(failed...)
}

// tell writes what there is to say beside the configuration.
func (f *convertFlags) tell(w io.Writer, result *convert.Result, problems convert.Problems) error {
	switch {
	case f.report == "json":
		report := convert.Report{Problems: problems}
		if result != nil {
			report.Rules = result.Rules
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(report)
	case problems != nil:
		_, err := fmt.Fprintln(w, problems.Error())
		return err
	}
	return result.WriteChanges(w)
}
