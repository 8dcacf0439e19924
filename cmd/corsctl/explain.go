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
       corsctl explain -c FILE -curl 'curl …'
       corsctl explain -c FILE -console 'Access to fetch at …'

Tells what one request of a browser would get under a configuration: which rule
and policy, step by step what the filter decides, the exact response headers, and
what the browser does with them. FILE is anything that corsctl check reads. The
request is told by flags, by a request copied from a browser's network panel (Copy
as cURL), or by the message in its console; flags come on top of what was pasted.

Exit codes: 0 the browser lets the script read the response, or upstream decides;
1 it does not; 2 the command or the configuration is wrong.

`

// explainFlags are the command's flags.
type explainFlags struct {
	file, name           string
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

func explainCommand(_ context.Context, args []string, std stdio) int {
	stdout, stderr := std.out, std.err
	fail := func(err error) int {
		fmt.Fprintln(stderr, "corsctl explain: "+err.Error())
		return exitUsage
	}
	f, err := parseExplainFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errFlags):
		return exitUsage
	case err != nil:
		return fail(err)
	}
	data, err := os.ReadFile(f.file)
	if err != nil {
		return fail(err)
	}
	configuration, err := explain.Configuration(f.file, data, f.name)
	if err != nil {
		return fail(err)
	}
	request, err := f.request()
	if err != nil {
		return fail(err)
	}
	report, err := explain.Explain(configuration, request)
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Fprintf(stderr, "%s: %s\n", f.file, p.Error())
		}
		return exitUsage
	}
	if err != nil {
		return fail(err)
	}
	if f.output == "json" {
		e := json.NewEncoder(stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = report.Text(stdout)
	}
	switch {
	case err != nil:
		return fail(err)
	case !report.Allowed && !report.UpstreamDecides:
		return exitError
	}
	return exitOK
}

// errFlags is a mistake that package flag has told already.
var errFlags = errors.New("flags")

func parseExplainFlags(args []string, stderr io.Writer) (*explainFlags, error) {
	f := &explainFlags{given: map[string]bool{}}
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), explainUsage)
		flags.PrintDefaults()
	}
	flags.StringVar(&f.file, "c", "", "configuration (`file`)")
	flags.StringVar(&f.name, "name", "", "which configuration, where the file has several, by the `place` where it stands, such as spec.pluginConfig")
	flags.StringVar(&f.curl, "curl", "", "a `command` of curl as a browser's network panel copies it")
	flags.StringVar(&f.console, "console", "", "the `message` of Chromium's, Firefox's or Safari's console")
	flags.StringVar(&f.origin, "origin", "", "`origin` of the page, such as https://shop.example.com")
	flags.StringVar(&f.url, "url", "", "`URL` that the request goes to; an origin equal to its own is same-origin")
	flags.StringVar(&f.method, "method", "GET", "`method` of the request")
	flags.StringVar(&f.headers, "headers", "", "header `names` that the script sets, separated by commas; \"name: value\" for a value")
	flags.StringVar(&f.host, "host", "", "`host` that the request goes to, where rules ask for it")
	flags.StringVar(&f.path, "path", "/", "`path` that the request goes to, where rules ask for it")
	flags.BoolVar(&f.credentials, "credentials", false, "the script sends credentials, such as cookies")
	flags.BoolVar(&f.private, "private-network", false, "the target is in a more private network than the page")
	flags.Var(&f.upstream, "upstream-header", "a `'Name: value'` that upstream sends; may be repeated")
	flags.StringVar(&f.output, "o", "text", "`format`: text or json")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errFlags
	}
	flags.Visit(func(g *flag.Flag) { f.given[g.Name] = true })
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag; see corsctl explain -h", flags.Arg(0))
	case f.file == "":
		return nil, errors.New("no configuration; write -c FILE")
	case f.given["curl"] && f.given["console"]:
		return nil, errors.New("-curl and -console are two requests; write one of them")
	case f.given["url"] && (f.given["host"] || f.given["path"]):
		return nil, errors.New("-url has a host and a path of its own; leave out -host and -path")
	case f.output != "text" && f.output != "json":
		return nil, fmt.Errorf("-o %s is not known; write text or json", f.output)
	}
	return f, nil
}

// request puts together what was pasted and what the flags say.
func (f *explainFlags) request() (r explain.Request, err error) {
	var pasted explain.Pasted
	switch {
	case f.given["curl"]:
		pasted, err = explain.FromCurl(f.curl)
	case f.given["console"]:
		pasted, err = explain.FromConsole(f.console)
	}
	if err != nil {
		return r, err
	}
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
		return r, errors.New("the copied request has no Origin header: it is a navigation, or a GET to the page's own origin; add -origin https://shop.example.com where it is neither")
	case r.Origin == "":
		return r, errors.New("no origin; write -origin https://shop.example.com")
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
		if r.Scheme, r.Host, r.Path, err = explain.Target(target); err != nil {
			return r, err
		}
	}
	if needed, _ := r.NeedsPreflight(); pasted.Preflight && !needed && !r.PrivateNetwork {
		return r, errors.New("the message is about a preflight, and does not say what the request would be: add -method PUT, for example, or -headers content-type")
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
