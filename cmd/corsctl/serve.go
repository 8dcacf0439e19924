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
	"sync/atomic"

	"corsfilter/internal/demo"
	"corsfilter/internal/gateway"
	"corsfilter/internal/host"
	"corsfilter/internal/inforce"
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

// serveFlags are the command's flags.
type serveFlags struct {
	file, module string
	workers      int
	level        host.LogLevel
	demo         bool
	ports        demo.Ports
}

func parseServeFlags(args []string, stderr io.Writer) (*serveFlags, error) {
	f := &serveFlags{ports: demo.DefaultPorts}
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), serveUsage)
		flags.PrintDefaults()
	}
	flags.StringVar(&f.file, "c", "", "Envoy bootstrap to serve, in YAML or JSON (`file`); unless told, envoy.yaml in this folder")
	flags.IntVar(&f.workers, "workers", 1, "worker threads, each with its own VM (`number`)")
	level := flags.String("log-level", "info", "least `level` to log: trace, debug, info, warning, error, critical")
	flags.StringVar(&f.module, "module", "", "module to run in place of those that the bootstrap names (`file`)")
	flags.BoolVar(&f.demo, "demo", false, "also start the demo: an upstream, and a page that comes from two origins")
	flags.IntVar(&f.ports.Upstream, "demo-upstream-port", f.ports.Upstream, "`port` of the demo's upstream; clusters that name port 9000 of 127.0.0.1 go there")
	flags.IntVar(&f.ports.Page, "demo-port", f.ports.Page, "`port` of the demo page")
	flags.IntVar(&f.ports.Other, "demo-other-port", f.ports.Other, "`port` of the same page from another origin")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errFlags
	}
	var known bool
	f.level, known = logLevels[*level]
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case f.file == "":
		if _, err := os.Stat(usualBootstrap); err != nil {
			return nil, errors.New("-c is missing, and there is no " + usualBootstrap + " in this folder: name the bootstrap")
		}
		f.file = usualBootstrap
	case f.workers < 1 || f.workers > 256:
		return nil, fmt.Errorf("-workers %d: a number from 1 to 256", f.workers)
	case !known:
		return nil, fmt.Errorf("-log-level %q: one of trace, debug, info, warning, error, critical", *level)
	}
	for name, port := range map[string]int{"demo-upstream-port": f.ports.Upstream, "demo-port": f.ports.Page, "demo-other-port": f.ports.Other} {
		if port < 0 || port > 65535 {
			return nil, fmt.Errorf("-%s %d: a number from 0 (any that is free) to 65535", name, port)
		}
	}
	return f, nil
}

// usualBootstrap is served where none is named.
const usualBootstrap = "envoy.yaml"

func serve(ctx context.Context, args []string, std stdio) int {
	f, err := parseServeFlags(args, std.err)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		if !errors.Is(err, errFlags) {
			fmt.Fprintln(std.err, "corsctl serve: "+err.Error())
		}
		return exitUsage
	}
	if err := f.serve(ctx, std); err != nil {
		fmt.Fprintln(std.err, "corsctl serve: "+err.Error())
		return exitError
	}
	return exitOK
}

func (f *serveFlags) serve(ctx context.Context, std stdio) error {
	config, err := load(f.file, f.module)
	if err != nil {
		return err
	}
	options := gateway.Options{Workers: f.workers, AccessLog: std.out, Log: std.err, LogLevel: f.level}
	live := demo.NewLive()
	var policy atomic.Pointer[inforce.Policy]
	var running *demo.Demo
	var noDemo error
	if f.demo {
		options.OnStream = func(e gateway.Event) { live.Publish(policy.Load().Describe(e)) }
		if running, noDemo = demo.Start(ctx, f.ports, live); noDemo == nil {
			defer running.Close()
			options.Endpoints = map[string]string{}
			for _, name := range config.ClustersAt(demoUpstream) {
				options.Endpoints[name] = running.Upstream
			}
		} else {
			noDemo = fmt.Errorf("%w; or choose other ports with -demo-upstream-port, -demo-port and -demo-other-port", noDemo)
		}
	}
	// Both are tried, so that every port in use is told at once.
	g, err := gateway.Start(ctx, config, options)
	if err := errors.Join(noDemo, err); err != nil {
		if g != nil {
			g.Close(ctx)
		}
		return err
	}
	fmt.Fprintln(std.out, "This is a development and test tool; in production the module runs in Envoy.")
	for _, name := range g.Listeners() {
		fmt.Fprintf(std.out, "listener %s: http://%s\n", name, g.Addr(name))
	}
	if g.AdminAddr() != "" {
		fmt.Fprintf(std.out, "admin: http://%s\n", g.AdminAddr())
	}
	if running != nil {
		base := localURL(g.Addr(g.Listeners()[0]))
		found := inforce.Find(config.Configurations(), base, localURL(running.Page), localURL(running.Other))
		policy.Store(found)
		var advise demo.Adviser
		if found != nil {
			advise = found.Advise
		}
		live.Show(counters(g.Metrics()), demo.Places{Gateway: base}, advise)
		announce(std.out, found, running, base)
	}
	<-g.Done()
	return g.Close(ctx)
}

// demoUpstream is where envoy.yaml expects the demo's upstream.
var demoUpstream = fmt.Sprintf("127.0.0.1:%d", demo.DefaultPorts.Upstream)

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

// announce says what there is to see. What it says of the policy follows from the
// one in force.
func announce(w io.Writer, policy *inforce.Policy, d *demo.Demo, base string) {
	stands := func(page string) string {
		if policy == nil {
			return "no policy of the filter is in force"
		}
		return "by the policy, this origin is " + policy.Standing(page)
	}
	page, other := localURL(d.Page), localURL(d.Other)
	fmt.Fprintf(w, `
Open %s (%s)
 and %s (%s).

Or try:
  curl -i -X OPTIONS %[5]s/ -H 'origin: %[1]s' -H 'access-control-request-method: PUT'
  curl -i -X OPTIONS %[5]s/ -H 'origin: https://evil.example' -H 'access-control-request-method: PUT'
  curl -i %[5]s/api/hello -H 'origin: %[1]s'

Ctrl-C ends all of it.
`, page, stands(page), other, stands(other), base)
}
