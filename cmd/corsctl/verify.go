package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
	"corsfilter/internal/lint"
	"corsfilter/internal/progress"
	"corsfilter/internal/verify"
)

var verifyCommand = command{
	name:    "verify",
	summary: "check how a live server answers",
	usage: []string{
		"verify -c FILE [flags] URL",
		"verify -cases FILE [flags] URL",
		"verify [-origin ORIGIN] [flags] URL",
	},
	text: `Sends requests to a live server and reports wrong answers with their likely cause:
the response bypassed the filter, another policy is in effect, something else adds
a second Access-Control-Allow-Origin, a redirect or authentication comes before
the filter.

With -c it derives the requests from the policy in FILE, in any form that corsctl
check or convert reads: allowed origins and the nearest that are not, methods and
headers in and out of the lists, requests without Origin. It compares each answer
header by header with what the filter would send. It tests all rules for the URL's
host; if the URL has a path, only the rule for that path.

With -cases it sends the requests of a file for corsctl test.

Without either it looks for dangerous behaviour: any origin, null or similar names
are allowed; plain http is allowed with credentials; answers depend on Origin
without Vary; preflights are redirected or asked for credentials. With -origin it
also says what a page of that origin could read.

It sends only OPTIONS, GET and HEAD: for any other method it sends the preflight
and then a GET, unless -unsafe-methods is given. It follows no redirects.`,
	examples: []example{
		{"Is this policy in effect there?", "corsctl verify -c policy.json https://api.example.com"},
		{"What may this page do there?", "corsctl verify -origin https://shop.example.com -method PUT -headers content-type https://api.example.com/v1/orders"},
		{"A proxy on this machine, with the rules of all hosts:", "corsctl verify -c policy.json http://localhost:10000"},
	},
	exits: []exit{
		{exitOK, "all answers are right; warnings do not count"},
		{exitError, "some are wrong, or there is no answer"},
		{exitUsage, "the command is wrong, or a file cannot be read"},
	},
	flags: func(flags *flag.FlagSet) { (&verifyFlags{}).declare(flags) },
}

// verifyFlags are the command's flags.
type verifyFlags struct {
	configurationFlags
	cases          string
	origin, method string
	names          string // of headers
	credentials    bool
	headers        headerLines
	options        verify.Options
	output         string
	url            string
}

func (f *verifyFlags) declare(flags *flag.FlagSet) {
	f.configurationFlags.declare(flags, "c", "policy that should be in effect there (`file`); - is standard input")
	flags.StringVar(&f.cases, "cases", "", "cases (`file`) as corsctl test reads them")
	flags.StringVar(&f.origin, "origin", "", "`origin` of the page, such as https://shop.example.com")
	flags.StringVar(&f.method, "method", "GET", "`method` of the request")
	flags.StringVar(&f.names, "headers", "", "header `names` that the script sets, separated by commas; \"name: value\" sets a value")
	flags.BoolVar(&f.credentials, "credentials", false, "the script sends credentials, such as cookies")
	flags.Var(&f.headers, "header", "a header to send, as `'Name: value'`, such as a token; preflights do not get it; may be repeated")
	flags.BoolVar(&f.options.Unsafe, "unsafe-methods", false, "really send methods that may change something on the server")
	flags.BoolVar(&f.options.AnyHost, "any-host", false, "also send requests for other hosts in the rules and cases to the URL's address; always on for localhost and IP addresses")
	flags.BoolVar(&f.options.Insecure, "insecure", false, "accept any certificate")
	flags.Func("resolve", "`HOST:PORT:ADDRESS` to connect to, instead of asking DNS; may be repeated", func(text string) error {
		from, to, err := verify.ParseResolve(text)
		if err == nil {
			f.options.Resolve[from] = to
		}
		return err
	})
	f.options.Resolve = map[string]string{}
	flags.IntVar(&f.options.Max, "max", 200, "`number` of requests at most")
	flags.Float64Var(&f.options.Rate, "rate", 20, "`number` of requests per second at most")
	flags.DurationVar(&f.options.Timeout, "timeout", 10*time.Second, "`time` to wait for an answer")
	outputFlag(flags, &f.output, "junit", "github")
}

func parseVerifyFlags(args []string, std stdio) (*verifyFlags, error) {
	f := &verifyFlags{}
	flags := flag.NewFlagSet(verifyCommand.name, flag.ContinueOnError)
	f.declare(flags)
	if err := verifyCommand.parse(flags, args, std); err != nil {
		return nil, err
	}
	page := false
	flags.Visit(func(g *flag.Flag) {
		page = page || slices.Contains([]string{"method", "headers", "credentials"}, g.Name)
	})
	switch {
	case flags.NArg() == 0:
		return nil, errors.New("no URL; add the server's after the flags, such as https://api.example.com")
	case flags.NArg() > 1:
		return nil, fmt.Errorf("unexpected %q: give one URL, after the flags", flags.Arg(1))
	case f.file != "" && f.cases != "":
		return nil, errors.New("-c and -cases both say what to send; use one of them")
	case (f.file != "" || f.cases != "") && f.origin != "":
		return nil, errors.New("-origin is for a run without -c and -cases")
	case page && f.origin == "":
		return nil, errors.New("-method, -headers and -credentials describe a page's request; add -origin https://shop.example.com")
	case f.options.Max < 1 || f.options.Rate <= 0 || f.options.Timeout <= 0:
		return nil, errors.New("-max, -rate and -timeout must be above 0")
	}
	f.options.Headers = f.headers
	f.url = flags.Arg(0)
	return f, nil
}

func verifyServer(ctx context.Context, args []string, std stdio) int {
	c := verifyCommand
	f, err := parseVerifyFlags(args, std)
	if err != nil {
		return c.mistake(err, std)
	}
	client, err := verify.NewClient(f.url, f.options)
	if err != nil {
		return c.mistake(err, std)
	}
	defer client.Close()
	results, leftOut, err := f.ask(ctx, client, std)
	if err != nil {
		return c.mistake(err, std)
	}
	for _, why := range leftOut {
		fmt.Fprintf(std.err, "corsctl verify: left out: %s\n", why)
	}
	if len(results) == 0 {
		fmt.Fprintln(std.err, "corsctl verify: nothing was sent; use the URL of a host in the policy or the cases, or add -any-host")
		return exitError
	}
	return printResults(std, c, f.output, f.url, results)
}

// ask sends what the flags say.
func (f *verifyFlags) ask(ctx context.Context, client *verify.Client, std stdio) (results []verify.Result, leftOut []string, err error) {
	show := func(total int) (stop func()) {
		meter := progress.Start(std.err, "requests", int64(total))
		client.Asked = func() { meter.Add(1) }
		return meter.Stop
	}
	switch {
	case f.file != "":
		configuration, err := f.configuration(verifyCommand.name, std, os.ReadFile)
		if err != nil {
			return nil, nil, err
		}
		plan, err := verify.Derive(configuration.JSON, client.Target(), f.options.Max)
		if err != nil {
			return nil, nil, err
		}
		defer show(len(plan.Requests))()
		return client.Run(ctx, plan), plan.LeftOut, nil
	case f.cases != "":
		cases, err := readCases(std.in, f.cases)
		if err != nil {
			return nil, nil, err
		}
		defer show(min(2*len(cases), f.options.Max))() // a preflight and the request itself
		results, leftOut = client.Cases(ctx, cases)
		return results, leftOut, nil
	case f.origin != "":
		if err := explain.CheckOrigin(f.origin); err != nil {
			return nil, nil, fmt.Errorf("-origin: %w", err)
		}
		page := browser.Request{Origin: f.origin, Method: f.method, Headers: parseHeaders(f.names), Credentials: f.credentials}
		if err := page.Validate(); err != nil {
			return nil, nil, err
		}
		results = append(results, client.Page(ctx, page))
		if results[0].Code == verify.NoAnswer {
			return results, nil, nil
		}
	}
	defer show(verify.ProbeRequests)()
	return append(results, client.Probe(ctx, f.origin)...), nil, nil
}

// maxAlike is how many results that say the same are shown as text.
const maxAlike = 3

// printResults prints results, and returns the exit code.
func printResults(std stdio, c command, format, of string, results []verify.Result) int {
	var rows []outcome
	for _, r := range results {
		o := outcome{name: r.Name, severity: r.Severity, code: string(r.Code), file: r.File, line: r.Line, column: 1, detail: detail(r)}
		if o.message = r.Message; r.Remedy != "" {
			o.message += "; " + r.Remedy
		}
		rows = append(rows, o)
	}
	var err error
	if format == "text" {
		err = writeResults(std.out, of, rows)
	} else {
		err = writeOutcomes(std.out, format, "corsctl "+c.name+" "+of, rows, results)
	}
	if err != nil {
		return c.mistake(err, std)
	}
	if slices.ContainsFunc(rows, func(o outcome) bool { return o.severity == lint.Error }) {
		return exitError
	}
	return exitOK
}

// writeResults writes the findings as text, and their number.
func writeResults(w io.Writer, of string, rows []outcome) error {
	var b strings.Builder
	type kind struct{ code, message string }
	alike, count, more := map[kind]int{}, map[lint.Severity]int{}, 0
	for _, o := range rows {
		count[o.severity]++
		if o.severity == "" {
			if o.message != "" {
				fmt.Fprintf(&b, "ok: %s: %s\n", o.name, o.message)
			}
			continue
		}
		k := kind{o.code, o.message}
		if alike[k]++; alike[k] > maxAlike && o.file == "" {
			more++
			continue
		}
		if o.file != "" {
			fmt.Fprintf(&b, "%s:%d: ", o.file, o.line)
		}
		fmt.Fprintf(&b, "%s: %s: %s [%s]\n%s", o.severity, o.name, o.message, o.code, indented(o.detail))
	}
	if more > 0 {
		fmt.Fprintf(&b, "… and %d more for the same reasons; -o json lists all\n", more)
	}
	fmt.Fprintf(&b, "%s: %d of %d as expected, %s, %s\n", of, count[""], len(rows), plural(count[lint.Error], "error"), plural(count[lint.Warning], "warning"))
	_, err := io.WriteString(w, b.String())
	return err
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// detail is what a result shows besides its message.
func detail(r verify.Result) string {
	var b strings.Builder
	for _, x := range r.Exchanges {
		if x.Status != 0 {
			fmt.Fprintf(&b, "%s %s: %d\n", x.Method, x.URL, x.Status)
		}
	}
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "%s: expected %s, got %s\n", d.Header, d.Want, d.Got)
	}
	if r.Explained != nil {
		r.Explained.Text(&b) // which a Builder takes
	}
	return b.String()
}
