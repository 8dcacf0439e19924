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

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
)

const explainUsage = `usage: corsctl explain -c FILE -origin ORIGIN [flags]

Tells what one request of a browser would get under a configuration: which rule
and policy, step by step what the filter decides, the exact response headers, and
what the browser does with them. FILE is anything that corsctl check reads, with
one configuration in it.

Exit codes: 0 the browser lets the script read the response, 1 it does not, 2
the command or the configuration is wrong.

`

func explainCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), explainUsage)
		flags.PrintDefaults()
	}
	file := flags.String("c", "", "configuration (`file`)")
	origin := flags.String("origin", "", "`origin` of the page, such as https://shop.example.com")
	method := flags.String("method", "GET", "`method` of the request")
	headers := flags.String("headers", "", "header `names` that the script sets, separated by commas; \"name: value\" for a value")
	host := flags.String("host", "", "`host` that the request goes to, where rules ask for it")
	path := flags.String("path", "/", "`path` that the request goes to, where rules ask for it")
	credentials := flags.Bool("credentials", false, "the script sends credentials, such as cookies")
	private := flags.Bool("private-network", false, "the target is in a more private network than the page")
	output := flags.String("o", "text", "`format`: text or json")
	fail := func(format string, args ...any) int {
		fmt.Fprintf(stderr, "corsctl explain: "+format+"\n", args...)
		return exitUsage
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		return fail("%q is not a flag; see corsctl explain -h", flags.Arg(0))
	case *file == "":
		return fail("no configuration; write -c FILE")
	case *origin == "":
		return fail("no origin; write -origin https://shop.example.com")
	case *output != "text" && *output != "json":
		return fail("-o %s is not known; write text or json", *output)
	}
	data, err := os.ReadFile(*file)
	if err != nil {
		return fail("%v", err)
	}
	configuration, err := explain.Configuration(*file, data)
	if err != nil {
		return fail("%v", err)
	}
	report, err := explain.Explain(configuration, explain.Request{
		Request: browser.Request{Origin: *origin, Method: *method, Headers: parseHeaders(*headers), Credentials: *credentials, PrivateNetwork: *private},
		Host:    *host,
		Path:    *path,
	})
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Fprintf(stderr, "%s: %s\n", *file, p.Error())
		}
		return exitUsage
	}
	if err != nil {
		return fail("%v", err)
	}
	if *output == "json" {
		e := json.NewEncoder(stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = report.Text(stdout)
	}
	switch {
	case err != nil:
		return fail("%v", err)
	case !report.Allowed:
		return exitError
	}
	return exitOK
}

// exampleValues are values for headers that are given by name alone: with them
// the browser needs consent, which is what the question is about.
var exampleValues = map[string]string{"content-type": "application/json"}

func parseHeaders(list string) (headers []browser.Header) {
	for _, entry := range strings.Split(list, ",") {
		name, value, hasValue := strings.Cut(strings.TrimSpace(entry), ":")
		if name == "" {
			continue
		}
		if !hasValue {
			value = exampleValues[strings.ToLower(name)]
		}
		headers = append(headers, browser.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	return headers
}
