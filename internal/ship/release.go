package ship

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Target is a system that corsctl is built for, in Go's names.
type Target struct{ OS, Arch string }

// Targets are the systems of a release.
var Targets = []Target{
	{"linux", "amd64"}, {"linux", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// file is the name of corsctl for a target.
func (t Target) file() string {
	name := "corsctl-" + t.OS + "-" + t.Arch
	if t.OS == "windows" {
		name += ".exe"
	}
	return name
}

// Release is one release to be made.
type Release struct {
	// Root is the repository's folder. The files go to its folder dist, which is
	// emptied first, as make clean does.
	Root string
	// Version is without a leading v.
	Version string
	Targets []Target
	// Stdout gets one line for each step and file, Stderr what the commands print.
	Stdout, Stderr io.Writer
}

// Make checks that the release may be made, builds it and returns the names of
// its files. The checks come first: nothing is written where one fails.
func (r *Release) Make(ctx context.Context) ([]string, error) {
	source, notes, err := r.allowed()
	if err != nil {
		return nil, err
	}
	r.say("make check")
	if err := r.command(ctx, nil, "make", "check").Run(); err != nil {
		return nil, fmt.Errorf("make check: %w; a release needs it to pass", err)
	}
	// What an earlier release left there must not be taken for part of this one.
	if err := os.RemoveAll(r.dist()); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.dist(), 0o755); err != nil {
		return nil, err
	}
	r.say("make build VERSION=" + r.Version)
	if err := r.command(ctx, nil, "make", "build", "VERSION="+r.Version).Run(); err != nil {
		return nil, fmt.Errorf("make build: %w", err)
	}
	if err := r.writeFiles(ctx, source, notes); err != nil {
		return nil, err
	}
	return r.checksums()
}

// allowed collects what stands against the release.
func (r *Release) allowed() (source Source, notes string, err error) {
	changelog, err := os.ReadFile(filepath.Join(r.Root, "CHANGELOG.md"))
	if err != nil {
		return source, "", err
	}
	notes, noNotes := Notes(string(changelog), r.Version)
	source, err = Describe(r.Root, r.Version)
	if err != nil {
		return source, "", errors.Join(noNotes, err)
	}
	var unclean error
	if source.Dirty() {
		changes, _ := git(r.Root, "status", "--short")
		unclean = fmt.Errorf("the tree is not clean; commit or remove:\n%s", changes)
	}
	return source, notes, errors.Join(noNotes, unclean, r.untagged(source))
}

// untagged refuses a version that names another commit already.
func (r *Release) untagged(source Source) error {
	tag := "v" + r.Version
	commit, err := git(r.Root, "rev-parse", "--verify", "--quiet", "refs/tags/"+tag+"^{commit}")
	if err != nil || commit == strings.TrimSuffix(source.Commit, dirty) {
		return nil // no such tag, or it is this commit's
	}
	return fmt.Errorf("the tag %s names commit %s; check that out, or choose a new version", tag, commit)
}

func (r *Release) writeFiles(ctx context.Context, source Source, notes string) error {
	dist := r.dist()
	wasm, err := os.ReadFile(filepath.Join(dist, products[0].name))
	if err != nil {
		return err
	}
	image, err := Image(wasm, source)
	if err != nil {
		return err
	}
	artifact, err := Artifact(wasm, source)
	if err != nil {
		return err
	}
	if err := WriteImages(r.Stdout, dist, image, artifact, source); err != nil {
		return err
	}
	ldflags := "-s -w -X corsfilter/internal/version.release=" + source.Version + " -X corsfilter/internal/version.commit=" + source.Commit
	for _, target := range r.Targets {
		r.say(target.file())
		build := r.command(ctx, []string{"CGO_ENABLED=0", "GOOS=" + target.OS, "GOARCH=" + target.Arch},
			"go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+ldflags, "-o", filepath.Join("dist", target.file()), "./cmd/corsctl")
		if err := build.Run(); err != nil {
			return fmt.Errorf("%s: %w", target.file(), err)
		}
	}
	r.say("sbom.cdx.json")
	if err := writeSBOM(ctx, r.Root, filepath.Join(dist, "sbom.cdx.json"), source); err != nil {
		return err
	}
	schema, err := os.ReadFile(filepath.Join(r.Root, "config", "schema.json"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dist, "schema.json"), schema, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dist, "notes.md"), []byte(notes), 0o644)
}

// checksums writes checksums.txt in the form of sha256sum, and returns the
// names of all files.
func (r *Release) checksums() ([]string, error) {
	entries, err := os.ReadDir(r.dist())
	if err != nil {
		return nil, err
	}
	var names []string
	var list strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(r.dist(), entry.Name()))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(content), entry.Name())
		names = append(names, entry.Name())
	}
	if err := os.WriteFile(filepath.Join(r.dist(), "checksums.txt"), []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	names = append(names, "checksums.txt")
	slices.Sort(names)
	return names, nil
}

func (r *Release) dist() string { return filepath.Join(r.Root, "dist") }

func (r *Release) say(step string) { fmt.Fprintln(r.Stdout, "release: "+step) }

// command is run in the repository, with more in its environment.
func (r *Release) command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.Root
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = r.Stderr, r.Stderr
	return cmd
}
