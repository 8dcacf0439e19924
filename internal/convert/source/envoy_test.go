package source

import (
	"strings"
	"testing"

	"corsfilter/internal/convert"
)

// TestPortsOfDomains: Envoy asks for a host with its port first, wherever it stands, and
// never where the port is stripped.
func TestPortsOfDomains(t *testing.T) {
	const (
		host = "            - {name: host, domains: [api.example.com], routes: [{match: {prefix: /}, route: {cluster: x}}]}\n"
		port = "            - {name: port, domains: ['api.example.com:8443'], routes: [{match: {prefix: /}, route: {cluster: x}, "
	)
	file := envoyFile(host + port + envoyCors(origin("a")) + "}]}\n")
	for text, want := range map[string]string{
		file: "asks for the port 8443 of the host, and rules",
		strings.Replace(file, "stat_prefix: x", "strip_any_host_port: true", 1): "asks for the port 8443 of the host, which is stripped first",
	} {
		_, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(text)}}, convert.Options{})
		if len(problems) != 1 || !strings.Contains(problems[0].What, want) {
			t.Errorf("%v, want one that %s", problems, want)
		}
	}
}

// TestDisabledLevels: what stands beside disabled is nothing that other levels fall back to.
func TestDisabledLevels(t *testing.T) {
	const disabled = `typed_per_filter_config: {envoy.filters.http.cors: {
              "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true,
              config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, allow_methods: PUT}}}`
	route := "{match: {prefix: /}, route: {cluster: x}, " + envoyCors(origin("a")) + "}"
	text := envoyFile("            - {name: v, domains: ['*'], routes: [" + route + "], " + disabled + "}\n")
	result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(text)}}, convert.Options{})
	if problems != nil {
		t.Fatal(problems)
	}
	if p := result.Source.Rules[0].Policy; len(p.AllowMethods) > 0 || decides(t, result, "any.example", "/") != "a" {
		t.Errorf("the route's policy has something of the level that is disabled: %s", result.JSON)
	}
}

// TestPathParametersAreSaid where paths are compared without them in Envoy, and nowhere else.
func TestPathParametersAreSaid(t *testing.T) {
	file := func(match string) string {
		return "name: r\nignore_path_parameters_in_path_matching: true\nvirtual_hosts:\n" +
			"- {name: v, domains: [\"*\"], routes: [{match: {" + match + "}, route: {cluster: x}, " + envoyCors(origin("a")) + "}]}\n"
	}
	for text, want := range map[string]bool{
		file("path: /v1"):  true,
		file("prefix: /"):  false,
		file("prefix: /v"): true,
		strings.Replace(file("path: /v1"), "matching: true", "matching: false", 1): false,
	} {
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(text)}}, convert.Options{})
		if problems != nil {
			t.Fatal(problems)
		}
		if got := hasChange(result, convert.PathSpelling); got != want {
			t.Errorf("%v\n%s", got, text)
		}
	}
}
