package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"

	"corsfilter/internal/demo"
	"corsfilter/internal/envoy"
	"corsfilter/internal/host"
	"corsfilter/internal/serve"
)

var serveCommand = command{
	name:    "serve",
	summary: "serve an envoy.yaml in Envoy, or a policy without Envoy, for development and tests",
	usage: []string{
		"serve [-c envoy.yaml] [flags]",
		"serve -c FILE -upstream http://127.0.0.1:3000 [flags]",
	},
	text: `Serves a policy until you interrupt it. FILE is a policy in any form that corsctl
check or convert reads; the default is envoy.yaml in the current folder.

If FILE is an Envoy bootstrap, it runs Envoy with it: the one that -envoy or the
variable ENVOY names, or the one on PATH. For any other policy, and with -envoy
none, a small proxy that runs the module serves the policy in front of your
server. That proxy is for development and tests; in production the module runs in
Envoy.

With -watch it reloads FILE and the module when they change. Requests in progress
keep the policy that they started with, and no connection is dropped. A change
that is refused is reported, and the previous policy stays in effect.`,
	examples: []example{
		{"Envoy with the envoy.yaml in this folder, reloaded on every change:", "corsctl serve -watch"},
		{"A policy in front of a server on port 3000:", "corsctl serve -c policy.json -upstream http://127.0.0.1:3000"},
		{"The policy with the demo page and its upstream:", "corsctl serve -c policy.json -demo"},
	},
	exits: []exit{
		{exitOK, "interrupted"},
		{exitError, "it could not be served, or serving ended"},
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
	policy           configurationFlags
	bootstrap        bool // it is run in Envoy
	upstream, listen string
	module, envoy    string
	watch            bool
	workers          int
	level            string
	demo             bool
	ports            demo.Ports
}

func newServeFlags() *serveFlags { return &serveFlags{ports: demo.DefaultPorts} }

func (f *serveFlags) declare(flags *flag.FlagSet) {
	f.policy.declare(flags, "c", "policy or Envoy bootstrap (`file`); - is standard input; the default is envoy.yaml in this folder")
	flags.Func("policy", "the same as -c FILE -envoy none (`file`)", func(file string) error {
		f.policy.file, f.envoy = file, noEnvoy
		return nil
	})
	flags.StringVar(&f.upstream, "upstream", "", "`URL` of the server behind the policy, such as http://127.0.0.1:3000")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:10000", "`address` to serve the policy on")
	flags.StringVar(&f.envoy, "envoy", "", "Envoy for a bootstrap (`file`), or none; the default is the one that the variable ENVOY names, else the one on PATH")
	flags.StringVar(&f.module, "module", "", "module to run (`file`) instead of the one that the bootstrap names; for a policy the default is the module built into a released corsctl, else cors.wasm in this folder, in dist, or next to corsctl")
	flags.BoolVar(&f.watch, "watch", false, "reload the files when they change")
	flags.IntVar(&f.workers, "workers", 1, "worker threads, each with its own VM of the module (`number`)")
	oneOf(flags, &f.level, "log-level", "info", "lowest `level` to log; at info, Envoy itself logs only warnings", levelChoices...)
	flags.BoolVar(&f.demo, "demo", false, "also start the demo: an upstream, and a page on two origins")
	flags.IntVar(&f.ports.Upstream, "demo-upstream-port", f.ports.Upstream, "`port` of the demo's upstream; clusters that name port 9000 of 127.0.0.1 go there")
	flags.IntVar(&f.ports.Page, "demo-port", f.ports.Page, "`port` of the demo page")
	flags.IntVar(&f.ports.Other, "demo-other-port", f.ports.Other, "`port` of the same page on another origin")
}

const (
	// usualBootstrap is served where none is named.
	usualBootstrap = "envoy.yaml"
	// noEnvoy in place of an Envoy serves without.
	noEnvoy = "none"
)

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
		if _, err := os.Stat(usualBootstrap); err != nil {
			return nil, errors.New("there is no " + usualBootstrap + " in this folder; name a policy or an Envoy bootstrap with -c FILE")
		}
		f.policy.file = usualBootstrap
	}
	file := f.policy.file
	if f.envoy != noEnvoy && file != stdinName {
		_, text, err := readInput(std.in, file, os.ReadFile)
		if err != nil {
			return nil, err
		}
		f.bootstrap = serve.IsBootstrap(text)
	}
	if f.bootstrap {
		for _, name := range []string{"upstream", "listen", "name", "plugin"} {
			if given[name] {
				return nil, fmt.Errorf("-%s: %s is an Envoy bootstrap, which sets that itself; add -envoy none to serve its policy without Envoy", name, file)
			}
		}
		return f, nil
	}
	switch {
	case given["c"] && given["policy"]:
		return nil, errors.New("-c and -policy both name what to serve; use one of them")
	case given["envoy"] && f.envoy != noEnvoy:
		return nil, fmt.Errorf("-envoy: %s is not an Envoy bootstrap, and policies are served without Envoy", file)
	case f.upstream == "" && !f.demo:
		return nil, fmt.Errorf("%s: a policy needs a server behind it; add -upstream http://127.0.0.1:3000, or -demo", file)
	case f.upstream != "" && f.demo:
		return nil, errors.New("-upstream and -demo both name a server; use one of them")
	case f.watch && file == stdinName:
		return nil, errors.New("-watch cannot watch standard input; name a file")
	}
	if f.upstream != "" {
		var err error
		if f.upstream, err = upstreamAddress(f.upstream); err != nil {
			return nil, fmt.Errorf("-upstream: %w", err)
		}
	}
	var err error
	if f.listen, err = listenAddress(f.listen); err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	return f, nil
}

func runServe(ctx context.Context, args []string, std stdio) int {
	f, err := parseServeFlags(args, std)
	if err != nil {
		return serveCommand.mistake(err, std)
	}
	if err := f.serve(ctx, std); err != nil && ctx.Err() == nil {
		fmt.Fprintln(std.err, "corsctl serve: "+err.Error())
		return exitError
	}
	return exitOK
}

// server is what serves: Envoy, or the proxy that does without.
type server interface {
	Listeners() ([]serve.Listener, error)
	Configurations() [][]byte // of the wasm filters
	Counters() map[string]uint64
	Ended() <-chan struct{} // closed where it ends by itself
	Close() error
}

func (f *serveFlags) serve(ctx context.Context, std stdio) error {
	live := demo.NewLive()
	var running *demo.Demo
	var onEvent func(demo.Event)
	if f.demo {
		var err error
		if running, err = demo.Start(ctx, f.ports, live); err != nil {
			return fmt.Errorf("%w; or choose other ports with -demo-upstream-port, -demo-port and -demo-other-port", err)
		}
		defer running.Close()
		onEvent = live.Publish
	}
	files := newWatched()
	start := f.startProxy
	if f.bootstrap {
		start = f.startEnvoy
	}
	s, reload, err := start(ctx, std, files, running, onEvent)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-s.Ended():
			stop()
		case <-serving.Done():
		}
	}()
	err = f.attend(serving, std, s, reload, files, running, live)
	if err == nil && ctx.Err() == nil {
		err = errors.New("the Envoy process has exited")
	}
	return errors.Join(err, s.Close())
}

// attend announces what is served, and reloads files, until ctx ends.
func (f *serveFlags) attend(ctx context.Context, std stdio, s server, reload func() error, files *watched, d *demo.Demo, live *demo.Live) error {
	listeners, err := s.Listeners()
	if err != nil {
		return err
	}
	for _, l := range listeners {
		fmt.Fprintf(std.out, "listener %s: http://%s\n", l.Name, l.Address)
	}
	if e, ok := s.(*serve.Envoy); ok {
		fmt.Fprintf(std.out, "admin: http://%s\n", e.Admin())
	}
	if d != nil {
		announce(std.out, show(listeners, s, d, live), d, localURL(listeners[0].Address))
	}
	if f.watch {
		fmt.Fprintf(std.out, "watching %s\n", strings.Join(files.names(), ", "))
		for files.wait(ctx) {
			err := reload()
			if err == nil {
				listeners, err = s.Listeners()
			}
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				fmt.Fprintf(std.err, "corsctl serve: the change is refused, and the previous policy stays in effect: %v\n", err)
				continue
			case d != nil:
				show(listeners, s, d, live)
			}
			fmt.Fprintf(std.out, "serving the changed %s\n", f.policy.file)
		}
	}
	<-ctx.Done()
	return nil
}

// show shows the demo's pages what is served.
func show(listeners []serve.Listener, s server, d *demo.Demo, live *demo.Live) *demo.Policy {
	base := localURL(listeners[0].Address)
	policy := demo.FindPolicy(s.Configurations(), base, localURL(d.Page), localURL(d.Other))
	live.Show(demo.Gateway{URL: base, Counters: s.Counters, Policy: policy})
	return policy
}

// startEnvoy runs a bootstrap in Envoy.
func (f *serveFlags) startEnvoy(ctx context.Context, std stdio, files *watched, d *demo.Demo, onEvent func(demo.Event)) (server, func() error, error) {
	text, err := files.read(f.policy.file)
	if err != nil {
		return nil, nil, err
	}
	program, err := f.findEnvoy()
	if err != nil {
		return nil, nil, err
	}
	options := serve.EnvoyOptions{
		Program: program, Module: f.module, ReadFile: f.moduleFile(std, files), Watch: f.watch, OnEvent: onEvent,
		Workers: f.workers, LogLevel: f.level, Stdout: std.out, Stderr: std.err,
	}
	if d != nil {
		options.DemoUpstream = d.Upstream
	}
	fmt.Fprintf(std.out, "starting %s; compiling the module takes a few seconds\n", program)
	e, err := serve.StartEnvoy(ctx, text, options)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.policy.file, err)
	}
	return e, func() error {
		text, err := files.read(f.policy.file)
		if err != nil {
			return err
		}
		return e.Reload(text)
	}, nil
}

func (f *serveFlags) findEnvoy() (string, error) {
	if f.envoy != "" {
		program, err := exec.LookPath(f.envoy)
		if err != nil {
			return "", fmt.Errorf("-envoy: %w", err)
		}
		return program, nil
	}
	program, err := envoy.Find()
	if err != nil {
		return "", fmt.Errorf("%w; put Envoy on PATH, name it with ENVOY or -envoy, or serve the policy without it: corsctl serve -c %s -envoy none -upstream http://127.0.0.1:3000", err, f.policy.file)
	}
	return program, nil
}

// moduleFile reads the modules that a bootstrap names. One that is not there is the one
// built in, where there is one.
func (f *serveFlags) moduleFile(std stdio, files *watched) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		module, err := files.read(name)
		if errors.Is(err, fs.ErrNotExist) && f.module == "" && builtIn != nil {
			fmt.Fprintf(std.out, "%s does not exist; using the module built into this corsctl\n", name)
			return builtIn, nil
		}
		return module, err
	}
}

// startProxy serves a policy without Envoy.
func (f *serveFlags) startProxy(ctx context.Context, std stdio, files *watched, d *demo.Demo, onEvent func(demo.Event)) (server, func() error, error) {
	load := func() (p serve.Policy, err error) {
		found, err := f.policy.configuration(serveCommand.name, std, files.read)
		if err != nil {
			return p, err
		}
		p.Configuration = found.JSON
		if p.Module = builtIn; f.module == "" && builtIn != nil {
			return p, nil
		}
		module := f.module
		if module == "" {
			if module, err = usualModule(); err != nil {
				return p, err
			}
		}
		if p.Module, err = files.read(module); err != nil {
			return p, fmt.Errorf("-module: %w; build it with make build", err)
		}
		return p, nil
	}
	options := serve.ProxyOptions{
		Listen: f.listen, Upstream: f.upstream, Workers: f.workers, AccessLog: std.out, Log: std.err, LogLevel: logLevels[f.level], OnEvent: onEvent,
	}
	if d != nil {
		options.Upstream = d.Upstream
	}
	policy, err := load()
	if err != nil {
		return nil, nil, err
	}
	p, err := serve.StartProxy(ctx, policy, options)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintln(std.out, "This is a development and test tool; in production the module runs in Envoy.")
	return p, func() error {
		policy, err := load()
		if err != nil {
			return err
		}
		return p.Reload(policy)
	}, nil
}

// localURL is how a browser on this machine calls an address.
func localURL(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return "http://localhost:" + port
}

// announce says what to look at. What it says about the policy follows from the one in
// effect.
func announce(w io.Writer, policy *demo.Policy, d *demo.Demo, base string) {
	stands := func(page string) string {
		if policy == nil {
			return policy.Standing(page)
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

Ctrl-C stops everything.
`, page, stands(page), other, stands(other), base)
}
