package main

import (
	"context"
	"flag"
	"fmt"

	"corsfilter/internal/version"
)

// sayVersion prints version, commit and Go version, in one line.
func sayVersion(_ context.Context, args []string, std stdio) int {
	flags := flag.NewFlagSet("version", flag.ContinueOnError)
	flags.SetOutput(std.err)
	flags.Usage = func() { fmt.Fprintln(std.err, "usage: corsctl version") }
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(std.err, "corsctl version: unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}
	fmt.Fprintln(std.out, "corsctl "+version.String())
	return exitOK
}
