package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"corsfilter/internal/verify"
)

var testCommand = command{
	name:    "test",
	summary: "test a policy with cases that its owners wrote",
	usage: []string{
		"test -c FILE [flags] CASES.yaml...",
		"test -init -c FILE > cases.yaml",
	},
	text: `Tests a policy with cases: may this page send this request and read the response?
FILE has the policy, in any form that corsctl check or convert reads. A case has
the page's origin, the request's url, method, headers and credentials (include or
omit), and expect: allow or deny. With response it can also expect exact values
of response headers, of the preflight if there is one; null means that the header
is absent. docs/cases.schema.json is a schema for editors.

A failing case is shown with the explanation of corsctl explain. To send the same
cases to a live server, use corsctl verify -cases.

With -init it prints cases for the current policy to start from: for each rule,
allowed pages, and the nearest origins that are denied.`,
	examples: []example{
		{"Cases for the current policy, to start from:", "corsctl test -init -c policy.json"},
		{"In a pipeline:", "corsctl test -c policy.json -o junit cases.yaml"},
	},
	exits: []exit{
		{exitOK, "all cases pass"},
		{exitError, "some fail"},
		{exitUsage, "the command is wrong, or a file cannot be read"},
	},
	flags: func(flags *flag.FlagSet) { (&testFlags{}).declare(flags) },
	words: files,
}

// testFlags are the command's flags.
type testFlags struct {
	configurationFlags
	init   bool
	output string
}

func (f *testFlags) declare(flags *flag.FlagSet) {
	f.configurationFlags.declare(flags, "c", "policy (`file`); - is standard input")
	flags.BoolVar(&f.init, "init", false, "print cases for the current policy")
	outputFlag(flags, &f.output, "junit", "github")
}

func testPolicy(_ context.Context, args []string, std stdio) int {
	c := testCommand
	f := &testFlags{}
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.declare(flags)
	err := c.parse(flags, args, std)
	switch {
	case err != nil:
	case f.file == "":
		err = errors.New("no policy; add -c FILE")
	case f.init == (flags.NArg() > 0):
		err = errors.New("name the files with cases after the flags, or print some with -init")
	}
	if err != nil {
		return c.mistake(err, std)
	}
	configuration, err := f.configuration(c.name, std, os.ReadFile)
	if err != nil {
		return c.mistake(err, std)
	}
	if f.init {
		text, err := verify.Init(configuration, verify.Target{Scheme: "https", Host: "api.example.com", AnyHost: true})
		if err == nil {
			_, err = std.out.Write(text)
		}
		if err != nil {
			return c.mistake(err, std)
		}
		return exitOK
	}
	var results []verify.Result
	for _, name := range flags.Args() {
		cases, err := readCases(std.in, name)
		if err != nil {
			return c.mistake(err, std)
		}
		for _, k := range cases {
			r, err := k.Test(configuration)
			if err != nil {
				return c.mistake(fmt.Errorf("%s: %w", k.Name, err), std)
			}
			results = append(results, r)
		}
	}
	return printResults(std, c, f.output, strings.Join(flags.Args(), ", "), results)
}

// readCases reads a file of cases.
func readCases(stdin io.Reader, file string) ([]verify.Case, error) {
	name, data, err := readInput(stdin, file, os.ReadFile)
	if err != nil {
		return nil, err
	}
	return verify.ReadCases(name, data)
}
