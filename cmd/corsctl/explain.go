package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
	"corsfilter/internal/lint"
)

var explainCommand = command{
	name:    "explain",
	summary: "explain what a browser's request gets, and why",
	usage: []string{
		"explain -c FILE -origin ORIGIN [flags]",
		"explain -c FILE -curl 'curl …'",
		"explain -c FILE -console 'Access to fetch at …'",
	},
	text: `Explains what one request of a browser would get under a configuration: which rule
and policy apply, what the filter decides step by step, the exact response
headers, and what the browser does with them. FILE is anything that corsctl check
reads; for an envoy.yaml it also says what Envoy answers before the filter.
Describe the request with flags, or paste one copied from a browser's network
panel (Copy as cURL), or a message from its console; flags override what you
paste. If the policy would not cause the console's message, explain says so, with
the likely causes.`,
	examples: []example{
		{"May this page send a PUT?", "corsctl explain -c policy.json -origin https://shop.example.com -method PUT"},
		{"Why does the console complain?", `corsctl explain -c policy.json -console "Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: Request header field x-foo is not allowed by Access-Control-Allow-Headers in preflight response."`},
		{"As JSON:", "corsctl explain -c policy.json -origin https://shop.example.com -headers x-foo -o json"},
	},
	exits: []exit{
		{exitOK, "the browser lets the script read the response, or upstream decides"},
		{exitError, "it does not, or the policy would not cause the console's message"},
		{exitUsage, "the command or the configuration is wrong"},
	},
	flags: func(flags *flag.FlagSet) { (&explainFlags{}).declare(flags) },
}

// explainFlags are the command's flags.
type explainFlags struct {
	configurationFlags
	curl, console        string
	origin, url          string
	host, path           string
	method, headers      string
	credentials, private bool
	upstream             headerLines
	output               string
	given                map[string]bool
}

// headerLines are headers given as "Name: value", one for each flag.
type headerLines []browser.Header

func (l *headerLines) String() string { return "" }

func (l *headerLines) Set(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || strings.TrimSpace(name) == "" {
		return fmt.Errorf("write 'Name: value'")
	}
	*l = append(*l, browser.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	return nil
}

func explainRequest(_ context.Context, args []string, std stdio) int {
	fail := func(err error) int { return explainCommand.mistake(err, std) }
	f, err := parseExplainFlags(args, std)
	if err != nil {
		return fail(err)
	}
	configuration, err := f.configuration(explainCommand.name, std, os.ReadFile)
	if err != nil {
		return fail(err)
	}
	report, err := f.report(configuration)
	if err != nil {
		return fail(err)
	}
	if f.output == "json" {
		if code := printJSON(std, explainCommand, report); code != exitOK {
			return code
		}
	} else if err := report.Text(std.out); err != nil {
		return fail(err)
	}
	if !report.Allowed && (!report.UpstreamDecides || report.Console != nil) {
		return exitError
	}
	return exitOK
}

// report explains the request, and compares it with the console message, if there is one.
func (f *explainFlags) report(configuration explain.Found) (*explain.Report, error) {
	pasted, err := f.pasted()
	if err != nil {
		return nil, err
	}
	if report := explain.ByNoPolicy(pasted.Said); report != nil {
		return report, nil
	}
	request, err := f.request(pasted)
	if err != nil {
		return nil, err
	}
	request.EscapedSlashes = configuration.EscapedSlashes
	report, err := explain.Explain(configuration.JSON, request)
	switch {
	case errors.Is(err, explain.ErrNoHost):
		return nil, fmt.Errorf("%w: add -url https://api.example.com/v1/orders, for example", err)
	case err == nil && pasted.Said != nil:
		report.Compare(pasted.Said)
	}
	return report, err
}

// configurationFlags name one configuration in a file.
type configurationFlags struct {
	file, name string
	plugins    list
}

// declare declares them; which is the flag for the file, and usage its meaning.
func (f *configurationFlags) declare(flags *flag.FlagSet, which, usage string) {
	flags.StringVar(&f.file, which, "", usage)
	f.declareName(flags)
}

func (f *configurationFlags) declareName(flags *flag.FlagSet) {
	flags.StringVar(&f.name, "name", "", "which configuration, if the file has several, by its `place` in the file, such as spec.pluginConfig")
	pluginFlag(flags, &f.plugins)
}

// configuration reads the file with readFile, and returns the configuration in it. The error
// lists all mistakes. A note says if it was converted from another proxy's policies.
func (f *configurationFlags) configuration(command string, std stdio, readFile func(string) ([]byte, error)) (explain.Found, error) {
	name, data, err := readInput(std.in, f.file, readFile)
	if err != nil {
		return explain.Found{}, err
	}
	found, err := explain.Configuration(name, data, f.name, f.plugins...)
	if err != nil {
		return explain.Found{}, err
	}
	if found.Converted != "" {
		fmt.Fprintf(std.err, "corsctl %s: converted from %s; corsctl convert prints the configuration, and what changes\n", command, found.Converted)
	}
	if _, _, err = config.Parse(found.JSON); err == nil {
		return found, nil
	}
	// The file's own checks say the same with the lines.
	var all []error
	for _, found := range lint.Check(name, data, true, f.plugins...) {
		if found.Severity == lint.Error && (f.name == "" || found.Config == f.name) {
			all = append(all, fmt.Errorf("%s:%d:%d: %s", found.File, found.Line, found.Column, finding(found, false)))
		}
	}
	if len(all) == 0 {
		return explain.Found{}, fmt.Errorf("%s: %w", name, err)
	}
	return explain.Found{}, errors.Join(all...)
}

func (f *explainFlags) declare(flags *flag.FlagSet) {
	f.configurationFlags.declare(flags, "c", "configuration (`file`); - is standard input")
	flags.StringVar(&f.curl, "curl", "", "a curl `command` copied from a browser's network panel, for bash or for Windows' cmd")
	flags.StringVar(&f.console, "console", "", "the `message` in the console of Chromium, Firefox or Safari, one line or several")
	flags.StringVar(&f.origin, "origin", "", "`origin` of the page, such as https://shop.example.com")
	flags.StringVar(&f.url, "url", "", "`URL` of the request (http, https, ws or wss); a page of the same origin makes it same-origin")
	flags.StringVar(&f.method, "method", "GET", "`method` of the request")
	flags.StringVar(&f.headers, "headers", "", "header `names` that the script sets, separated by commas; \"name: value\" sets a value")
	flags.StringVar(&f.host, "host", "", "`host` of the request, if rules depend on it")
	flags.StringVar(&f.path, "path", "/", "`path` of the request, if rules depend on it")
	flags.BoolVar(&f.credentials, "credentials", false, "the script sends credentials, such as cookies")
	flags.BoolVar(&f.private, "private-network", false, "the target is in a more private network than the page")
	flags.Var(&f.upstream, "upstream-header", "a response header of upstream, as `'Name: value'`; may be repeated")
	outputFlag(flags, &f.output)
}

func parseExplainFlags(args []string, std stdio) (*explainFlags, error) {
	f := &explainFlags{given: map[string]bool{}}
	flags := flag.NewFlagSet(explainCommand.name, flag.ContinueOnError)
	f.declare(flags)
	if err := explainCommand.parse(flags, args, std); err != nil {
		return nil, err
	}
	flags.Visit(func(g *flag.Flag) { f.given[g.Name] = true })
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag; see corsctl explain -h", flags.Arg(0))
	case f.file == "":
		return nil, errors.New("no configuration; add -c FILE")
	case f.given["curl"] && f.given["console"]:
		return nil, errors.New("-curl and -console both describe the request; use one of them")
	case f.given["url"] && (f.given["host"] || f.given["path"]):
		return nil, errors.New("-url already has a host and a path; leave out -host and -path")
	}
	return f, nil
}

// pasted reads what was pasted.
func (f *explainFlags) pasted() (explain.Pasted, error) {
	switch {
	case f.given["curl"]:
		return explain.FromCurl(f.curl)
	case f.given["console"]:
		return explain.FromConsole(f.console)
	}
	return explain.Pasted{}, nil
}

// request combines what was pasted with the flags.
func (f *explainFlags) request(pasted explain.Pasted) (r explain.Request, err error) {
	r.Origin, r.Method, r.Headers = pasted.Origin, pasted.Method, pasted.Headers
	r.Credentials = pasted.Credentials || f.credentials
	r.PrivateNetwork = f.private
	r.Upstream = f.upstream
	if f.given["origin"] || r.Origin == "" {
		r.Origin = f.origin
	}
	if f.given["method"] || r.Method == "" {
		r.Method = f.method
	}
	if f.given["headers"] {
		r.Headers = parseHeaders(f.headers)
	}
	switch {
	case r.Origin == "" && f.given["console"]:
		return r, errors.New("the message does not name the page's origin; add -origin https://shop.example.com")
	case r.Origin == "" && f.given["curl"]:
		return r, errors.New("the copied request has no Origin header, so it is a navigation or a GET to the page's own origin; if it is neither, add -origin https://shop.example.com")
	case r.Origin == "":
		return r, errors.New("no origin; add -origin https://shop.example.com")
	}
	if err := explain.CheckOrigin(r.Origin); err != nil {
		return r, fmt.Errorf("-origin: %w", err)
	}
	r.Host, r.Path = f.host, f.path
	target := f.url
	if target == "" && !f.given["host"] && !f.given["path"] {
		target = pasted.URL
	}
	if target != "" {
		if err := r.Target(target); err != nil {
			return r, err
		}
	}
	switch needed, _ := r.NeedsPreflight(); {
	case !pasted.Preflight || needed:
	case pasted.Said.Kind == browser.MethodNotAllowed:
		return r, errors.New("the message does not name the method; add it, such as -method PUT")
	default:
		r.Forced = "the console speaks of one"
	}
	return r, nil
}

func parseHeaders(list string) (headers []browser.Header) {
	for _, entry := range strings.Split(list, ",") {
		name, value, hasValue := strings.Cut(strings.TrimSpace(entry), ":")
		if name == "" {
			continue
		}
		if !hasValue {
			value = explain.ExampleValue(name)
		}
		headers = append(headers, browser.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	return headers
}
