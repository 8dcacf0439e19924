// Package mesh has Istio and Envoy Gateway serve this project's manifests: stock control
// planes and agents, a Kubernetes API server without a cluster behind it, and upstream's
// Envoy. make mesh builds all of it and runs the tests in namespaces of their own, where
// loopback, its ports and the folders that Istio writes to are nobody else's, and which
// end with everything that runs in them.
//
// What differs from a cluster: nothing redirects a pod's traffic, so that sidecars listen
// on ports that are asked directly, and the filters that only Istio's build of Envoy has
// are switched off.
package mesh

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Where everything listens. The network is the tests' own, so that the ports are free.
const (
	registryAddress = "127.0.0.1:22500"
	modulesAddress  = "127.0.0.1:22501" // modules by plain HTTP
	lateAddress     = "127.0.0.1:22502" // a registry that a test brings up when it likes
	upstreamAddress = "127.0.0.1:22600"
	repository      = "127.0.0.1:22500/team/corsfilter"
)

// What make mesh hands over.
var (
	root     = os.Getenv("MESH_ROOT")     // the repository
	programs = os.Getenv("MESH_PROGRAMS") // the folder of what it built
	istio    = os.Getenv("MESH_ISTIO")    // Istio's sources
	gateways = os.Getenv("MESH_GATEWAYS") // the Gateway API's sources
	envoy    = os.Getenv("MESH_ENVOY")
	envoyOld = os.Getenv("MESH_ENVOY_GATEWAY") // the release that Envoy Gateway runs
	// run is where the programs work and write.
	run string
	// digest is that of the module's image, newDigest that of the artifact of a module
	// that differs in its bytes alone.
	digest, newDigest string
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if programs == "" {
			fmt.Fprintln(os.Stderr, "these tests run by make mesh, which builds what they need")
			return 1
		}
		if err := setUp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(run)
		return m.Run()
	}())
}

// setUp starts what all tests share.
func setUp() (err error) {
	if run, err = os.MkdirTemp("", "mesh"); err != nil {
		return err
	}
	serve(registryAddress, registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	serve(modulesAddress, http.FileServer(http.Dir(filepath.Join(root, "dist"))))
	serve(upstreamAddress, http.HandlerFunc(upstream))
	module := filepath.Join(root, "dist", "cors.wasm")
	wasm, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	other := filepath.Join(run, "other.wasm")
	// A custom section, which says nothing.
	if err := os.WriteFile(other, append(wasm, 0, 6, 5, 'o', 't', 'h', 'e', 'r'), 0o644); err != nil {
		return err
	}
	if digest, err = push(module, "1.0.0", ""); err != nil {
		return err
	}
	if newDigest, err = push(other, "1.0.1", "-oci"); err != nil {
		return err
	}
	return startKubernetes()
}

func serve(address string, handler http.Handler) *http.Server {
	server := &http.Server{Addr: address, Handler: handler}
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			panic(err)
		}
	}()
	return server
}

// upstream says what it is asked for, and with it CORS headers of its own on /own.
func upstream(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/own" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
	fmt.Fprintf(w, "upstream: %s %s\n", r.Method, r.URL)
}

// push is make push, for a module under a tag, and returns the digest of the image, or of
// the artifact, whose tag ends in -oci.
func push(module, tag, end string) (string, error) {
	image := repository + ":" + tag
	command := exec.Command(filepath.Join(programs, "ship"), "push", "-version", tag, "-module", module, "-image", image)
	command.Dir, command.Env = root, append(os.Environ(), "DOCKER_CONFIG="+run)
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ship push: %w\n%s", err, out)
	}
	found := regexp.MustCompile(regexp.QuoteMeta(image+end) + `@sha256:([0-9a-f]{64})`).FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("ship push prints no digest of %s:\n%s", image, out)
	}
	return string(found[1]), nil
}

// process is a program that runs, with what it has written.
type process struct {
	name    string
	command *exec.Cmd
	ended   chan struct{}
	log     output
}

// output is a log that can be read while it is written.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// start runs a program of make mesh, in a folder of its own below run.
func start(name, program string, env []string, args ...string) (*process, error) {
	if !filepath.IsAbs(program) {
		program = filepath.Join(programs, program)
	}
	p := &process{name: name, ended: make(chan struct{}), command: exec.Command(program, args...)}
	p.command.Dir = folder(name)
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.command.Dir, "DOCKER_CONFIG=" + run}, env...)
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	if err := os.MkdirAll(p.command.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

func folder(name string) string { return filepath.Join(run, name) }

// stop ends a process, and kills it if it does not exit.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// said are the lines of the log that match, from a place on that mark gave.
func (p *process) said(from int, pattern string) (lines []string) {
	matches := regexp.MustCompile(pattern).MatchString
	for line := range strings.Lines(p.log.String()[from:]) {
		if matches(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func (p *process) mark() int { return len(p.log.String()) }

// until waits for what must come, and says what was missing where it does not.
func until(patience time.Duration, condition func() error) error {
	end := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// eventually is until for a test. Nothing here takes longer than a minute but what is
// broken.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	if err := until(time.Minute, condition); err != nil {
		t.Fatalf("after a minute: %v", err)
	}
}

// logged waits for a line of a process' log.
func logged(t *testing.T, p *process, from int, pattern string) {
	t.Helper()
	eventually(t, func() error {
		if len(p.said(from, pattern)) == 0 {
			return fmt.Errorf("%s logs nothing that matches %s; the end of its log:\n%s", p.name, pattern, tail(p.log.String()[from:]))
		}
		return nil
	})
}

func tail(text string) string { return text[max(0, len(text)-4000):] }
