// Command corsctl is the command-line tool of the CORS filter: it serves policies, in Envoy
// and without, checks configurations and explains decisions. It is not part of
// the module and may import what it likes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
	// exitInterrupted is what shells report of a command that SIGINT ended.
	exitInterrupted = 130
)

// stdio is what a command reads from and writes to.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// commands are in the order of the help. They are filled in by init, since some
// look at the list themselves.
var commands []command

func init() {
	run := func(c command, run func(context.Context, []string, stdio) int) command {
		c.run = run
		return c
	}
	commands = []command{
		run(serveCommand, runServe),
		run(checkCommand, check),
		run(explainCommand, explainRequest),
		run(testCommand, testPolicy),
		run(verifyCommand, verifyServer),
		run(convertCommand, convertPolicies),
		run(diffCommand, compare),
		run(completionCommand, completion),
		run(versionCommand, sayVersion),
	}
}

func main() {
	// SIGHUP arrives when the terminal is closed. The Envoy that was started is not in its
	// process group, and would keep running.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// The second Ctrl-C does not wait for requests in flight.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, std stdio) int {
	if len(args) == 0 {
		usage(std.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return help(args[1:], std)
	case "-version", "--version":
		args = append([]string{versionCommand.name}, args[1:]...)
	case "complete":
		return complete(args[1:], std)
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.start(ctx, args[1:], std)
		}
	}
	return unknown(args[0], std)
}

func unknown(name string, std stdio) int {
	names := []string{"help"}
	for _, c := range commands {
		names = append(names, c.name)
	}
	hint := didYouMean(name, names)
	if _, err := os.Stat(name); err == nil {
		hint = "; that is a file: corsctl check " + name
	}
	fmt.Fprintf(std.err, "corsctl: unknown command %q%s\n\n", name, hint)
	usage(std.err)
	return exitUsage
}

// help shows the help of a command, or what commands there are.
func help(args []string, std stdio) int {
	if len(args) == 0 {
		usage(std.out)
		return exitOK
	}
	for _, c := range commands {
		if c.name == args[0] {
			c.help(std.out)
			return exitOK
		}
	}
	return unknown(args[0], std)
}

// start runs the command until it ends or is interrupted, whatever it is doing: reading an
// endless file does not look at ctx.
func (c command) start(ctx context.Context, args []string, std stdio) int {
	if c.ends {
		return c.run(ctx, args, std)
	}
	code := make(chan int, 1)
	go func() { code <- c.run(ctx, args, std) }()
	select {
	case code := <-code:
		return code
	case <-ctx.Done():
		fmt.Fprintf(std.err, "corsctl %s: interrupted\n", c.name)
		return exitInterrupted
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: corsctl <command> [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-12s%s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\ncorsctl <command> -h shows the flags of a command, with examples.\n")
}
