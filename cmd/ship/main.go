// Command ship packages the built module for installation, and lists what is linked
// into it. make image, make push and make release call it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"corsfilter/internal/ship"
)

const usage = `usage: ship <command> [flags]

  image  writes image.tar and artifact.tar, OCI image layouts of the module
  push   pushes both to a registry, with the credentials of docker login
  bom    prints the bill of materials of the module and of corsctl

ship <command> -h shows the flags of a command.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ship: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errors.New("no command")
	}
	flags := flag.NewFlagSet("ship "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		version             = flags.String("version", ship.Devel, "`version` without a leading v")
		module, dist, image string
	)
	if args[0] != "bom" {
		flags.StringVar(&module, "module", "dist/cors.wasm", "the built module (`file`)")
	}
	switch args[0] {
	case "image":
		flags.StringVar(&dist, "o", "dist", "where to write (`folder`)")
	case "push":
		flags.StringVar(&image, "image", "", "`reference` to push to, such as registry.example/team/corsfilter or with :tag")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch args[0] {
	case "image":
		return writeImages(stdout, module, dist, *version)
	case "push":
		return push(ctx, stdout, stderr, module, image, *version)
	case "bom":
		source, err := ship.Describe(".", *version)
		if err != nil {
			return err
		}
		return ship.BOM(ctx, stdout, ".", source)
	}
	fmt.Fprint(stderr, usage)
	return fmt.Errorf("unknown command %q", args[0])
}

// images packs the module both ways.
func images(module, version string) (image, artifact v1.Image, source ship.Source, err error) {
	wasm, err := os.ReadFile(module)
	if err != nil {
		return nil, nil, source, fmt.Errorf("%w; make build makes the module", err)
	}
	if source, err = ship.Describe(".", version); err != nil {
		return nil, nil, source, err
	}
	if image, err = ship.Image(wasm, source); err != nil {
		return nil, nil, source, err
	}
	artifact, err = ship.Artifact(wasm, source)
	return image, artifact, source, err
}

func writeImages(stdout io.Writer, module, dist, version string) error {
	image, artifact, source, err := images(module, version)
	if err != nil {
		return err
	}
	return ship.WriteImages(stdout, dist, image, artifact, source)
}

func push(ctx context.Context, stdout, stderr io.Writer, module, reference, version string) error {
	if reference == "" {
		return errors.New("no image; write make push IMAGE=REGISTRY/NAME")
	}
	image, artifact, source, err := images(module, version)
	if err != nil {
		return err
	}
	if source.Version == ship.Devel {
		fmt.Fprintln(stderr, "ship: the images call themselves "+ship.Devel+"; for a release write make push IMAGE="+reference+" VERSION=1.2.0")
	}
	if source.Dirty() {
		fmt.Fprintln(stderr, "ship: files differ from the commit, and the images say so: nobody can build them again")
	}
	pushed, err := ship.Push(ctx, reference, image, artifact, source)
	for _, p := range pushed {
		fmt.Fprintf(stdout, "%s@%s\n", p.Reference, p.Digest)
	}
	return err
}
