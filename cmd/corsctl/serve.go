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

var serveCommand = command{
	name:    "serve",
	summary: "serve an envoy.yaml, or a policy, for development and tests",
	usage: []string{
		"serve [-c envoy.yaml] [flags]",
		"serve -policy FILE -upstream http://127.0.0.1:3000 [flags]",
	},
	text: `Serves the listeners of an Envoy bootstrap, wasm filters included, until it is
interrupted. Unless told which, it takes the envoy.yaml of this folder. What it
can not do as Envoy does, it refuses with the path in the file. It is a
development and test tool; in production the module runs in Envoy.

With -policy it takes a bare policy, or one in anything that corsctl check reads,
and puts it in front of a server of yours.

With -watch it looks at the files that it was started from, the module included,
and takes them anew when they change. Requests that have begun end by what they
began with. A change that is refused is told, and what was served goes on.`,
	examples: []example{
		{"The envoy.yaml of this folder, anew whenever it changes:", "corsctl serve -watch"},
		{"A policy in front of a server on port 3000:", "corsctl serve -policy policy.json -upstream http://127.0.0.1:3000"},
		{"The policy with the demo's page and upstream:", "corsctl serve -policy policy.json -demo"},
	},
	exits: []exit{
		{exitOK, "interrupted"},
		{exitError, "it can not be served, or not any more"},
		{exitUsage, "the command is wrong"},
	},
	flags: func(flags *flag.FlagSet) { newServeFlags().declare(flags) },
	ends:  true,
}

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

// levelChoices are the names in the order of severity; warn is another name.
var levelChoices = []string{"trace", "debug", "info", "warning", "warn", "error", "critical"}

// serveFlags are the command's flags.
type serveFlags struct {
	file             string
	policy           configurationFlags
	upstream, listen string
	module           string
	watch            bool
	workers          int
	level            string
	demo             bool
	ports            demo.Ports
}

func newServeFlags() *serveFlags { return &serveFlags{ports: demo.DefaultPorts} }

func (f *serveFlags) declare(flags *flag.FlagSet) {
	flags.StringVar(&f.file, "c", "", "Envoy bootstrap to serve, in YAML or JSON (`file`); unless told, envoy.yaml in this folder")
	f.policy.declare(flags, "policy", "policy to serve in place of a bootstrap (`file`); - is standard input")
	flags.StringVar(&f.upstream, "upstream", "", "`URL` of the server that a policy is put in front of, such as http://127.0.0.1:3000")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:10000", "`address` that a policy is served on")
	flags.StringVar(&f.module, "module", "", "module to run (`file`) in place of those that the bootstrap names; for a policy, unless told, cors.wasm in this folder, in dist, or beside corsctl")
	flags.BoolVar(&f.watch, "watch", false, "take the files anew when they change")
	flags.IntVar(&f.workers, "workers", 1, "worker threads, each with its own VM (`number`)")
	oneOf(flags, &f.level, "log-level", "info", "least `level` to log", levelChoices...)
	flags.BoolVar(&f.demo, "demo", false, "also start the demo: an upstream, and a page that comes from two origins")
	flags.IntVar(&f.ports.Upstream, "demo-upstream-port", f.ports.Upstream, "`port` of the demo's upstream; clusters that name port 9000 of 127.0.0.1 go there")
	flags.IntVar(&f.ports.Page, "demo-port", f.ports.Page, "`port` of the demo page")
	flags.IntVar(&f.ports.Other, "demo-other-port", f.ports.Other, "`port` of the same page from another origin")
}

// usualBootstrap is served where none is named.
const usualBootstrap = "envoy.yaml"

func parseServeFlags(args []string, std stdio) (*serveFlags, error) {
	f := newServeFlags()
	flags := flag.NewFlagSet(serveCommand.name, flag.ContinueOnError)
	f.declare(flags)
	if err := serveCommand.parse(flags, args, std); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	flags.Visit(func(g *flag.Flag) { given[g.Name] = true })
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case f.workers < 1 || f.workers > 256:
		return nil, fmt.Errorf("-workers %d: a number from 1 to 256", f.workers)
	}
	for _, port := range []struct {
		name  string
		value int
	}{{"demo-upstream-port", f.ports.Upstream}, {"demo-port", f.ports.Page}, {"demo-other-port", f.ports.Other}} {
		if port.value < 0 || port.value > 65535 {
			return nil, fmt.Errorf("-%s %d: a number from 0 (any that is free) to 65535", port.name, port.value)
		}
	}
	if f.policy.file == "" {
		for _, name := range []string{"upstream", "listen", "name", "plugin"} {
			if given[name] {
				return nil, fmt.Errorf("-%s goes with -policy; a bootstrap says it itself", name)
			}
		}
		if f.file == "" {
			if _, err := os.Stat(usualBootstrap); err != nil {
				return nil, errors.New("-c is missing, and there is no " + usualBootstrap + " in this folder: name the bootstrap, or a policy with -policy")
			}
			f.file = usualBootstrap
		}
		return f, nil
	}
	switch {
	case f.file != "":
		return nil, errors.New("-c and -policy are two things to serve; write one of them")
	case f.upstream == "" && !f.demo:
		return nil, errors.New("-policy needs a server to stand in front of: write -upstream http://127.0.0.1:3000, or -demo")
	case f.upstream != "" && f.demo:
		return nil, errors.New("-upstream and -demo are two servers; write one of them")
	case f.watch && f.policy.file == stdinName:
		return nil, errors.New("-watch can not look at standard input; name a file")
	}
	if f.upstream != "" {
		if _, err := upstreamAddress(f.upstream); err != nil {
			return nil, fmt.Errorf("-upstream: %w", err)
		}
	}
	if _, _, err := listenAddress(f.listen); err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	return f, nil
}

// what names what is served.
func (f *serveFlags) what() string {
	if f.policy.file != "" {
		return f.policy.file
	}
	return f.file
}

func serve(ctx context.Context, args []string, std stdio) int {
	f, err := parseServeFlags(args, std)
	if err != nil {
		return serveCommand.mistake(err, std)
	}
	if err := f.serve(ctx, std); err != nil {
		fmt.Fprintln(std.err, "corsctl serve: "+err.Error())
		return exitError
	}
	return exitOK
}

func (f *serveFlags) serve(ctx context.Context, std stdio) error {
	files := newWatched()
	config, err := f.load(std, files)
	if err != nil {
		return err
	}
	options := gateway.Options{Workers: f.workers, AccessLog: std.out, Log: std.err, LogLevel: logLevels[f.level], Endpoints: map[string]string{}}
	live := demo.NewLive()
	var policy atomic.Pointer[inforce.Policy]
	var running *demo.Demo
	var noDemo error
	if f.demo {
		options.OnStream = func(e gateway.Event) { live.Publish(policy.Load().Describe(e)) }
		if running, noDemo = demo.Start(ctx, f.ports, live); noDemo == nil {
			defer running.Close()
			for _, name := range config.ClustersAt(demoUpstream) {
				options.Endpoints[name] = running.Upstream
			}
		} else {
			noDemo = fmt.Errorf("%w; or choose other ports with -demo-upstream-port, -demo-port and -demo-other-port", noDemo)
		}
	}
	if f.policy.file != "" {
		options.UpstreamTimeout = policyTimeout
		if f.upstream != "" {
			options.Endpoints[policyCluster], _ = upstreamAddress(f.upstream)
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
	show := func(*gateway.Config) {}
	if running != nil {
		show = func(config *gateway.Config) {
			base := localURL(g.Addr(g.Listeners()[0]))
			found := inforce.Find(config.Configurations(), base, localURL(running.Page), localURL(running.Other))
			policy.Store(found)
			var advise demo.Adviser
			if found != nil {
				advise = found.Advise
			}
			live.Show(counters(g.Metrics()), demo.Places{Gateway: base}, advise)
		}
		show(config)
		announce(std.out, policy.Load(), running, localURL(g.Addr(g.Listeners()[0])))
	}
	if f.watch {
		fmt.Fprintf(std.out, "watching %s\n", strings.Join(files.names(), ", "))
		f.reload(ctx, g, files, show, std)
	}
	<-g.Done()
	return g.Close(ctx)
}

// reload takes the files anew whenever they have changed, until ctx ends.
func (f *serveFlags) reload(ctx context.Context, g *gateway.Gateway, files *watched, show func(*gateway.Config), std stdio) {
	for files.wait(ctx) {
		config, err := f.load(std, files)
		if err == nil {
			err = g.Reload(ctx, config)
		}
		if err != nil {
			fmt.Fprintf(std.err, "corsctl serve: the change is not taken, and what was served goes on: %v\n", err)
			continue
		}
		show(config)
		fmt.Fprintf(std.out, "serving %s as it stands now\n", f.what())
	}
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

// load reads what is to be served, and notes the files that it consists of.
func (f *serveFlags) load(std stdio, files *watched) (*gateway.Config, error) {
	text, err := f.bootstrap(std, files)
	if err != nil {
		return nil, err
	}
	options := gateway.LoadOptions{ReadFile: files.read}
	module := f.module
	if module == "" && f.policy.file != "" {
		if module, err = usualModule(); err != nil {
			return nil, err
		}
	}
	if module != "" {
		if options.Module, err = files.read(module); err != nil {
			return nil, fmt.Errorf("-module: %w; build it with make build", err)
		}
	}
	config, err := gateway.Load(text, options)
	var problems gateway.Problems
	if !errors.As(err, &problems) {
		return config, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s can not be served:", f.what())
	for _, problem := range problems {
		b.WriteString("\n  " + problem.Error())
		if strings.HasSuffix(problem.Path, "vm_config.code.local.filename") {
			b.WriteString("; make build makes the module, and envoy.yaml finds it from the repository's root")
		}
	}
	return nil, errors.New(b.String())
}

// bootstrap returns the text of the bootstrap: a file, or one made around a policy.
func (f *serveFlags) bootstrap(std stdio, files *watched) ([]byte, error) {
	if f.policy.file == "" {
		text, err := files.read(f.file)
		if err != nil {
			return nil, fmt.Errorf("%w; name the bootstrap with -c", err)
		}
		return text, nil
	}
	configuration, err := f.policy.configuration(serveCommand.name, std, files.read)
	if err != nil {
		return nil, err
	}
	return policyBootstrap(configuration.JSON, f.listen)
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
