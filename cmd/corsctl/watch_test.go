package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/envoytest"
	"corsfilter/internal/locked"
	"corsfilter/internal/wasmtest"
)

// serving is corsctl serve at work.
type serving struct {
	stdout, stderr locked.Buffer
	stop           context.CancelFunc
	ended          chan int
}

func startServing(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &serving{stop: stop, ended: make(chan int, 1)}
	go func() {
		s.ended <- run(ctx, append([]string{"serve"}, args...), stdio{in: strings.NewReader(""), out: &s.stdout, err: &s.stderr})
	}()
	t.Cleanup(func() {
		stop()
		select {
		case code := <-s.ended:
			if code != exitOK {
				t.Errorf("exit code %d: %s", code, s.stderr.String())
			}
		case <-time.After(20 * time.Second):
			t.Error("it does not end")
		}
	})
	return s
}

// expect waits until both outputs together hold a text.
func (s *serving) expect(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if strings.Contains(s.stdout.String()+s.stderr.String(), want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s\n%s", want, s.stdout.String(), s.stderr.String())
		}
	}
}

// TestAPolicyIsServedAndReloaded puts a policy in front of a server, and changes
// it: to one with a mistake, and to another.
func TestAPolicyIsServedAndReloaded(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprint(w, "upstream has ", r.URL.Path)
	}))
	defer upstream.Close()
	dir := t.TempDir()
	policy, module := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "cors.wasm")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(module, string(wasmtest.Module(t)))
	put(policy, "allow_origins: [https://one.example]\n")
	// localhost, since servers of front ends listen on ::1 alone at times.
	s := startServing(
		t, "-c", policy, "-upstream", strings.Replace(upstream.URL, "127.0.0.1", "localhost", 1), "-listen", "localhost:0", "-module", module,
		"-watch",
	)
	s.expect(t, "watching "+module+", "+policy+"\n")
	base := regexp.MustCompile(`listener main: (http://127\.0\.0\.1:\d+)\n`).FindStringSubmatch(s.stdout.String())
	if base == nil {
		t.Fatalf("%s", s.stdout.String())
	}
	allowed := func(origin string) bool {
		t.Helper()
		request, err := http.NewRequest(http.MethodGet, base[1]+"/list", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", origin)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("status %d", response.StatusCode)
		}
		return response.Header.Get("Access-Control-Allow-Origin") == origin
	}
	expect := func(one, two bool) {
		t.Helper()
		if allowed("https://one.example") != one || allowed("https://two.example") != two {
			t.Errorf("want one %v, two %v", one, two)
		}
	}
	expect(true, false)
	put(policy, "allow_origins: [https://two.example/]\n")
	s.expect(
		t,
		`the change is refused, and the previous policy stays in effect: `+policy+
			`:1:17: error: allow_origins[0]: "https://two.example/": an origin has no trailing slash`,
	)
	expect(true, false)
	put(policy, "allow_origins: [https://two.example]\n")
	s.expect(t, "serving the changed "+policy+"\n")
	expect(false, true)

	// Another proxy's policies are converted.
	put(
		policy,
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: list, namespace: shop}\nspec:\n  hosts: ['*']\n"+
			"  gateways: [public]\n"+
			"  http: [{match: [{uri: {exact: /list}}], corsPolicy: {allowOrigins: [{exact: 'https://one.example'}]}, route: []}]\n",
	)
	s.expect(t, "corsctl serve: converted from VirtualService shop/list; corsctl convert prints the configuration, and what changes\n")
	for deadline := time.Now().Add(30 * time.Second); !allowed("https://one.example") &&
		time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
	}
	expect(true, false)

	// The module, too: one that is none is refused.
	put(module, "not wasm")
	s.expect(t, "not a wasm module")
	expect(true, false)
}

// TestAnEnvoyFileIsReloaded changes the file that Envoy serves.
func TestAnEnvoyFileIsReloaded(t *testing.T) {
	file := write(t, plain)
	s := startServing(t, "-c", file, "-envoy", envoytest.Program(t), "-watch")
	s.expect(t, "watching "+file+"\n")
	base := regexp.MustCompile(`listener main: (http://127\.0\.0\.1:\d+)\n`).FindStringSubmatch(s.stdout.String())
	for _, c := range []struct{ text, says, serves string }{
		{strings.Replace(plain, "served", "served anew", 1), "serving the changed " + file + "\n", "served anew"},
		{
			strings.Replace(plain, "status: 200", "status: 2000", 1),
			"corsctl serve: the change is refused, and the previous policy stays in effect: Envoy refuses it: ", "served anew",
		},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.expect(t, c.says)
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(base[1])
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); string(body) != c.serves {
			t.Errorf("%q, %v, want %s", body, err, c.serves)
		}
	}
}

// TestWatching tells files apart as editors, links and deployments change them.
func TestWatching(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	w := newWatched()
	w.every = time.Millisecond
	// In one step: a machine that is busy may pause between opening and writing for
	// longer than a change takes to be seen.
	write := func(name, text string) error {
		return errors.Join(os.WriteFile(name+".new", []byte(text), 0o600), os.Rename(name+".new", name))
	}
	changed := func(what string, change func() error) {
		t.Helper()
		seen := make(chan bool, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { seen <- w.wait(ctx) }()
		time.Sleep(20 * time.Millisecond)
		select {
		case <-seen:
			t.Fatalf("before %s: a change is seen", what)
		default:
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if !<-seen {
			t.Errorf("%s is not seen", what)
		}
	}
	if _, err := w.read(path); err == nil {
		t.Fatal("read what is not there")
	}
	changed("a new file", func() error { return write(path, "1") })
	changed("a longer one", func() error { return write(path, "22") })
	changed("a file put in its place", func() error {
		other := filepath.Join(dir, "b")
		if err := os.WriteFile(other, []byte("33"), 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(other, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			return err
		}
		return os.Rename(other, path)
	})
	one, two, link := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "link")
	then := time.Now().Add(-time.Hour)
	for _, name := range []string{one, two} {
		if err := errors.Join(write(name, filepath.Base(name)), os.Chtimes(name, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(one, link); err != nil {
		t.Fatal(err)
	}
	if _, err := w.read(link); err != nil {
		t.Fatal(err)
	}
	changed("a link that is turned to a file of the same size and time", func() error {
		return errors.Join(os.Symlink(two, link+".new"), os.Rename(link+".new", link))
	})
	changed("its end", func() error { return os.Remove(path) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w.wait(ctx) {
		t.Error("a change is seen where none was")
	}
}
