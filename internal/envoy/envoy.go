// Package envoy finds and runs Envoy: for `corsctl serve`, for the tests and for
// the benchmarks. It sees files, a process and its admin listener, and imports
// nothing of the filter.
package envoy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrNone says that there is no Envoy here.
var ErrNone = errors.New("no Envoy: ENVOY names none, and there is none on PATH")

// ErrLeftOut says that ENVOY=none leaves Envoy out on purpose.
var ErrLeftOut = errors.New("ENVOY=none")

// Find returns the Envoy to run: the program that ENVOY names, else the one on
// PATH. Where there is none, the error is [ErrNone] or [ErrLeftOut].
func Find() (string, error) {
	switch named := os.Getenv("ENVOY"); named {
	case "none":
		return "", ErrLeftOut
	case "":
		if program, err := exec.LookPath("envoy"); err == nil {
			return filepath.Abs(program)
		}
		return "", ErrNone
	default:
		program, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("ENVOY=%s is no program: %w", named, err)
		}
		return filepath.Abs(program)
	}
}

// Options say how Envoy is run.
type Options struct {
	// Concurrency is the number of worker threads; 0: one.
	Concurrency int
	// LogLevel is Envoy's name of the least level to log; "": warning.
	LogLevel string
	// Folder is where Envoy runs, and what files are relative to; "": this one.
	Folder string
	// Stdout and Stderr take what Envoy writes; nil: nothing is kept of the first,
	// and of the second what an error of Start says.
	Stdout, Stderr io.Writer
	// Env is added to this process' environment.
	Env []string
	// Arguments are added to the command.
	Arguments []string
	// Patience bounds the start; 0: a minute. A module is compiled before Envoy
	// listens, which takes seconds.
	Patience time.Duration
	// Drain bounds the end: what has not ended by then is killed; 0: five seconds.
	Drain time.Duration
}

// Process is an Envoy that is ready, or has been.
type Process struct {
	// Admin is the address of the admin listener (host:port); "" where the
	// bootstrap has none.
	Admin string

	command *exec.Cmd
	ended   chan struct{}
	err     error
	drain   time.Duration
}

// Start runs Envoy with a bootstrap until ctx ends or Stop is called, and returns
// once it is ready. The error has the last that Envoy said. Access logs are written
// as they come.
//
// Envoy is asked over the admin listener, which may have port 0, whether it is
// ready; without one Start returns at once.
func Start(ctx context.Context, program, bootstrap string, options Options) (*Process, error) {
	folder, err := os.MkdirTemp("", "envoy")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	addressFile := filepath.Join(folder, "admin")
	arguments := append([]string{
		"-c", bootstrap, "--disable-hot-restart", "--admin-address-path", addressFile, "--file-flush-interval-msec", "10",
		"--concurrency", fmt.Sprint(max(1, options.Concurrency)), "--log-level", defaulted(options.LogLevel, "warning"),
	}, options.Arguments...)
	said := &tail{to: options.Stderr}
	p := &Process{command: exec.Command(program, arguments...), ended: make(chan struct{}), drain: options.Drain}
	if p.drain <= 0 {
		p.drain = 5 * time.Second
	}
	p.command.Dir, p.command.Stdout, p.command.Stderr = options.Folder, options.Stdout, said
	p.command.Env = append(os.Environ(), options.Env...)
	// Ctrl-C in a terminal goes to the whole group, and Envoy would be gone before
	// whoever started it has said so.
	p.command.SysProcAttr = ownGroup()
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	go func() {
		select {
		case <-ctx.Done():
			p.Stop()
		case <-p.ended:
		}
	}()
	if err := p.ready(ctx, addressFile, options.Patience); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w%s", program, err, said.said())
	}
	return p, nil
}

// ready waits until Envoy serves.
func (p *Process) ready(ctx context.Context, addressFile string, patience time.Duration) error {
	if patience <= 0 {
		patience = time.Minute
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if p.Admin == "" {
			if address, err := os.ReadFile(addressFile); err == nil {
				p.Admin = string(bytes.TrimSpace(address))
			}
		}
		if p.Admin != "" {
			if _, err := p.Get("/ready"); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("it has ended: %v", p.command.ProcessState)
		case <-late.C:
			return fmt.Errorf("it is not ready after %v", patience)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Pid is the process' number.
func (p *Process) Pid() int { return p.command.Process.Pid }

// Ended is closed when Envoy has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err says how Envoy ended; nil: with exit code 0.
func (p *Process) Err() error {
	<-p.ended
	return p.err
}

// Stop ends Envoy and waits for it.
func (p *Process) Stop() {
	p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(p.drain):
		p.command.Process.Kill()
		<-p.ended
	}
}

// Get asks the admin listener. The error of an answer other than 200 has its text.
func (p *Process) Get(path string) (string, error) { return p.ask(http.MethodGet, path) }

// Post is Get for what changes something, such as /logging?wasm=debug.
func (p *Process) Post(path string) (string, error) { return p.ask(http.MethodPost, path) }

var client = &http.Client{Timeout: 30 * time.Second}

func (p *Process) ask(method, path string) (string, error) {
	request, err := http.NewRequest(method, "http://"+p.Admin+path, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return string(body), err
}

// Listeners returns the addresses (host:port) that listeners are bound to, by name.
func (p *Process) Listeners() (map[string]string, error) {
	text, err := p.Get("/listeners?format=json")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Statuses []struct {
			Name  string
			Local struct {
				Socket struct {
					Address string
					Port    int `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, err
	}
	addresses := map[string]string{}
	for _, s := range answer.Statuses {
		addresses[s.Name] = fmt.Sprintf("%s:%d", s.Local.Socket.Address, s.Local.Socket.Port)
	}
	return addresses, nil
}

// Stats returns the counters and gauges whose name the regular expression finds
// something in; "" are all.
func (p *Process) Stats(pattern string) (map[string]uint64, error) {
	text, err := p.Get("/stats?filter=" + url.QueryEscape(pattern))
	if err != nil {
		return nil, err
	}
	values := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		var n uint64
		if _, err := fmt.Sscan(value, &n); err == nil {
			values[name] = n
		}
	}
	return values, nil
}

// tail keeps the end of what Envoy says.
type tail struct {
	to   io.Writer
	text []byte
}

const tailLen = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - tailLen; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	if t.to == nil {
		return len(p), nil
	}
	return t.to.Write(p)
}

// said is good once the process has ended.
func (t *tail) said() string {
	if len(t.text) == 0 {
		return ""
	}
	return "\n" + strings.TrimSpace(string(t.text))
}

func defaulted(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
