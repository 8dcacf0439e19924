package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"corsfilter/internal/lint"
)

const checkUsage = `usage: corsctl check [flags] [FILE...]

Checks the configurations of the filter in files: a plugin configuration in JSON
or YAML, an envoy.yaml, an Istio WasmPlugin or EnvoyFilter, an
EnvoyExtensionPolicy, several documents in one file. Without a file, or for the
file "-", it reads standard input.

Exit codes: 0 no errors, 1 errors (with -strict also warnings), 2 the command is
wrong or a file can not be read.

`

func check(_ context.Context, args []string, std stdio) int {
	stdout, stderr := std.out, std.err
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), checkUsage)
		flags.PrintDefaults()
	}
	output := flags.String("o", "text", "`format`: text or json")
	strict := flags.Bool("strict", false, "warnings count as errors")
	colour := flags.String("color", "auto", "`when` to colour: auto (on a terminal, unless NO_COLOR is set), always, never")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case *output != "text" && *output != "json":
		fmt.Fprintf(stderr, "corsctl check: -o %s is not known; write text or json\n", *output)
		return exitUsage
	case *colour != "auto" && *colour != "always" && *colour != "never":
		fmt.Fprintf(stderr, "corsctl check: -color %s is not known; write auto, always or never\n", *colour)
		return exitUsage
	}
	files := flags.Args()
	if len(files) == 0 {
		files = []string{"-"}
	}
	findings := []lint.Finding{}
	for _, name := range files {
		data, err := read(std.in, &name)
		if err != nil {
			fmt.Fprintf(stderr, "corsctl check: %v\n", err)
			return exitUsage
		}
		findings = append(findings, lint.Check(name, data)...)
	}
	if err := print(stdout, findings, *output, len(files), *colour == "always" || *colour == "auto" && isTerminal(stdout)); err != nil {
		fmt.Fprintf(stderr, "corsctl check: %v\n", err)
		return exitUsage
	}
	for _, f := range findings {
		if f.Severity == lint.Error || *strict {
			return exitError
		}
	}
	return exitOK
}

// read reads a file; "-" is standard input.
func read(stdin io.Reader, name *string) ([]byte, error) {
	if *name == "-" {
		*name = "<stdin>"
		return io.ReadAll(stdin)
	}
	return os.ReadFile(*name)
}

func print(w io.Writer, findings []lint.Finding, format string, files int, colour bool) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(findings)
	}
	var b strings.Builder
	count := map[lint.Severity]int{}
	for _, f := range findings {
		count[f.Severity]++
		fmt.Fprintf(&b, "%s: %s\n", paint(colour, bold, fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)), finding(f, colour))
	}
	fmt.Fprintf(&b, "%s, %s in %s\n", plural(count[lint.Error], "error"), plural(count[lint.Warning], "warning"), plural(files, "file"))
	_, err := io.WriteString(w, b.String())
	return err
}

// finding is the message behind the place: severity, where the configuration
// stands, path, value, reason, remedy.
func finding(f lint.Finding, colour bool) string {
	hue := yellow
	if f.Severity == lint.Error {
		hue = red
	}
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
