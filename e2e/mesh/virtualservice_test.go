package mesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// corsPolicies are what VirtualServices say, by the first label of their host.
var corsPolicies = map[string]string{
	"basic": `{allowOrigins: [{exact: "https://app.example.com"}, {regex: 'https://pr-[0-9]+\.example\.com'}], allowMethods: [GET, PUT],
		allowHeaders: [content-type, X-Demo], exposeHeaders: [x-upstream], allowCredentials: true, maxAge: 24h}`,
	"prefix":  `{allowOrigins: [{prefix: "https://app"}], allowMethods: [GET, POST]}`,
	"any":     `{allowOrigins: [{exact: "*"}], allowMethods: [GET, POST, DELETE], allowHeaders: ["*"]}`,
	"regex":   `{allowOrigins: [{regex: ".*"}], allowMethods: [GET]}`,
	"stars":   `{allowOrigins: [{exact: "https://app.example.com"}], allowMethods: ["*"], allowHeaders: ["*"]}`,
	"bare":    `{allowOrigins: [{exact: "https://app.example.com"}]}`,
	"nobody":  `{allowMethods: [GET]}`,
	"ignore":  `{allowOrigins: [{exact: "https://app.example.com"}], allowMethods: [PUT], unmatchedPreflights: IGNORE}`,
	"forward": `{allowOrigins: [{exact: "https://app.example.com"}], allowMethods: [PUT], unmatchedPreflights: FORWARD}`,
	"old":     `{allowOrigin: ["https://app.example.com"], allowMethods: [PUT], maxAge: 1m30s}`,
}

// TestVirtualServices compares Istio's own filter, at one port, with what corsctl makes
// of the same VirtualServices, at another: wherever a page would get through at one and
// not at the other, convert has to have said so.
func TestVirtualServices(t *testing.T) {
	const converted = gatewayPort + 1
	stockPilot(t)
	public, second := gatewayOn("public", gatewayPort)[0], gatewayOn("second", converted)[0]
	applied(t, public, second, serviceOf("upstream.lab", "istio-ingress", 22600))
	source := []object{public}
	for _, name := range slices.Sorted(maps.Keys(corsPolicies)) {
		var policy map[string]any
		if err := yaml.Unmarshal([]byte(corsPolicies[name]), &policy); err != nil {
			t.Fatal(err)
		}
		service := object{
			"apiVersion": "networking.istio.io/v1",
			"kind":       "VirtualService",
			"metadata":   object{"name": name, "namespace": "istio-ingress"},
			"spec": object{"hosts": []any{name + ".lab"}, "gateways": []any{"istio-ingress/public"},
				"http": []any{object{"corsPolicy": policy, "route": toUpstream()}}},
		}
		source = append(source, service)
		bare := with(with(service, name+"-converted", "metadata", "name"), []any{"istio-ingress/second"}, "spec", "gateways")
		applied(t, service, with(bare, nil, "spec", "http", 0, "corsPolicy"))
	}
	configuration, differences := convert(t, source)
	plugin := with(with(shipped("istio.yaml"), configuration, "spec", "pluginConfig"),
		[]any{object{"ports": []any{object{"number": converted}}}}, "spec", "match")
	applied(t, plugin)
	newGateway().run(t)
	gives(t, "204 access-control-allow-methods: PUT; access-control-allow-origin: https://app.example.com; access-control-max-age: 90; "+
		"vary: origin, access-control-request-method, access-control-request-headers",
		func() (answer, error) {
			return from{port: converted, host: "old.lab", origin: "https://app.example.com"}.preflight("PUT")
		})

	compared := 0
	for name := range corsPolicies {
		for _, origin := range []string{
			"https://app.example.com", "https://evil.example.net", "https://pr-12.example.com", "https://application.evil.example", "null",
		} {
			for _, method := range []string{"GET", "PUT", "DELETE", "POST"} {
				for _, path := range []string{"/", "/own"} {
					compared++
					native := through(t, from{port: gatewayPort, host: name + ".lab", origin: origin}, method, path)
					ours := through(t, from{port: converted, host: name + ".lab", origin: origin}, method, path)
					named := strings.Contains(differences, name+".lab") || path == "/own" && strings.Contains(differences, "[upstream-headers]")
					if native != ours && !named {
						t.Errorf("%s %s%s from %s: natively %+v, converted %+v, and convert does not say so", method, name, path, origin, native, ours)
					}
				}
			}
		}
	}
	t.Logf("%d requests compared", compared)
}

// verdict is what a page gets.
type verdict struct{ sends, reads, readsWithCookies bool }

// through asks as a page does that sends content-type.
func through(t *testing.T, f from, method, path string) (v verdict) {
	t.Helper()
	pre, err := f.ask(
		"OPTIONS", path, map[string]string{"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"},
	)
	if err != nil {
		t.Fatal(err)
	}
	lists := func(name, value string) bool {
		list := regexp.MustCompile(`\s*,\s*`).Split(strings.ToLower(pre.headers[name]), -1)
		return slices.Contains(list, strings.ToLower(value)) || slices.Contains(list, "*")
	}
	forOrigin := func(a answer) bool { o := a.headers["access-control-allow-origin"]; return o == f.origin || o == "*" }
	v.sends = pre.status/100 == 2 && forOrigin(pre) && lists("access-control-allow-headers", "content-type") &&
		(method == "GET" || method == "POST" || lists("access-control-allow-methods", method))
	actual, err := f.ask(method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.reads = forOrigin(actual)
	v.readsWithCookies = actual.headers["access-control-allow-origin"] == f.origin &&
		actual.headers["access-control-allow-credentials"] == "true"
	return v
}

// convert has corsctl make a configuration of resources, and returns it with what it says
// of differences.
func convert(t *testing.T, source []object) (configuration any, differences string) {
	t.Helper()
	var text bytes.Buffer
	for _, o := range source {
		document, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s", document)
	}
	file := filepath.Join(run, "virtualservices.yaml")
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	command := exec.Command(filepath.Join(root, "dist/corsctl"), "convert", "-tolerate", "loose-origin-match", file)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), &configuration); err != nil {
		t.Fatal(err)
	}
	return configuration, stderr.String()
}
