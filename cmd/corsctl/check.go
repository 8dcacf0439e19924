package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"corsfilter/config"
	"corsfilter/internal/explain"
	"corsfilter/internal/lint"
)

var checkCommand = command{
	name:    "check",
	summary: "check configurations of the filter",
	usage:   []string{"check [flags] [FILE|FOLDER...]", "check -explain-matcher REGEX"},
	text: `Checks configurations of the filter in files: plugin configurations in JSON or
YAML, an envoy.yaml, an Istio WasmPlugin, TrafficExtension or EnvoyFilter, an
EnvoyExtensionPolicy. A file may contain several documents. For a folder it reads
every .json, .yaml and .yml file in it and below. Without a file, or for the file
"-", it reads standard input.

It recognises a plugin or wasm filter as this filter if its configuration has one
of the filter's keys, or if -plugin names it. It skips files without one, with a
note. With -require, or if there is only one file, such a file is an error; with
-require=false it never is.

It also warns if an envoy.yaml, an EnvoyFilter or a VirtualService in the same
file adds CORS headers to responses, and if the connection manager's settings for
paths make pages fail or let a path get around a rule.

If the only file, or with -require any file, has policies of another proxy that
corsctl convert reads, it converts them, checks the result, and reports it with
the lines of the source.

If there is only one configuration, the last line has the hash that the module
logs when it starts.

A note says what each waiver in use lets in; with -forbid-waivers it is an error.

With -explain-matcher REGEX it prints what a regex in allow_origins lets in: the
registrable domains, or the shortest unintended origins if there are too many
domains. The exit code is 1 if the module refuses the regex with credentials.`,
	examples: []example{
		{"A file:", "corsctl check policy.json"},
		{"All files of a repository; warnings fail too, and the output is for a program:", "corsctl check -strict -o json ."},
		{"In a pipeline that annotates the lines of a pull request:", "corsctl check -o github ."},
		{"What a regex lets in:", `corsctl check -explain-matcher '^https://([a-z0-9-]+\.)?example\.com$'`},
	},
	exits: []exit{
		{exitOK, "no errors"},
		{exitError, "errors; with -strict also warnings, or nothing to check"},
		{exitUsage, "the command is wrong, or a file cannot be read"},
	},
	flags: func(flags *flag.FlagSet) { (&checkFlags{}).declare(flags) },
	words: files,
}

// checkFlags are the command's flags.
type checkFlags struct {
	output, colour string
	strict         bool
	forbidWaivers  bool
	require        *bool // nil: where one file is given alone
	plugins        list
	files          []string
	matcher        *string // to explain, instead of checking files
}

func (f *checkFlags) declare(flags *flag.FlagSet) {
	flags.Var((*list)(&f.files), "c", "the same as FILE (`file`), as in other commands; may be repeated")
	outputFlag(flags, &f.output, "junit", "github")
	flags.BoolVar(&f.strict, "strict", false, "warnings count as errors, and so does having nothing to check")
	flags.BoolVar(&f.forbidWaivers, "forbid-waivers", false, "a waiver in use (dangerously_tolerate) is an error")
	flags.BoolFunc("require", "a file without a configuration of the filter is an error, and so is having nothing to check; the default for a single file", func(value string) error {
		require, err := strconv.ParseBool(value)
		f.require = &require
		return err
	})
	pluginFlag(flags, &f.plugins)
	flags.Func("explain-matcher", "`regex` of allow_origins: print what it lets in, instead of checking files", func(regex string) error {
		f.matcher = &regex
		return nil
	})
	oneOf(flags, &f.colour, "color", "auto", "`when` to colour (auto is on a terminal, unless NO_COLOR is set)", "auto", "always", "never")
}

// pluginFlag declares -plugin, which is the same for every command that looks for
// configurations in files.
func pluginFlag(flags *flag.FlagSet, plugins *list) {
	flags.Var(plugins, "plugin", "`name` of a WasmPlugin, a TrafficExtension, or a wasm filter of Envoy, to treat as this filter whatever its configuration; may be repeated")
}

func parseCheckFlags(args []string, std stdio) (*checkFlags, error) {
	f := &checkFlags{}
	flags := flag.NewFlagSet(checkCommand.name, flag.ContinueOnError)
	f.declare(flags)
	if err := checkCommand.parse(flags, args, std); err != nil {
		return nil, err
	}
	f.files = append(f.files, flags.Args()...)
	if f.matcher != nil && len(f.files) > 0 {
		return nil, fmt.Errorf("-explain-matcher takes no files, and %q is one", f.files[0])
	}
	for _, name := range flags.Args() {
		if _, err := os.Stat(name); err != nil && name != stdinName && strings.HasPrefix(name, "-") {
			return nil, fmt.Errorf("%s comes after a file; put flags before the files", name)
		}
	}
	if len(f.files) == 0 {
		f.files = []string{stdinName}
	}
	return f, nil
}

func check(_ context.Context, args []string, std stdio) int {
	f, err := parseCheckFlags(args, std)
	if err != nil {
		return checkCommand.mistake(err, std)
	}
	if f.matcher != nil {
		return explainMatcher(*f.matcher, std)
	}
	code := exitOK
	fail := func(err error) { // one file that cannot be read hides no other
		fmt.Fprintf(std.err, "corsctl check: %v\n", err)
		code = exitUsage
	}
	var files []string
	for _, name := range f.files {
		below, err := walk(name)
		if err != nil {
			fail(err)
		}
		files = append(files, below...)
	}
	required := len(f.files) == 1 && len(files) == 1 && files[0] == f.files[0]
	if f.require != nil {
		required = *f.require
	}
	findings := []lint.Finding{}
	checked, skipped, hash := 0, 0, ""
	for _, name := range files {
		name, data, err := readInput(std.in, name, os.ReadFile)
		if err != nil {
			fail(err)
			continue
		}
		of := lint.Check(name, data, required, f.plugins...)
		if len(of) == 1 && of[0].Severity == lint.Note && of[0].Code == lint.NoneFound {
			skipped++
		} else {
			checked++
			if len(files) == 1 {
				hash = lint.Hash(data, f.plugins...)
			}
		}
		findings = append(findings, of...)
	}
	if demanding := f.strict; checked == 0 && code == exitOK {
		if f.require != nil {
			demanding = *f.require
		}
		if demanding { // or a folder that has moved would pass for ever
			findings = append(findings, lint.Finding{File: f.files[0], Line: 1, Column: 1, Document: 1, Code: lint.NoneFound, Severity: lint.Error,
				Reason: "nothing was checked: " + plural(len(files), "file") + " and no configuration of this filter", Remedy: "check the names; -require=false allows this"})
		}
	}
	if f.forbidWaivers {
		for i := range findings {
			if findings[i].Code == config.Waived {
				findings[i].Severity = lint.Error
			}
		}
	}
	if note, old := lint.ListAge(time.Now()); old && checked > 0 {
		note.File, note.Line, note.Column, note.Document = files[0], 1, 1, 1
		findings = append(findings, note)
	}
	if err := print(std.out, findings, f, checked, skipped, hash); err != nil {
		fail(err)
	}
	if code == exitOK && (lint.Count(findings, lint.Error) > 0 || f.strict && lint.Count(findings, lint.Warning) > 0) {
		return exitError
	}
	return code
}

// explainMatcher prints what a regex lets in. It is an error that the module would
// refuse it in a policy with credentials.
func explainMatcher(regex string, std stdio) int {
	refused, err := explain.Matcher(std.out, regex)
	switch {
	case err != nil:
		fmt.Fprintf(std.err, "corsctl check: %v\n", err)
		return exitUsage
	case refused:
		return exitError
	}
	return exitOK
}

// walk returns the files that a name stands for: itself, or those of the folder.
func walk(name string) (files []string, err error) {
	info, err := os.Stat(name)
	if name == stdinName || err != nil || !info.IsDir() {
		return []string{name}, nil // a file that is not there is reported when it is read
	}
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != name && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case entry.IsDir():
			return nil
		}
		switch filepath.Ext(path) {
		case ".json", ".yaml", ".yml":
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// stdinName stands for standard input in place of a file's name.
const stdinName = "-"

// readInput reads a file with readFile, or standard input, and returns how messages
// call it.
func readInput(stdin io.Reader, file string, readFile func(string) ([]byte, error)) (name string, data []byte, err error) {
	if file == stdinName {
		data, err = io.ReadAll(stdin)
		return "<stdin>", data, err
	}
	if data, err = readFile(file); errors.Is(err, fs.ErrNotExist) {
		beside, _ := os.ReadDir(filepath.Dir(file))
		var names []string
		for _, entry := range beside {
			names = append(names, entry.Name())
		}
		err = fmt.Errorf("%w%s", err, didYouMean(filepath.Base(file), names))
	}
	return file, data, err
}

func print(w io.Writer, findings []lint.Finding, f *checkFlags, checked, skipped int, hash string) error {
	if f.output != "text" {
		rows := []outcome{{name: plural(checked, "file") + " checked"}}
		for _, of := range findings {
			message, severity := finding(of, false), of.Severity
			if f.strict && severity == lint.Warning && f.output == "junit" { // which knows no warnings
				severity = lint.Error
			}
			rows = append(rows, outcome{"", severity, string(of.Code), of.File, of.Line, of.Column, message, message})
		}
		return writeOutcomes(w, f.output, "corsctl check", rows, findings)
	}
	colour := f.colour == "always" || f.colour == "auto" && isTerminal(w)
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s: %s\n", paint(colour, bold, fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)), finding(f, colour))
	}
	fmt.Fprintf(&b, "%s, %s in %s", plural(lint.Count(findings, lint.Error), "error"), plural(lint.Count(findings, lint.Warning), "warning"), plural(checked, "file"))
	if skipped > 0 {
		fmt.Fprintf(&b, "; %s skipped", plural(skipped, "file"))
	}
	if hash != "" {
		b.WriteString("; hash " + hash)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// finding is the message behind the place: severity, where the configuration
// stands, path, value, reason, remedy.
func finding(f lint.Finding, colour bool) string {
	hue := map[lint.Severity]string{lint.Error: red, lint.Warning: yellow, lint.Note: faint}[f.Severity]
	parts := []string{paint(colour, hue, string(f.Severity))}
	path := f.Path
	if f.Config != "" {
		path = strings.TrimSuffix(f.Config+" > "+f.Path, " > ")
	}
	for _, part := range []string{path, f.Value, f.Reason} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	message := strings.Join(parts, ": ")
	if f.Remedy != "" {
		message += "; " + f.Remedy
	}
	return message + " " + paint(colour, faint, "["+string(f.Code)+"]")
}

// ANSI codes.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	yellow = "33"
)

func paint(colour bool, code, text string) string {
	if !colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
