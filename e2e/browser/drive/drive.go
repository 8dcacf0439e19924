//go:build unix

// Package drive drives Chromium, Firefox and WebKitGTK for tests, each directly through
// its own protocol: the DevTools protocol, WebDriver BiDi, and WebDriver. All three use
// JSON; [Browser] has what they share.
package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"corsfilter/internal/browser"
)

// Options are what browsers differ in.
type Options struct {
	// Proxy is the host:port of an HTTP proxy for everything, loopback included.
	// Certificates are not looked at.
	Proxy string
	// Args go to Chromium and to WebKit's MiniBrowser, Prefs to Firefox.
	Args  []string
	Prefs map[string]any
}

// Key is a key that the tests press, as WebDriver has it.
type Key string

const (
	Tab   Key = "\ue004"
	Enter Key = "\ue006"
)

// Browser is a browser with one page.
type Browser struct {
	engine
	processes []*process // in the order in which they end
	dir       string
}

// engine is what each does in its own way.
type engine interface {
	// Navigate opens a page, and waits until it is loaded.
	Navigate(ctx context.Context, url string) error
	// text evaluates an expression that is the promise of a string.
	text(ctx context.Context, expression string) (string, error)
	// Press presses a key, on the element that has the focus.
	Press(ctx context.Context, key Key) error
	// Resize gives the page a size.
	Resize(ctx context.Context, width, height int) error
	// Screenshot is a PNG of what is seen.
	Screenshot(ctx context.Context) ([]byte, error)
	// Console returns what the console has said since it was asked last.
	Console() []string
	// end asks the browser to go.
	end(ctx context.Context)
}

// programs are the names under which what an engine needs is found: one of each list.
var programs = map[browser.Engine][][]string{
	browser.Chromium: {{"chromium", "chromium-browser", "google-chrome"}},
	browser.Firefox:  {{"firefox-esr", "firefox"}},
	browser.WebKit:   {{"WebKitWebDriver"}, {"Xvfb"}},
}

// find returns the paths of the programs that an engine needs.
func find(e browser.Engine) (paths []string, err error) {
	for _, names := range programs[e] {
		var path string
		for _, name := range names {
			if found, err := exec.LookPath(name); path == "" && err == nil {
				path = found
			}
		}
		if path == "" {
			return nil, fmt.Errorf("no %s on PATH, which %s is found by; run make setup, or make test, which sets up what it needs",
				strings.Join(names, " or "), e)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Start starts a browser with a profile of its own.
func Start(ctx context.Context, e browser.Engine, o Options) (b *Browser, err error) {
	paths, err := find(e)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "drive")
	if err != nil {
		return nil, err
	}
	b = &Browser{dir: dir}
	switch e {
	case browser.Chromium:
		b.engine, err = b.startChromium(ctx, paths[0], o)
	case browser.Firefox:
		b.engine, err = b.startFirefox(ctx, paths[0], o)
	case browser.WebKit:
		b.engine, err = b.startWebKit(ctx, paths[0], paths[1], o)
	}
	if err != nil {
		err = fmt.Errorf("%s does not start: %w", paths[0], err)
		for _, p := range b.processes {
			err = fmt.Errorf("%w\n%s", err, p.said())
		}
		b.engine = nil
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close ends the browser, and waits until it is gone.
func (b *Browser) Close() {
	if b.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		b.end(ctx)
	}
	for _, p := range b.processes {
		p.kill()
	}
	os.RemoveAll(b.dir)
}

// Evaluate evaluates an expression, waits where it is a promise, and stores what
// comes of it, which has to have a form in JSON.
func (b *Browser) Evaluate(ctx context.Context, expression string, result any) error {
	text, err := b.text(ctx, `Promise.resolve().then(() => (`+expression+`))
		.then((v) => JSON.stringify({ v }), (e) => JSON.stringify({ e: String(e) }))`)
	if err != nil {
		return err
	}
	var outcome struct {
		V json.RawMessage
		E string
	}
	if err := json.Unmarshal([]byte(text), &outcome); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	if outcome.E != "" || outcome.V == nil {
		return errors.New("the script fails, or has no value: " + outcome.E)
	}
	return json.Unmarshal(outcome.V, result)
}

// process is a program with a group of its own, so that its children end with it.
type process struct {
	command *exec.Cmd
	output  *os.File
}

func (b *Browser) run(env []string, path string, args ...string) (*process, error) {
	return b.start(exec.Command(path, args...), env)
}

func (b *Browser) start(command *exec.Cmd, env []string) (p *process, err error) {
	p = &process{command: command}
	if p.output, err = os.Create(filepath.Join(b.dir, fmt.Sprintf("output%d", len(b.processes)))); err != nil {
		return nil, err
	}
	command.Env, command.SysProcAttr = append(os.Environ(), env...), &syscall.SysProcAttr{Setpgid: true}
	command.Stdout, command.Stderr = p.output, p.output
	if err := command.Start(); err != nil {
		return nil, err
	}
	b.processes = append(b.processes, p)
	return p, nil
}

// said is what a process has written.
func (p *process) said() []byte {
	text, _ := os.ReadFile(p.output.Name())
	return bytes.TrimSpace(text)
}

func (p *process) kill() {
	group := -p.command.Process.Pid
	syscall.Kill(group, syscall.SIGTERM)
	gone := make(chan struct{})
	go func() { p.command.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(3 * time.Second):
	}
	for syscall.Kill(group, syscall.SIGKILL) == nil { // until none of its children is left
		time.Sleep(5 * time.Millisecond)
	}
	<-gone
	p.output.Close()
}

// freePort is a port that was free a moment ago, for programs that do not say
// which one they took.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// until tries something again until it succeeds, or the context ends.
func until(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
