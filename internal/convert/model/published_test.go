package model

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
)

var update = flag.Bool("update", false, "write the goldens in testdata/published")

// leastPublished is how many published resources there are at least.
const leastPublished = 50

// TestPublished converts resources that people have published, retyped with
// what concerns routes and CORS. Each file says where they stand. What becomes of
// them is golden (-update); what requests get is not: each is written by hand, as
// the source has it.
func TestPublished(t *testing.T) {
	files, err := filepath.Glob("testdata/published/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/published/"), ".txtar"), func(t *testing.T) {
			compared += publishedAt(t, file)
		})
	}
	t.Logf("%d published resources, %d requests", len(files), compared)
	if len(files) < leastPublished {
		t.Errorf("%d published resources, fewer than %d", len(files), leastPublished)
	}
}

// publishedAt looks at one file, and returns how many requests it holds.
func publishedAt(t *testing.T, file string) int {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	where := map[string]string{}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		where[key] = value
	}
	if where["repository"] == "" || where["where"] == "" {
		t.Errorf("the file does not say where the resources stand")
	}
	var resources []convert.File
	requests, golden := "", map[string]string{}
	for _, f := range archive.Files {
		switch f.Name {
		case "requests":
			requests = string(f.Data)
		case "converted", "refused", "tolerated":
			golden[f.Name] = string(f.Data)
		default:
			resources = append(resources, convert.File{Name: f.Name, Data: f.Data})
		}
	}
	got := map[string]string{}
	result, problems := source.Convert(resources, convert.Options{})
	if result != nil {
		got["converted"] = described(result)
	} else {
		got["refused"] = reasonsOf(problems)
	}
	if names := where["tolerate"]; names != "" {
		if result != nil {
			t.Errorf("it is converted without %s", names)
		}
		if result, problems = source.Convert(resources, convert.Options{Tolerate: strings.Fields(names)}); result == nil {
			t.Errorf("refused although %s is tolerated: %v", names, problems)
		} else {
			got["tolerated"] = described(result)
		}
	}
	if *update {
		write(t, file, archive, got)
	} else {
		for _, name := range []string{"converted", "refused", "tolerated"} {
			if got[name] != golden[name] {
				t.Errorf("%s:\n%s\nwant\n%s", name, got[name], golden[name])
			}
		}
	}
	if result == nil {
		if requests != "" {
			t.Errorf("refused, and there are requests: %v", problems)
		}
		return 0
	}
	c, _, err := config.Parse(result.JSON)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(requests) {
		n++
		ask(t, c, strings.TrimSpace(line))
	}
	return n
}

// reasonsOf are problems without their remedies, which other tests pin.
func reasonsOf(problems convert.Problems) string {
	var s strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&s, "line %d: %s: %s", p.Line, p.Source, p.What)
		if p.Waiver != "" {
			fmt.Fprintf(&s, " (%s)", p.Waiver)
		}
		s.WriteString("\n")
	}
	return s.String()
}

// described is a result and what it says of each rule.
func described(r *convert.Result) string {
	var s strings.Builder
	s.Write(r.JSON)
	if !strings.HasSuffix(s.String(), "\n") {
		s.WriteString("\n")
	}
	for _, rule := range r.Rules {
		var kinds []string
		for _, c := range rule.Changes {
			if !slices.Contains(kinds, string(c.Kind)) {
				kinds = append(kinds, string(c.Kind))
			}
		}
		fmt.Fprintf(&s, "%s: %s\n", rule.Name, strings.Join(kinds, ", "))
	}
	return s.String()
}

// ask sends a request such as "reads GET host/path from ORIGIN with credentials
// sending x-a=1".
func ask(t *testing.T, c *config.Config, line string) {
	words := strings.Fields(line)
	at := func(word string) int { return slices.Index(words, word) }
	if len(words) < 5 || words[3] != "from" {
		t.Fatalf("%q is no request", line)
	}
	host, path, _ := strings.Cut(words[2], "/")
	x := exchange{
		config: c,
		target: request{Host: host, Path: "/" + path},
		page:   browser.Request{Method: words[1], Origin: words[4], Credentials: at("with") > 0},
	}
	if i := at("sending"); i > 0 {
		for _, h := range words[i+1:] {
			name, value, _ := strings.Cut(h, "=")
			x.page.Headers = append(x.page.Headers, browser.Header{Name: name, Value: value})
		}
	}
	if err := x.page.Validate(); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	s := x.run(x.filtered(func(r request, upstream backend) browser.Response { return upstream(r) }))
	if s.Allowed() != (words[0] == "reads") {
		t.Errorf("%q: %v", line, s)
	}
}

// write puts goldens behind what a file holds.
func write(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool {
		return f.Name == "converted" || f.Name == "refused" || f.Name == "tolerated"
	})
	for _, name := range []string{"converted", "refused", "tolerated"} {
		if got[name] != "" {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
		}
	}
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
