package source_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"corsfilter/config"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/lint"
	"corsfilter/internal/wasmtest"
)

// results are those of all test files, with Partial.
func results(t *testing.T) map[string]*convert.Result {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.[^g]*")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*convert.Result{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if result, _ := source.Convert([]convert.File{{Name: name, Data: data}}, convert.Options{Partial: true}); result != nil {
			all[name] = result
		}
	}
	if len(all) < 8 {
		t.Fatalf("%d results", len(all))
	}
	return all
}

// TestEveryFormatPassesCheck: the configuration in a manifest is the one of the
// result, but for the names, and check finds nothing wrong with any.
func TestEveryFormatPassesCheck(t *testing.T) {
	for name, result := range results(t) {
		for _, format := range convert.Formats {
			text, err := result.Format(format)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range lint.Check(format, text, true) {
				if f.Severity == lint.Error || f.Code == lint.Paths {
					t.Errorf("%s: %s: %+v", name, format, f)
				}
			}
			found, err := lint.Find(text)
			if err != nil || len(found) != 1 {
				t.Fatalf("%s: %s: %d configurations, %v", name, format, len(found), err)
			}
			if got, want := policies(t, found[0].JSON), policies(t, result.JSON); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s holds %v, want %v", name, format, got, want)
			}
			if comments := comments(result); comments > 0 && !bytes.Contains(text, []byte("left out: ")) && !bytes.Contains(text,
				[]byte(" (without ")) {
				t.Errorf("%s: %s does not say what was left out", name, format)
			}
			if format == "envoy" {
				forPaths := bytes.Contains(text, []byte("path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD"))
				if asked := strings.Contains(string(result.JSON), `"paths"`); forPaths != asked || bytes.Contains(text, []byte("..%2f")) != asked {
					t.Errorf("%s: the setting for rules by path is there: %v, and there are such rules: %v", name, forPaths, asked)
				}
			}
		}
	}
}

// TestEnvoyTakesWhatIsMade starts Envoy with every envoy.yaml that is made, each as a
// listener.
func TestEnvoyTakesWhatIsMade(t *testing.T) {
	var whole map[string]any
	var listeners []any
	for name, result := range results(t) {
		text, err := result.Format("envoy")
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := yaml.UnmarshalStrict(text, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		listener := wasmtest.Within(t, file, "static_resources", "listeners", 0)
		listener["name"] = name
		wasmtest.Within(
			t, listener, "filter_chains", 0, "filters", 0, "typed_config", "http_filters", 0, "typed_config", "config", "vm_config", "code",
			"local",
		)["filename"] = envoytest.ModulePath(t)
		for _, object := range []map[string]any{file["admin"].(map[string]any), listener} {
			wasmtest.Within(t, object, "address")["socket_address"] = map[string]any{"address": "127.0.0.1", "port_value": 0}
		}
		whole, listeners = file, append(listeners, listener)
	}
	wasmtest.Within(t, whole, "static_resources")["listeners"] = listeners
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	s := envoytest.StartFile(t, text, envoy.Options{})
	for name := range results(t) {
		s.Address(name)
	}
}

func comments(r *convert.Result) (n int) {
	for _, rule := range r.Rules {
		n += len(rule.Comments)
	}
	return n
}

// policies are the rules without their names.
func policies(t *testing.T, configuration []byte) any {
	t.Helper()
	if _, _, err := config.Parse(configuration); err != nil {
		t.Error(err)
	}
	var c struct{ Rules []map[string]any }
	if err := yaml.Unmarshal(configuration, &c); err != nil {
		t.Fatal(err)
	}
	for _, rule := range c.Rules {
		delete(rule, "name")
	}
	return c.Rules
}

// TestManifestsAreThoseOfTheRepository compares everything but the configuration,
// and the routes and cluster of envoy.yaml.
func TestManifestsAreThoseOfTheRepository(t *testing.T) {
	var result *convert.Result
	for _, result = range results(t) {
		break
	}
	for format, original := range map[string]string{
		"wasmplugin":    "../../../istio.yaml",
		"envoy-gateway": "../../../deploy/envoy-gateway.yaml",
		"envoy":         "../../../envoy.yaml",
	} {
		want, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		got, err := result.Format(format)
		if err != nil {
			t.Fatal(err)
		}
		g, w := strings.Split(string(got), "\n---\n"), strings.Split(string(want), "\n---\n")
		if len(g) != len(w) {
			t.Fatalf("%s has %d documents, %s %d", format, len(g), original, len(w))
		}
		for i := range g {
			if a, b := bare(t, g[i]), bare(t, w[i]); !reflect.DeepEqual(a, b) {
				t.Errorf("%s is\n%v\nand %s is\n%v", format, a, original, b)
			}
		}
	}
}

// bare is a document without what may differ.
func bare(t *testing.T, text string) any {
	t.Helper()
	var document any
	if err := yaml.UnmarshalStrict([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	var strip func(node any)
	strip = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for _, key := range []string{"pluginConfig", "configuration", "clusters", "routes", "path_with_escaped_slashes_action"} {
				delete(node, key)
			}
			if _, wasm := node["rootID"]; wasm {
				delete(node, "config")
			}
			for _, child := range node {
				strip(child)
			}
		case []any:
			for _, child := range node {
				strip(child)
			}
		}
	}
	strip(document)
	return document
}

// TestAHostileNameStaysInItsPlace: names of a source end up in comments, keys of
// JSON and messages.
func TestAHostileNameStaysInItsPlace(t *testing.T) {
	text := "virtual_hosts:\n- name: \"x\\n  - policy: {allow_origins: ['*']}\\u2028\\x1b[31m\"\n  domains: ['*']\n  routes:\n" +
		"  - {match: {prefix: /, headers: [{name: \"a\\nb: c\"}]}, route: {cluster: x}}\n" +
		"  - {match: {prefix: /}, route: {cluster: x, cors: {allow_origin_string_match: [{exact: 'https://a.example'}]}}}\n"
	file := []convert.File{{Name: "a\nb", Data: []byte(text)}}
	_, problems := source.Convert(file, convert.Options{})
	if len(problems) != 1 || strings.ContainsAny(problems[0].What+problems[0].Source, "\n\x1b\u2028") {
		t.Errorf("%q", problems)
	}
	result, problems := source.Convert(file, convert.Options{Partial: true})
	if problems != nil {
		t.Fatal(problems)
	}
	for _, format := range convert.Formats {
		text, err := result.Format(format)
		if err != nil || bytes.ContainsAny(text, "\x1b\u2028") {
			t.Errorf("%v\n%q", err, text)
		}
		found, err := lint.Find(text)
		if err != nil || len(found) != 1 {
			t.Fatalf("%d configurations, %v\n%s", len(found), err, text)
		}
		if rules := policies(t, found[0].JSON).([]map[string]any); len(rules) != 1 {
			t.Errorf("%d rules\n%s", len(rules), text)
		}
	}
}

// TestProblemsLeadToTheirLines: what is refused or warned of in the configuration is
// told at the place in the source that it comes from, and else at the route's.
func TestProblemsLeadToTheirLines(t *testing.T) {
	const routes = `virtual_hosts:
- name: v
  domains: [%s]
  routes:
  - match:
      path: %s
    route: {cluster: x}
    typed_per_filter_config:
      envoy.filters.http.cors:
        "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
        allow_origin_string_match:
        - exact: https://a.example
        - exact: %s
        allow_headers: "x-a,
          %s"
        max_age: %s
        allow_private_network_access: %s
`
	for _, c := range []struct {
		host, path, origin, header, age, private string
		line                                     int // of the problem, or of the warning
		warning                                  string
	}{
		{"a.example", "/a", "https://b.example/x", "x-b", "5", "false", 13, ""},
		{"a.example", "/a", "https://b.example", "x b", "5", "false", 14, ""},
		{"a.example", "/a", "https://b.example", "x-b", "-5", "false", 16, ""},
		{"a.example", "/a?b", "https://b.example", "x-b", "5", "false", 6, ""},
		{"a_.example/", "/a", "https://b.example", "x-b", "5", "false", 5, ""},
		{"a.example", "/a", `"*"`, "x-b", "5", "true", 17, "rules[0].policy.allow_private_network_access"},
		{"a.example", "/a", "http://a.example", "x-b", "5", "true", 13, "rules[0].policy.allow_origins[1]"},
	} {
		text := fmt.Sprintf(routes, c.host, c.path, c.origin, c.header, c.age, c.private)
		result, problems := source.Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(text)}}, convert.Options{})
		if c.warning == "" {
			if len(problems) != 1 || problems[0].Line != c.line || problems[0].Source != "virtual host v routes[0]" {
				t.Errorf("%v, want one in line %d", problems, c.line)
			}
			continue
		}
		if problems != nil {
			t.Fatal(problems)
		}
		_, warnings, _ := result.Source.Compile()
		i := slices.IndexFunc(warnings, func(p config.Problem) bool { return p.Path == c.warning })
		if i < 0 || result.Locate(c.warning).Line != c.line {
			t.Errorf("%v\nwant one of line %d; %s leads to %d", warnings, c.line, c.warning, result.Locate(c.warning).Line)
		}
	}
}
