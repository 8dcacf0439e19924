package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/shell"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite docs/corsctl.md")

// page is docs/corsctl.md, made of what the commands say of themselves.
func page() string {
	var b strings.Builder
	b.WriteString(`# corsctl

The filter's command-line tool: it checks policies, explains decisions, tests policies and
servers, compares policies, converts those of other proxies, and serves one on your machine.
Each part of this page is what ` + "`corsctl COMMAND -h`" + ` shows; ` + "`go test ./cmd/corsctl -update`" + ` writes it.

| command | what it does |
|---|---|
`)
	for _, c := range commands {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", c.name, c.name, c.summary)
	}
	for _, c := range commands {
		fmt.Fprintf(&b, "\n## %s\n\n```text\n", c.name)
		for _, line := range c.usage {
			b.WriteString("corsctl " + line + "\n")
		}
		b.WriteString("```\n\n" + c.text + "\n")
		if len(c.examples) > 0 {
			b.WriteString("\n```sh\n")
			for _, e := range c.examples {
				fmt.Fprintf(&b, "# %s\n%s\n", e.purpose, e.line)
			}
			b.WriteString("```\n")
		}
		if rows := flagRows(c); rows != "" {
			b.WriteString("\n| flag | default | meaning |\n|---|---|---|\n" + rows)
		}
		b.WriteString("\n| exit code | meaning |\n|---|---|\n")
		for _, e := range c.exits {
			fmt.Fprintf(&b, "| %d | %s |\n", e.code, e.meaning)
		}
	}
	return b.String()
}

func flagRows(c command) string {
	var b strings.Builder
	c.flagSet().VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		name, fallback := "-"+f.Name, f.DefValue
		if value != "" {
			name += " " + strings.ToUpper(value)
		}
		if fallback == "false" {
			fallback = ""
		}
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, fallback, usage)
	})
	return b.String()
}

func TestThePageOfCommandsIsWhatTheySay(t *testing.T) {
	const path = "../../docs/corsctl.md"
	if *update {
		if err := os.WriteFile(path, []byte(page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != page() {
		t.Error("docs/corsctl.md is not what the commands say; run go test ./cmd/corsctl -update")
	}
}

// TestEveryCommandSaysWhatItNeedsTo keeps the commands alike.
func TestEveryCommandSaysWhatItNeedsTo(t *testing.T) {
	meanings := map[string]string{}
	for _, c := range commands {
		if c.summary == "" || c.text == "" || len(c.usage) == 0 || len(c.examples) == 0 || len(c.exits) < 2 {
			t.Errorf("%s lacks a part of its help", c.name)
		}
		for _, usage := range c.usage {
			if !strings.HasPrefix(usage, c.name) {
				t.Errorf("%s: usage %q", c.name, usage)
			}
		}
		for line := range strings.Lines(c.text) {
			if len(strings.TrimSpace(line)) > 82 {
				t.Errorf("%s: a line of %d characters: %s", c.name, len(line), line)
			}
		}
		// A flag of two commands means the same in both, but for what it names.
		c.flagSet().VisitAll(func(f *flag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s -%s has no meaning", c.name, f.Name)
			}
			if f.Name == "c" || f.Name == "o" && c.name == convertCommand.name {
				return
			}
			meaning, _, _ := strings.Cut(f.Usage, ":") // some have more choices
			if before, ok := meanings[f.Name]; ok && before != meaning {
				t.Errorf("-%s means %q and %q", f.Name, before, meaning)
			}
			meanings[f.Name] = meaning
		})
	}
}

// nativeRoutes is a route configuration with a policy of Envoy's own filter.
const nativeRoutes = `name: shop
virtual_hosts:
- name: shop
  domains: ["shop.example.com"]
  typed_per_filter_config:
    envoy.filters.http.cors:
      "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
      allow_origin_string_match: [{exact: "https://www.example.com"}]
      allow_methods: PUT
  routes:
  - {match: {prefix: /}, route: {cluster: shop}}
`

var corsctlLine = regexp.MustCompile(`corsctl [^|)]+`)

// TestEveryExampleRuns types what the help says, in a folder with a policy.
func TestEveryExampleRuns(t *testing.T) {
	ran := 0
	server := httptest.NewServer(http.NotFoundHandler()) // in place of those that examples ask
	defer server.Close()
	for _, c := range commands {
		for _, e := range c.examples {
			t.Run(e.purpose, func(t *testing.T) {
				ran++
				t.Chdir(t.TempDir())
				for name, text := range map[string]string{
					"policy.json": `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"]}`,
					"old.json":    `{"allow_origins": []}`,
					"new.json":    `{"allow_origins": ["https://shop.example.com"]}`,
					"envoy.yaml":  plain,
					"routes.yaml": nativeRoutes,
					"cases.yaml":  "cases:\n- {origin: https://shop.example.com, method: PUT, expect: allow}\n",
				} {
					if err := os.WriteFile(filepath.FromSlash(name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				line := e.line
				if strings.Contains(line, "completion") {
					line = corsctlLine.FindString(line)
				}
				stdin := ""
				if before, piped, ok := strings.Cut(line, " | "); ok && strings.HasSuffix(before, "/config_dump") {
					line = piped
					stdin = "configs:\n- static_route_configs:\n  - route_config:\n      " + strings.ReplaceAll(nativeRoutes, "\n", "\n      ")
				}
				line = strings.NewReplacer("https://api.example.com", server.URL, "http://localhost:10000", server.URL).Replace(line)
				words, err := shell.Fields(line, nil)
				if err != nil || words[0] != "corsctl" || words[1] != c.name {
					t.Fatalf("%q: %v", words, err)
				}
				var stdout, stderr bytes.Buffer
				std := stdio{in: strings.NewReader(stdin), out: &stdout, err: &stderr}
				if c.ends { // it would go on; that it serves is shown elsewhere
					if _, err := parseServeFlags(words[2:], std); err != nil {
						t.Error(err)
					}
					return
				}
				switch code := run(context.Background(), words[1:], std); {
				case code != exitOK && code != exitError:
					t.Errorf("exit code %d: %s", code, stderr.String())
				case stdout.Len() == 0:
					t.Error("nothing is printed")
				}
			})
		}
	}
	if ran < 10 {
		t.Errorf("%d examples", ran)
	}
}

// TestTheHookForPreCommitIsACommand parses what .pre-commit-hooks.yaml calls.
func TestTheHookForPreCommitIsACommand(t *testing.T) {
	text, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct{ Entry, Files string }
	if err := yaml.Unmarshal(text, &hooks); err != nil || len(hooks) == 0 {
		t.Fatalf("%v, %v", hooks, err)
	}
	for _, hook := range hooks {
		words := strings.Fields(hook.Entry)
		var stdout, stderr bytes.Buffer
		if code := run(
			context.Background(), append(words[1:], "testdata/theirs.yaml"), stdio{out: &stdout, err: &stderr},
		); words[0] != "corsctl" || code != exitOK ||
			!strings.Contains(stdout.String(), "1 file skipped") {
			t.Errorf("%s: exit code %d: %s%s", hook.Entry, code, stdout.String(), stderr.String())
		}
		for name, want := range map[string]bool{
			"policy.yaml": true,
			"a/envoy.yml": true,
			"policy.json": true,
			"README.md":   false,
			"yaml.go":     false,
		} {
			if regexp.MustCompile(hook.Files).MatchString(name) != want {
				t.Errorf("%s: files %s", name, hook.Files)
			}
		}
	}
}
