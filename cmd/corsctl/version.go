package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"runtime"

	"corsfilter/internal/version"
)

var versionCommand = command{
	name:    "version",
	summary: "print the version",
	usage:   []string{"version [-o text|json]"},
	text: `Prints the release, the commit that it was built from, and the version of Go. The
module's first log line and the images' annotations say the same.`,
	examples: []example{{"Which corsctl is installed:", "corsctl version"}},
	exits:    []exit{{exitOK, "printed"}, {exitUsage, "the command is wrong"}},
	flags:    func(flags *flag.FlagSet) { declareVersionFlags(flags) },
}

func declareVersionFlags(flags *flag.FlagSet) (output *string) {
	output = new(string)
	outputFlag(flags, output)
	return output
}

// sayVersion prints version, commit and Go version, in one line.
func sayVersion(_ context.Context, args []string, std stdio) int {
	c := versionCommand
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	output := declareVersionFlags(flags)
	if err := c.parse(flags, args, std); err != nil {
		return c.mistake(err, std)
	}
	if flags.NArg() > 0 {
		return c.mistake(fmt.Errorf("unexpected argument %q", flags.Arg(0)), std)
	}
	if *output == "json" {
		return printJSON(std, c, map[string]string{"version": version.Release(), "commit": version.Commit(), "go": runtime.Version()})
	}
	fmt.Fprintln(std.out, "corsctl "+version.String())
	return exitOK
}

// outputFlag declares -o, which is the same for every command; some have more
// formats.
func outputFlag(flags *flag.FlagSet, output *string, more ...string) {
	oneOf(flags, output, "o", "text", "`format` of what is printed", append([]string{"text", "json"}, more...)...)
}

// printJSON prints a value for programs, and returns the exit code.
func printJSON(std stdio, c command, value any) int {
	e := json.NewEncoder(std.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return c.mistake(err, std)
	}
	return exitOK
}
