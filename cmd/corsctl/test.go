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
	summary: "hold a policy to what its owners expect of it",
	usage: []string{
		"test -c FILE [flags] CASES.yaml...",
		"test -init -c FILE > cases.yaml",
	},
	text: `Holds a policy to cases: may this page send this request, and read the response?
FILE holds the policy in any form that corsctl check or corsctl convert reads.
A case has the page's origin, the request's url, method, headers and credentials
(include or omit), and expect: allow or deny. Under response it may have exact
values of response headers, of the preflight where there is one; null says that
the header is absent. docs/cases.schema.json is the schema for editors.

Where a case fails, it shows what corsctl explain says of the request. The same
cases are sent to a live server by corsctl verify -cases.

With -init it prints cases for the policy at hand, as a beginning: for each rule
allowed pages, and the origins next to them that are denied.`,
	examples: []example{
		{"Cases for the policy as it is, to go on from:", "corsctl test -init -c policy.json"},
		{"In a pipeline:", "corsctl test -c policy.json -o junit cases.yaml"},
	},
	exits: []exit{
		{exitOK, "all cases are as expected"},
		{exitError, "some are not"},
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
	flags.BoolVar(&f.init, "init", false, "print cases for the policy as it is")
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
		err = errors.New("no policy; write -c FILE")
	case f.init == (flags.NArg() > 0):
		err = errors.New("write the files with cases behind the flags, or -init, which prints some")
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
