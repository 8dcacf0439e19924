package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/wasmtest"
)

// These tests try what docs/install.md and docs/operations.md say about Envoy.

const (
	refusedPolicy = `{"allow_origins": ["https://shop.example.com/"]}`
	refusal       = `configuration: allow_origins[0]: "https://shop.example.com/": an origin has no trailing slash`
	direct        = `[{match: {prefix: /}, direct_response: {status: 200}}]`
)

// withDist is a folder with the module where envoy.yaml looks for it.
func withDist(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(folder, "dist"), 0o755),
		os.WriteFile(filepath.Join(folder, "dist", "cors.wasm"), wasmtest.Module(t), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	return folder
}

// validate runs envoy --mode validate, and returns what it says and its exit code.
func validate(t *testing.T, file, folder string) (said string, code int) {
	t.Helper()
	command := exec.Command(envoytest.Program(t), "--mode", "validate", "-c", file)
	command.Dir = folder
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func TestEnvoyAcceptsTheBootstrapsUnchanged(t *testing.T) {
	folder := withDist(t)
	files, err := filepath.Glob(filepath.Join(wasmtest.Root(), "deploy", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(wasmtest.Root(), "envoy.yaml")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "\nstatic_resources:") { // a resource of Kubernetes
			continue
		}
		if said, code := validate(t, file, folder); code != 0 || !strings.Contains(said, "OK") {
			t.Errorf("%s: exit code %d\n%s", file, code, said)
		}
	}
}

// TestEnvoyYAMLAnswers runs envoy.yaml unchanged except for its ports.
func TestEnvoyYAMLAnswers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	bootstrap, err := yaml.YAMLToJSON(
		[]byte(
			strings.NewReplacer(
				"address: 0.0.0.0, port_value: 10000", "address: 127.0.0.1, port_value: 0", "port_value: 9901", "port_value: 0",
			).Replace(string(text)),
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	s := envoytest.StartFile(t, bootstrap, envoy.Options{Folder: withDist(t), LogLevel: "info"})
	const demo = "http://localhost:8000"
	if got := askRaw(t, s, "main", "OPTIONS", "/", "Origin: "+demo+"\r\n", "Access-Control-Request-Method: PUT\r\n"); got.status != 204 ||
		got.allowedOrigin != demo {
		t.Errorf("a preflight: %+v", got)
	}
	if got := askRaw(t, s, "main", "GET", "/", "Origin: "+demo+"\r\n"); got.status != 200 || got.allowedOrigin != demo {
		t.Errorf("a request: %+v", got)
	}
	if got := askRaw(
		t, s, "main", "OPTIONS", "/api/a%2Fb", "Origin: https://evil.example\r\n", "Access-Control-Request-Method: PUT\r\n",
	); got.status != 403 ||
		got.allowedOrigin != "" {
		t.Errorf("an unlisted origin's preflight: %+v", got)
	}
	if dump, err := s.Get("/config_dump"); err != nil || !strings.Contains(dump, `"failure_policy": "FAIL_RELOAD"`) ||
		strings.Contains(dump, "path_with_escaped_slashes_action") {
		t.Errorf(
			"the failure policy is not what docs/install.md recommends, or no rule asks for a path and escaped slashes are touched: %v\n%s", err,
			dump,
		)
	}
	s.Counted(
		t,
		map[string]uint64{
			"cors.origin_valid":      2,
			"cors.origin_invalid":    1,
			"cors.preflight_allowed": 1, "cors.preflight_denied_origin": 1,
			"cors.request_allowed": 1,
		},
	)
}

// TestEnvoyTakesTheEnvoyFilter puts the filter that the EnvoyFilter inserts into a
// listener; its module comes from a file.
func TestEnvoyTakesTheEnvoyFilter(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(wasmtest.Root(), "deploy", "envoyfilter.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var resource map[string]any
	if err := yaml.Unmarshal(text, &resource); err != nil {
		t.Fatal(err)
	}
	filter := wasmtest.Within(t, resource, "spec", "configPatches", 0, "patch", "value")
	wasmtest.Within(t, filter, "typed_config", "config", "vm_config")["code"] = map[string]any{
		"local": map[string]any{"filename": envoytest.ModulePath(t)},
	}
	front, err := json.Marshal([]any{filter})
	if err != nil {
		t.Fatal(err)
	}
	s := envoytest.Start(t, envoytest.Bootstrap{Listeners: []envoytest.Listener{{Front: string(front), Routes: direct}}}, envoy.Options{})
	if got := askRaw(t, s, "main", "GET", "/", "Origin: https://shop.example.com\r\n"); got.allowedOrigin != "https://shop.example.com" {
		t.Errorf("%+v", got)
	}
}

// TestARefusedPolicyEndsEnvoysFirstStart whatever the failure policy, and Envoy's own
// check shows why.
func TestARefusedPolicyEndsEnvoysFirstStart(t *testing.T) {
	file := func(failurePolicy string) []byte {
		return envoytest.Bootstrap{
			Listeners: []envoytest.Listener{{Policy: refusedPolicy, Plugin: "failure_policy: " + failurePolicy, Routes: direct}},
		}.JSON(t)
	}
	for _, failurePolicy := range []string{"UNSPECIFIED", "FAIL_CLOSED", "FAIL_OPEN", "FAIL_RELOAD"} {
		t.Run(failurePolicy, func(t *testing.T) {
			t.Parallel()
			_, err := envoytest.TryFile(t, file(failurePolicy), envoy.Options{})
			if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), refusal) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("validate", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "envoy.json")
		if err := os.WriteFile(path, file("FAIL_RELOAD"), 0o644); err != nil {
			t.Fatal(err)
		}
		if said, code := validate(t, path, ""); code != 1 || !strings.Contains(said, refusal) {
			t.Errorf("exit code %d\n%s", code, said)
		}
	})
}

// TestARefusedPolicyCloses starts Envoy with a refused policy where the environment has
// the filter close, and pushes a good one and another refused one.
func TestARefusedPolicyCloses(t *testing.T) {
	pushes := envoytest.NewPushes(t)
	push := func(policy string) {
		t.Helper()
		pushes.Push(
			t,
			envoytest.Listener{Policy: policy, Plugin: `vm_config: {environment_variables: {key_values: {CORSFILTER_REFUSED: closed}}}`,
				Routes: `[{match: {prefix: /}, direct_response: {status: 200}, response_headers_to_add: [{header: ` +
					`{key: access-control-allow-origin, value: "*"}}]}]`},
		)
	}
	const shop = "https://shop.example.com"
	push(refusedPolicy)
	s := envoytest.Start(t, envoytest.Bootstrap{More: pushes.More()}, envoy.Options{Arguments: pushes.Arguments(), LogLevel: "info"})
	answers := func(status int, origin string) func() bool {
		return func() bool {
			preflight := askRaw(t, s, "", "OPTIONS", "/", "Origin: "+shop+"\r\n", "Access-Control-Request-Method: PUT\r\n")
			return preflight.status == status && askRaw(t, s, "", "GET", "/", "Origin: "+shop+"\r\n").allowedOrigin == origin
		}
	}
	if !answers(403, "")() {
		t.Error("it is not closed")
	}
	if !strings.Contains(s.Log(), refusal) || !strings.Contains(s.Log(), "CORSFILTER_REFUSED=closed") {
		t.Errorf("the log:\n%s", s.Log())
	}
	if stats, err := s.Stats(`config_refused`); err != nil || stats["wasmcustom.cors.config_refused"] == 0 {
		t.Errorf("counted %v, %v", stats, err)
	}
	push(`{"allow_origins": ["` + shop + `"]}`)
	envoytest.Eventually(t, "the good policy is in effect", answers(204, shop))
	push(`{"allow_origins": ["` + shop + `/"], "debug": true}`)
	envoytest.Eventually(t, "it is closed again", answers(403, ""))
}

// TestAPushThatEnvoyRefuses leaves the policy before in effect, and Envoy alone reports
// it. A push back to a policy that Envoy has kept starts nothing and logs nothing.
func TestAPushThatEnvoyRefuses(t *testing.T) {
	pushes := envoytest.NewPushes(t)
	push := func(policy string) {
		t.Helper()
		pushes.Push(t, envoytest.Listener{Policy: policy, Routes: direct})
	}
	const shop, other = "https://shop.example.com", "https://other.example.com"
	allowed := func(s *envoytest.Server, origin string) bool {
		return askRaw(t, s, "", "GET", "/", "Origin: "+origin+"\r\n").allowedOrigin == origin
	}
	push(`{"allow_origins": ["` + shop + `"]}`)
	s := envoytest.Start(t, envoytest.Bootstrap{More: pushes.More()}, envoy.Options{Arguments: pushes.Arguments(), LogLevel: "info"})
	inEffect := func() int { return strings.Count(s.Log(), "in effect: ") }

	push(refusedPolicy)
	envoytest.Eventually(t, "the push is refused", func() bool {
		stats, err := s.Stats(`^listener_manager\.lds\.update_rejected$`)
		return err == nil && stats["listener_manager.lds.update_rejected"] == 1
	})
	if !allowed(s, shop) || !strings.Contains(s.Log(), refusal) {
		t.Errorf("after a refused push; the log:\n%s", s.Log())
	}

	push(`{"allow_origins": ["` + other + `"], "allow_methods": ["PUT"]}`)
	envoytest.Eventually(t, "the second policy is in effect", func() bool { return allowed(s, other) })
	before := inEffect()
	push(`{"allow_origins": ["` + shop + `"]}`)
	envoytest.Eventually(t, "the first policy is in effect again", func() bool { return allowed(s, shop) })
	time.Sleep(500 * time.Millisecond) // as long as Envoy may take to write
	if after := inEffect(); after != before {
		t.Errorf("a push back to a policy that Envoy has kept logs %d lines; the documents say none", after-before)
	}
	dump, err := s.Get("/config_dump?resource=dynamic_listeners")
	if err != nil {
		t.Fatal(err)
	}
	if active, _, _ := strings.Cut(dump, `"draining_state"`); !strings.Contains(active, shop) || strings.Contains(active, other) {
		t.Errorf("/config_dump shows another policy than the one in effect:\n%s", dump)
	}
}
