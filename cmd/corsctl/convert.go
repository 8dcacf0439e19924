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
	summary: "convert other proxies' policies to a configuration",
	usage:   []string{"convert [flags] [FILE|FOLDER...]"},
	text: `Reads your current CORS policies and prints one configuration of the filter, or a
manifest with it. Its rules by host and path are in the order in which the source
would match. It recognises what a file contains:

` + source.Forms() + `

It reads several files, folders, documents and Kubernetes Lists as one. Without a
file, or for the file "-", it reads standard input.

Something that cannot be carried over, such as a match by header, is an error with
its line and a remedy; with -partial it is left out, with a comment at the rule.
Differences between the configuration and the source are listed on standard error,
by rule. Settings that the filter refuses without a waiver are refused here too;
with -tolerate NAME the origins that need the waiver get it.`,
	examples: []example{
		{"The policies of Envoy's own filter, from a running Envoy or sidecar:", "curl -s localhost:9901/config_dump | corsctl convert"},
		{"The same from a file:", "corsctl convert routes.yaml"},
		{"As a complete manifest for Istio:", "corsctl convert -o wasmplugin routes.yaml"},
		{"As YAML, with comments about what is left out:", "corsctl convert -partial -o yaml routes.yaml"},
	},
	exits: []exit{
		{exitOK, "a configuration was printed"},
		{exitError, "a policy cannot be converted, and nothing was printed"},
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
	oneOf(flags, &f.report, "report", "text", "`form` of the report on standard error about differences and problems", "text", "json")
	flags.BoolVar(&f.partial, "partial", false, "leave out what cannot be carried over, with a comment at the rule")
	flags.Var(&f.tolerate, "tolerate", "`waiver` to give to origins that need it, by its name in dangerously_tolerate; may be repeated")
	flags.Var(&f.only, "only", "convert only this source, by the `name` in messages; may be repeated")
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

// tell writes the report that goes with the configuration.
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
