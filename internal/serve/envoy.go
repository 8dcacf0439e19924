package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"corsfilter/internal/demo"
	"corsfilter/internal/envoy"
)

// EnvoyOptions say how Envoy serves an envoy.yaml.
type EnvoyOptions struct {
	Program string // Envoy
	// Module is the name of the module that the wasm filters run; "": theirs.
	Module string
	// ReadFile reads the modules that are named; nil: os.ReadFile, relative to the
	// working directory as in Envoy.
	ReadFile func(name string) ([]byte, error)
	// Watch says that Reload is going to be called.
	Watch bool
	// DemoUpstream is the address of the demo's upstream, for the clusters that name
	// its usual one; "": they stay.
	DemoUpstream string
	// OnEvent is called with every exchange; nil: nothing is.
	OnEvent func(demo.Event)
	// Workers and LogLevel are Envoy's --concurrency and --log-level. At "info" the
	// modules' lines are shown from there on, and Envoy's own from "warning" on.
	Workers  int
	LogLevel string
	// Stdout takes the access log, Stderr what Envoy and the modules say.
	Stdout, Stderr io.Writer
}

// Envoy is an Envoy that serves an envoy.yaml. Reload changes what the other methods
// say, and is not to be called beside them; Counters alone may be.
type Envoy struct {
	options EnvoyOptions
	folder  string
	process *envoy.Process
	log     *envoyLog
	now     *bootstrap
	served  map[string]file // by path
}

// StartEnvoy runs an envoy.yaml in Envoy until ctx ends or Close is called, and
// returns once it serves. The error has Envoy's reason.
func StartEnvoy(ctx context.Context, text []byte, options EnvoyOptions) (*Envoy, error) {
	if options.ReadFile == nil {
		options.ReadFile = os.ReadFile
	}
	folder, err := os.MkdirTemp("", "corsctl")
	if err != nil {
		return nil, err
	}
	e := &Envoy{options: options, folder: folder, log: &envoyLog{to: options.Stderr}}
	if err := e.start(ctx, text); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// patience bounds what Envoy compiles a module in: seconds, and a minute where others
// use the processors too.
const patience = 5 * time.Minute

// Arguments for Envoy: what is pushed is held to the same strictness as what it
// starts with, and what a push replaces ends with its next answer.
var arguments = []string{"--reject-unknown-dynamic-fields", "--drain-strategy", "immediate"}

func (e *Envoy) start(ctx context.Context, text []byte) error {
	b, err := e.read(text)
	if err != nil {
		return err
	}
	for _, f := range b.files {
		if err := f.write(); err != nil {
			return err
		}
	}
	bootstrap := file{path: filepath.Join(e.folder, "envoy.json"), content: b.outside()}
	if err := bootstrap.write(); err != nil {
		return err
	}
	level, more := e.options.LogLevel, arguments
	if level == "info" {
		level, more = "warning", append(more, "--component-log-level", "wasm:info")
	}
	e.process, err = envoy.Start(ctx, e.options.Program, bootstrap.path, envoy.Options{
		Patience: patience, Concurrency: e.options.Workers, LogLevel: level, Arguments: more, Stdout: &lines{take: e.accessLog}, Stderr: &lines{take: e.log.line},
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if reason := e.log.last(); reason != "" {
			return refused{reason}
		}
		return err
	}
	e.serves(b)
	// With files of its own Envoy starts even where it refuses them.
	for _, f := range b.files {
		if f.stats == "" {
			continue
		}
		switch o, err := e.outcomes(f); {
		case err != nil:
			return err
		case o.refused > 0:
			return refused{e.log.refusal()}
		}
	}
	return nil
}

// read makes what Envoy gets of an envoy.yaml.
func (e *Envoy) read(text []byte) (*bootstrap, error) {
	b, err := e.options.read(text, e.folder)
	if err != nil || !e.options.Watch {
		return b, err
	}
	var clusters []any
	if e.now != nil {
		clusters = e.now.clusters
	}
	return b, b.split(e.folder, clusters)
}

// outside is the bootstrap itself, without the files that it names.
func (b *bootstrap) outside() []byte {
	text, _ := json.Marshal(b.whole) // it was JSON before
	return text
}

// Reload serves another envoy.yaml from now on. Requests and connections that have
// begun go on. An error, such as what Envoy refuses, leaves everything as it was.
func (e *Envoy) Reload(text []byte) error {
	next, err := e.read(text)
	if err != nil {
		return err
	}
	if !bytes.Equal(next.outside(), e.now.outside()) {
		return errors.New("what changes outside of static_resources.listeners and static_resources.clusters takes a new start")
	}
	// Listeners wait for a filter that Envoy does not have yet, and go on without one
	// that it refuses then: such a change is tried in a process of its own first.
	if slices.ContainsFunc(next.files, e.fresh) {
		if err := e.validate(text); err != nil {
			return err
		}
	}
	undo, err := e.take(next.files)
	if err != nil {
		for i := range undo { // the listeners first
			e.push(undo[len(undo)-1-i])
		}
		return err
	}
	e.serves(next)
	return nil
}

// fresh reports whether a file is of a filter that the listeners do not name yet.
func (e *Envoy) fresh(f file) bool {
	_, there := e.served[f.path]
	return !there && f.stats != ""
}

// validate asks Envoy whether it would start with an envoy.yaml.
func (e *Envoy) validate(text []byte) error {
	b, err := e.options.read(text, e.folder)
	if err != nil {
		return err
	}
	whole := file{path: filepath.Join(e.folder, "validated.json"), content: b.outside()}
	for _, f := range append(b.files, whole) {
		if err := f.write(); err != nil {
			return err
		}
	}
	log := &envoyLog{to: io.Discard}
	command := exec.Command(e.options.Program, "--mode", "validate", "-c", whole.path, "--log-level", "error")
	command.Stdout, command.Stderr = io.Discard, &lines{take: log.line}
	if err := command.Run(); err != nil {
		return refused{log.refusal()}
	}
	return nil
}

// take pushes the files that have changed, and returns what they were.
func (e *Envoy) take(files []file) (undo []file, err error) {
	var fresh []func() error
	for _, f := range files {
		before, there := e.served[f.path]
		switch {
		case there && bytes.Equal(before.content, f.content):
		case there:
			undo = append(undo, before)
			err = e.push(f)
		case f.stats == "": // a module
			err = f.write()
		default: // a filter that the listeners do not name yet
			var taken func() error
			if taken, err = e.expect(f); err == nil {
				fresh, err = append(fresh, taken), f.write()
			}
		}
		if err != nil {
			return undo, err
		}
	}
	for _, taken := range fresh {
		if err := taken(); err != nil {
			return undo, err
		}
	}
	return undo, nil
}

// serves notes what Envoy has taken.
func (e *Envoy) serves(b *bootstrap) {
	e.now, e.served = b, map[string]file{}
	for _, f := range b.files {
		e.served[f.path] = f
	}
}

// push has Envoy take a file.
func (e *Envoy) push(f file) error {
	taken, err := e.expect(f)
	if err != nil {
		return err
	}
	if err := f.write(); err != nil {
		return err
	}
	return taken()
}

// expect returns what waits until Envoy has taken a file that is going to be written,
// or has refused it.
func (e *Envoy) expect(f file) (taken func() error, err error) {
	e.log.mark()
	before, err := e.outcomes(f)
	return func() error {
		for begun := time.Now(); time.Since(begun) < patience; time.Sleep(5 * time.Millisecond) {
			// A module is compiled meanwhile, and Envoy answers nothing.
			now, err := e.outcomes(f)
			select {
			case <-e.process.Ended():
				return err
			default:
			}
			switch {
			case now.refused > before.refused:
				return refused{e.log.refusal()}
			case now.taken > before.taken:
				return nil
			}
		}
		return errors.New("no word from Envoy within " + patience.String())
	}, err
}

// outcomes are what became of a file so far.
type outcomes struct{ taken, refused uint64 }

func (e *Envoy) outcomes(f file) (outcomes, error) {
	stats, err := e.process.Stats("^" + regexp.QuoteMeta(f.stats) + `\.update_`)
	return outcomes{stats[f.stats+".update_success"], stats[f.stats+".update_rejected"] + stats[f.stats+".update_failure"]}, err
}

// Listeners returns the listeners, in the order of the file.
func (e *Envoy) Listeners() ([]Listener, error) {
	bound, err := e.process.Listeners()
	if err != nil {
		return nil, err
	}
	var all []Listener
	for _, name := range e.now.listeners {
		if address, ok := bound[name]; ok {
			all = append(all, Listener{name, address})
		}
	}
	return all, nil
}

// Admin returns the address of the admin listener.
func (e *Envoy) Admin() string { return e.process.Admin }

// Configurations returns those of the wasm filters, in the order of the file.
func (e *Envoy) Configurations() [][]byte {
	return e.now.configurations
}

// Counters returns what the modules of all workers have counted.
func (e *Envoy) Counters() map[string]uint64 {
	values := map[string]uint64{}
	stats, _ := e.process.Stats(`^wasmcustom\.`) // nothing from an Envoy that has ended
	for name, value := range stats {
		values[strings.TrimPrefix(name, "wasmcustom.")] = value
	}
	return values
}

// Ended is closed when Envoy has ended, by itself too.
func (e *Envoy) Ended() <-chan struct{} { return e.process.Ended() }

// Close ends Envoy.
func (e *Envoy) Close() error {
	if e.process != nil {
		e.process.Stop()
	}
	return os.RemoveAll(e.folder)
}

// accessLog takes a line of standard output.
func (e *Envoy) accessLog(line string) {
	if e.options.OnEvent != nil {
		if one, ok := event(line); ok {
			e.options.OnEvent(one)
			return
		}
	}
	io.WriteString(e.options.Stdout, line+"\n")
}

// refused is a bootstrap that Envoy does not take, and why.
type refused struct{ reason string }

// taken is an address that Envoy cannot have.
var taken = regexp.MustCompile(`cannot bind '([^']*)': Address already in use`)

func (r refused) Error() string {
	if m := taken.FindStringSubmatch(r.reason); m != nil {
		return m[1] + " is in use by another process; stop that process, or change the address in the file"
	}
	return "Envoy refuses it: " + r.reason
}

// lines cuts what is written into lines.
type lines struct {
	take func(line string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.take(string(line))
		l.rest = rest
	}
}

// envoyLog passes on what Envoy says, and finds in it why it refuses a
// configuration. The configuration that Envoy prints with that is left out: it is
// long, and the user has it.
type envoyLog struct {
	to io.Writer

	mu      sync.Mutex
	said    []string // since the mark; what does not begin with [ goes on with the line before
	dumping bool     // a configuration
}

// maxSaid bounds the lines that are kept.
const maxSaid = 1000

func (l *envoyLog) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said = append(l.said, line); len(l.said) > maxSaid {
		l.said = append(l.said[:0], l.said[maxSaid/2:]...)
	}
	if strings.HasPrefix(line, "[") {
		l.dumping = dumps.MatchString(line)
	} else if l.dumping {
		return
	}
	if line = strings.TrimSpace(debugProto.ReplaceAllString(line, "")); line != "" {
		io.WriteString(l.to, line+"\n")
	}
}

// dumps are the lines behind which Envoy may print a configuration, and debugProto is
// how newer releases begin with it.
var (
	dumps      = regexp.MustCompile(`(config|update) rejected: | initializing config `)
	debugProto = regexp.MustCompile(` (initializing config )?'?goo\.gle/debug.*$`)
)

// mark forgets what was said.
func (l *envoyLog) mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = nil
}

// last is the last line, where it has no time in front: so Envoy says why it ends.
func (l *envoyLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	reason := ""
	for _, line := range l.said {
		if line = strings.TrimSpace(line); line != "" {
			reason = line
		}
	}
	if reason == "" || strings.HasPrefix(reason, "[") {
		return ""
	}
	return l.withModule(reason)
}

// refusal is why Envoy has refused a file.
func (l *envoyLog) refusal() string {
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		reason := l.rejection()
		l.mu.Unlock()
		if reason != "" || time.Since(begun) > time.Second {
			return reason
		}
	}
}

// rejection finds the reason in what was said; "": there is none yet.
func (l *envoyLog) rejection() string {
	reason := ""
	for _, line := range l.said {
		if strings.HasPrefix(line, "[") {
			if reason != "" {
				break
			}
			if m := rejected.FindStringSubmatch(line); m != nil {
				reason = m[1]
			}
		} else if text := strings.TrimPrefix(strings.TrimSpace(line), ": "); reason != "" && text != "" {
			reason = text // the end of a message that is printed whole
		}
	}
	if reason == "" {
		return ""
	}
	return l.withModule(reason)
}

var (
	rejected  = regexp.MustCompile(`(?:Filesystem config update (?:rejected|failure)|error initializing configuration '[^']*'): (.*)`)
	complaint = regexp.MustCompile(`\]\[error\]\[wasm\] \[[^]]*\] (.*)`)
)

// withModule adds what is wrong with a module, or to its mind with its configuration.
func (l *envoyLog) withModule(reason string) string {
	for _, line := range l.said {
		if m := complaint.FindStringSubmatch(line); m != nil {
			reason += "\n  " + m[1]
		}
	}
	return reason
}
