package docs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"corsfilter/internal/wasmtest"
)

// The tests run the pages' commands where they can. kubectl needs a cluster, make envoy
// runs envoy, and the transcript's test runs the README's curl lines. For those the
// tests check that the files they name exist, and that the ports are those of envoy.yaml.

// line is a command on a page.
type line struct{ page, command string }

// commands returns the lines of all blocks for a shell, without comments.
func commands(t *testing.T) (all []line) {
	t.Helper()
	comment := regexp.MustCompile(`(?m)(^|\s)#\s.*$`)
	for _, page := range pages(t) {
		for _, block := range blocks(read(t, page), "sh") {
			for command := range strings.Lines(block) {
				if command = strings.TrimSpace(comment.ReplaceAllString(command, "")); command != "" {
					all = append(all, line{page, command})
				}
			}
		}
	}
	return all
}

var buildCorsctl = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "corsctl")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "corsctl")
	build := exec.Command("go", "build", "-o", path, "./cmd/corsctl")
	build.Dir = wasmtest.Root()
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return path, nil
})

// TestMain removes what the tests build.
func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := buildCorsctl(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// corsctl returns the path of corsctl, built from the tree.
func corsctl(t *testing.T) string {
	t.Helper()
	path, err := buildCorsctl()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// folder is a working copy as a reader of the pages has it: the manifests, and some
// policies of the reader.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"envoy.yaml", "istio.yaml", "deploy", "dist", "docs", "examples"} {
		if err := os.Symlink(filepath.Join(wasmtest.Root(), name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	const policy = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"]}`
	const routes = `{"virtual_hosts": [{"name": "shop", "domains": ["*"], "cors": {"allow_origin_string_match": [{"exact": ` +
		`"https://shop.example.com"}]}, "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "shop"}}]}]}`
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "policy.json"), []byte(policy), 0o600),
		os.WriteFile(filepath.Join(dir, "old.json"), []byte(`{"allow_origins": []}`), 0o600),
		os.WriteFile(filepath.Join(dir, "new.json"), []byte(policy), 0o600),
		os.WriteFile(filepath.Join(dir, "routes.yaml"), []byte(routes), 0o600),
		os.WriteFile(
			filepath.Join(dir, "cases.yaml"), []byte("cases:\n- {origin: https://shop.example.com, method: PUT, expect: allow}\n"), 0o600,
		),
		os.Mkdir(filepath.Join(dir, "policies"), 0o700),
		os.WriteFile(filepath.Join(dir, "policies", "shop.json"), []byte(policy), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return dir
}

// bash runs a line in a folder, with corsctl on PATH.
func bash(t *testing.T, dir, command string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(corsctl(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestEveryCommandOnThePagesWorks(t *testing.T) {
	kinds := map[string]int{}
	server := httptest.NewServer(http.NotFoundHandler()) // in place of those that corsctl verify asks
	defer server.Close()
	asked := regexp.MustCompile(`(corsctl verify .*)https?://\S+`)
	for _, l := range commands(t) {
		// Use the one built from the tree; dist may have none.
		l.command = strings.TrimPrefix(l.command, "dist/")
		words := strings.Fields(l.command)
		kinds[words[0]]++
		switch words[0] {
		case "corsctl", "source":
			t.Run(l.command, func(t *testing.T) {
				command := l.command
				if words[1] == "serve" { // it would not end; only its flags are parsed
					command += " -h"
				}
				if strings.Contains(command, "completion") { // for whichever shell
					command = regexp.MustCompile(`corsctl completion \w+`).FindString(command)
				}
				command = asked.ReplaceAllString(command, "${1}"+server.URL)
				if _, errs, code := bash(t, folder(t), command); code > 1 {
					t.Errorf("%s: exit code %d: %s", l.page, code, errs)
				}
			})
		case "make":
			cmd := exec.Command("make", append([]string{"-n"}, words[1:]...)...)
			cmd.Dir = wasmtest.Root()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", l.page, l.command, err, out)
			}
		case "kubectl", "envoy":
			for _, name := range regexp.MustCompile(`(?: -[fc]) (\S+)`).FindAllStringSubmatch(l.command, -1) {
				if _, err := os.Stat(filepath.Join(wasmtest.Root(), name[1])); err != nil {
					t.Errorf("%s: %s: %v", l.page, l.command, err)
				}
			}
		case "curl":
			if !regexp.MustCompile(`localhost:(10000|9901)/|"\$RELEASE/`).MatchString(l.command) {
				t.Errorf("%s: %s requests neither listener of envoy.yaml", l.page, l.command)
			}
		case "go":
			t.Run(l.command, func(t *testing.T) { goCommand(t, l.page, words[1:]) })
		default:
			t.Errorf("%s: %s: no test knows this command", l.page, l.command)
		}
	}
	if kinds["corsctl"] < 15 || kinds["make"] < 4 || kinds["kubectl"] < 4 {
		t.Errorf("commands found: %v; some are missing", kinds)
	}
}

// goCommand checks that the packages that a go command names exist.
func goCommand(t *testing.T, page string, words []string) {
	t.Helper()
	for _, word := range words {
		if strings.HasPrefix(word, "./") {
			if _, err := os.Stat(filepath.Join(wasmtest.Root(), strings.TrimSuffix(word, "..."))); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// TestEveryCommandInTheTextExists checks the commands in running text.
func TestEveryCommandInTheTextExists(t *testing.T) {
	makefile := read(t, "../Makefile")
	help, _, _ := bash(t, t.TempDir(), "corsctl -h")
	found := 0
	for _, page := range pages(t) {
		text := strings.Join(strings.Fields(read(t, page)), " ") // spans may go over a line's end
		for _, m := range regexp.MustCompile("`(make|corsctl|go test|node) ([^`]*)`").FindAllStringSubmatch(text, -1) {
			found++
			first, _, _ := strings.Cut(m[2], " ")
			switch m[1] {
			case "make":
				if !strings.Contains(makefile, "\n"+first+":") && !strings.HasPrefix(first, "dist/") {
					t.Errorf("%s: `make %s`: no such target", page, first)
				}
			case "corsctl":
				if first != "COMMAND" && !strings.Contains(help, "\n  "+first+" ") {
					t.Errorf("%s: `corsctl %s`: no such command", page, first)
				}
			case "node":
				if _, err := os.Stat(filepath.Join("..", first)); err != nil {
					t.Errorf("%s: `node %s`: %v", page, first, err)
				}
			default:
				goCommand(t, page, strings.Fields(m[2]))
			}
		}
	}
	if found < 30 {
		t.Errorf("%d commands; some are missing", found)
	}
}

// TestEveryDialogueOnThePagesIsWhatHappens runs the console blocks. It writes what "cat"
// shows to the file, and compares what corsctl prints. At localhost:10000 Envoy serves
// envoy.yaml. The transcript has its own test.
func TestEveryDialogueOnThePagesIsWhatHappens(t *testing.T) {
	const shownAs = "localhost:10000"
	served := sync.OnceValue(func() string { return serveEnvoy(t) })
	ran := 0
	for _, page := range pages(t) {
		text := read(t, page)
		for _, block := range blocks(text, "console") {
			dir := folder(t)
			for _, step := range strings.Split("\n"+block, "\n$ ")[1:] {
				command, shown, _ := strings.Cut(step, "\n")
				if strings.HasPrefix(command, "curl ") {
					continue
				}
				ran++
				if name, ok := strings.CutPrefix(command, "cat "); ok {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(shown), 0o600); err != nil {
						t.Fatal(err)
					}
					continue
				}
				address := shownAs
				if strings.Contains(command, shownAs) {
					address = served()
				}
				out, errs, _ := bash(t, dir, strings.ReplaceAll(command, shownAs, address))
				out = strings.ReplaceAll(out, address, shownAs)
				switch got, shown := strings.TrimRight(out+errs, "\n"), strings.TrimRight(shown, "\n"); {
				case got == shown:
				case *update:
					if shown == "" { // nothing yet
						got += "\n"
					}
					text = strings.Replace(text, "$ "+command+"\n"+shown, "$ "+command+"\n"+got, 1)
					if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				default:
					t.Errorf("%s: %s prints\n%s\nand the page says\n%s", page, command, got, shown)
				}
			}
		}
	}
	if ran < 5 {
		t.Errorf("%d steps; some are missing", ran)
	}
}

// TestTheOneLinerForPipelines runs it against a local release, with the checksum of
// corsctl and with a wrong one.
func TestTheOneLinerForPipelines(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the line is for linux on amd64")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl, which the line begins with; scripts/setup installs it with the browser")
	}
	_, rest, _ := strings.Cut(read(t, "ci.md"), "<!-- one-liner: run by the tests -->\n```sh\n")
	command, _, found := strings.Cut(rest, "\n```")
	if !found {
		t.Fatal("the page lacks its one-liner")
	}
	program, err := os.ReadFile(corsctl(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(program))
	other := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		sum, policy string
		code        int
	}{
		"good policies":    {sum, "", 0},
		"a mistake":        {sum, `{"allow_origins": ["https://a.example/"]}`, 1},
		"a wrong checksum": {other, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			release := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/corsctl-linux-amd64" {
					w.Write(program)
					return
				}
				fmt.Fprintf(w, "%s  cors.wasm\n%s  corsctl-linux-amd64\n", other, c.sum)
			}))
			defer release.Close()
			dir := folder(t)
			if c.policy != "" {
				if err := os.WriteFile(filepath.Join(dir, "policies", "wrong.json"), []byte(c.policy), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, errs, code := bash(t, dir, command, "RELEASE="+release.URL)
			checked := strings.Contains(out, " in ")
			if code != c.code || checked != (c.sum == sum) {
				t.Errorf("exit code %d, want %d: %s%s", code, c.code, out, errs)
			}
		})
	}
}

// TestThePagesUseReservedHosts allows only names that are reserved for documentation.
func TestThePagesUseReservedHosts(t *testing.T) {
	for _, l := range commands(t) {
		for _, host := range regexp.MustCompile(`https?://([\w.-]+)|IMAGE=([\w.-]+)/`).FindAllStringSubmatch(l.command, -1) {
			name := host[1] + host[2]
			if !slices.Contains([]string{"localhost", "127.0.0.1"}, name) && !regexp.MustCompile(`(^|\.)example(\.com)?$`).MatchString(name) {
				t.Errorf("%s: %s names %s", l.page, l.command, name)
			}
		}
	}
}
