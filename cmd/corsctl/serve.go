package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"corsfilter/internal/demo"
	"corsfilter/internal/gateway"
	"corsfilter/internal/host"
)

const serveUsage = `usage: corsctl serve -c envoy.yaml [flags]

Serves the listeners of an Envoy bootstrap, wasm filters included, until it is
interrupted. What it can not do as Envoy does, it refuses with the path in the
file. It is a development and test tool; in production the module runs in Envoy.

`

// logLevels are Envoy's names.
var logLevels = map[string]host.LogLevel{
	"trace":    host.LogTrace,
	"debug":    host.LogDebug,
	"info":     host.LogInfo,
	"warning":  host.LogWarn,
	"warn":     host.LogWarn,
	"error":    host.LogError,
	"critical": host.LogCritical,
}

// demoPorts is replaced by tests.
var demoPorts = demo.DefaultPorts

// listen is replaced by tests; nil: the addresses of the file.
var listen func(name, address string) string

func serve(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), serveUsage)
		flags.PrintDefaults()
	}
	file := flags.String("c", "", "Envoy bootstrap to serve, in YAML or JSON (`file`)")
	workers := flags.Int("workers", 1, "worker threads, each with its own VM (`number`)")
	levelName := flags.String("log-level", "info", "least `level` to log: trace, debug, info, warning, error, critical")
	modulePath := flags.String("module", "", "module to run in place of those that the bootstrap names (`file`)")
	withDemo := flags.Bool("demo", false, "also start the demo: an upstream on port 9000 and a page on ports 8000 and 8001")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	level, known := logLevels[*levelName]
	mistake := ""
	switch {
	case flags.NArg() > 0:
		mistake = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case *file == "":
		mistake = "-c is missing: name the bootstrap, for example -c envoy.yaml"
	case *workers < 1 || *workers > 256:
		mistake = fmt.Sprintf("-workers %d: a number from 1 to 256", *workers)
	case !known:
		mistake = fmt.Sprintf("-log-level %q: one of trace, debug, info, warning, error, critical", *levelName)
	}
	if mistake != "" {
		fmt.Fprintln(stderr, "corsctl serve: "+mistake)
		return exitUsage
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "corsctl serve: "+err.Error())
		return exitError
	}
	config, err := load(*file, *modulePath)
	if err != nil {
		return fail(err)
	}
	var running *demo.Demo
	var onStream func(gateway.Event)
	live := demo.NewLive()
	if *withDemo {
		onStream = func(e gateway.Event) { live.Publish(e) }
		if running, err = demo.Start(ctx, demoPorts, live); err != nil {
			return fail(err)
		}
		defer running.Close()
	}
	g, err := gateway.Start(ctx, config, gateway.Options{
		Workers:   *workers,
		Listen:    listen,
		AccessLog: stdout,
		Log:       stderr,
		LogLevel:  level,
		OnStream:  onStream,
	})
	if err != nil {
		return fail(err)
	}
	fmt.Fprintln(stdout, "This is a development and test tool; in production the module runs in Envoy.")
	for _, name := range g.Listeners() {
		fmt.Fprintf(stdout, "listener %s: http://%s\n", name, g.Addr(name))
	}
	if g.AdminAddr() != "" {
		fmt.Fprintf(stdout, "admin: http://%s\n", g.AdminAddr())
	}
	if running != nil {
		live.Show(counters(g.Metrics()), demo.Places{
			Gateway: localURL(g.Addr(g.Listeners()[0])), Allowed: localURL(running.Allowed), Disallowed: localURL(running.Disallowed),
		})
		announce(stdout, running, g.Addr(g.Listeners()[0]))
	}
	<-g.Done()
	if err := g.Close(ctx); err != nil {
		return fail(err)
	}
	return exitOK
}

// counters returns what reads the values of all metrics.
func counters(metrics *host.Metrics) func() map[string]uint64 {
	return func() map[string]uint64 {
		values := map[string]uint64{}
		for _, metric := range metrics.All() {
			values[metric.Name] = metric.Value
		}
		return values
	}
}

// localURL is how a browser on this machine calls an address.
func localURL(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return "http://localhost:" + port
}

func load(file, modulePath string) (*gateway.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; name the bootstrap with -c", err)
	}
	var options gateway.LoadOptions
	if modulePath != "" {
		if options.Module, err = os.ReadFile(modulePath); err != nil {
			return nil, fmt.Errorf("-module: %w; build it with make build", err)
		}
	}
	config, err := gateway.Load(text, options)
	var problems gateway.Problems
	if !errors.As(err, &problems) {
		return config, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s can not be served:", file)
	for _, problem := range problems {
		b.WriteString("\n  " + problem.Error())
		if strings.HasSuffix(problem.Path, "vm_config.code.local.filename") {
			b.WriteString("; make build makes the module, and envoy.yaml finds it from the repository's root")
		}
	}
	return nil, errors.New(b.String())
}

// announce says what there is to see.
func announce(w io.Writer, d *demo.Demo, listener string) {
	base := localURL(listener)
	fmt.Fprintf(w, `
Open %s (an origin the policy allows)
 and %s (the same page, not allowed).

Or try:
  curl -i -X OPTIONS %[3]s/ -H 'origin: http://localhost:8000' -H 'access-control-request-method: PUT'
  curl -i -X OPTIONS %[3]s/ -H 'origin: https://evil.example' -H 'access-control-request-method: PUT'
  curl -i %[3]s/api/hello -H 'origin: http://localhost:8000'

Ctrl-C ends all of it.
`, localURL(d.Allowed), localURL(d.Disallowed), base)
}
