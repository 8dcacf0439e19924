package mesh

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestEnvoyGateway has Envoy Gateway, alone and with files for resources, serve
// deploy/envoy-gateway.yaml, then ask for tokens and passwords, then refuse it.
func TestEnvoyGateway(t *testing.T) {
	const port = 22140
	config, resources := folder("envoy-gateway-home"), folder("resources")
	for _, dir := range []string{
		resources, config + "/config", config + "/state", config + "/run", config + "/data/envoy-versions/1.37.0/bin",
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The manifest has a cluster's deployment pass the environment on; here Envoy is
	// started so.
	wrapper := "#!/bin/sh\nexport GOGC=off GOMEMLIMIT=64MiB\nexec " + envoyOld + " \"$@\"\n"
	settings := fmt.Sprintf(`apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
provider:
  type: Custom
  custom:
    resource: {type: File, file: {paths: [%q]}}
    infrastructure:
      type: Host
      host: {configHome: %q, dataHome: %q, stateHome: %q, runtimeDir: %q}
extensionApis: {enableBackend: true}
`, resources, config+"/config", config+"/data", config+"/state", config+"/run")
	if err := errors.Join(
		os.WriteFile(config+"/data/envoy-versions/1.37.0/bin/envoy", []byte(wrapper), 0o755),
		os.WriteFile(config+"/envoy-gateway.yaml", []byte(settings), 0o644)); err != nil {
		t.Fatal(err)
	}
	named(t, "envoy-gateway.envoy-gateway-system.svc.cluster.local")
	command := exec.Command(filepath.Join(programs, "envoy-gateway"), "certgen", "--local", "--config-home", config+"/config")
	command.Env = append(os.Environ(), "HOME="+config)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("certgen: %v\n%s", err, out)
	}
	certificates := config + "/config/certs/envoy"
	// Its server of modules takes the certificates from here, in a pod or not.
	mount(t, certificates, "/certs")

	manifest := documents(filepath.Join(root, "deploy/envoy-gateway.yaml"))
	extension := with(
		with(manifest[0], repository+":1.0.0", "spec", "wasm", 0, "code", "image", "url"), digest, "spec", "wasm", 0, "code", "image",
		"sha256",
	)
	proxies := with(manifest[1], object{"type": "Host", "host": object{"envoyVersion": "1.37.0"}}, "spec", "provider")
	aged := func(o object, age int) object { return with(o, age, "spec", "wasm", 0, "config", "max_age") }
	write := func(name string, all ...object) {
		t.Helper()
		var text []byte
		for _, o := range all {
			document, err := yaml.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			text = append(append(text, "---\n"...), document...)
		}
		// Beside it first, so that none is read half written.
		if err := errors.Join(
			os.WriteFile(resources+"/../"+name, text, 0o644), os.Rename(resources+"/../"+name, resources+"/"+name+".yaml"),
		); err != nil {
			t.Fatal(err)
		}
	}
	listeners := func(ports ...int) object {
		var all []any
		for i, port := range ports {
			all = append(all, object{"name": fmt.Sprintf("http-%d", i), "protocol": "HTTP", "port": port})
		}
		return object{
			"apiVersion": "gateway.networking.k8s.io/v1",
			"kind":       "Gateway",
			"metadata":   object{"name": "public", "namespace": "shop"},
			"spec": object{
				"gatewayClassName": "eg", "listeners": all,
				"infrastructure": object{"parametersRef": object{"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "public"}}},
		}
	}
	write("base", append(documents("testdata/envoy-gateway.yaml"),
		secret(t, "envoy", certificates, "ca.crt", "tls.crt", "tls.key"), secret(t, "envoy-oidc-hmac", hmacFolder(t, config), "hmac-secret"))...)
	write("gateway", listeners(port))
	write("proxy", proxies)
	write("cors", extension)
	p, err := start(
		"envoy-gateway", "envoy-gateway", []string{"ENVOY_GATEWAY_NAMESPACE=envoy-gateway-system", "HOME=" + config}, "server", "-c",
		config+"/envoy-gateway.yaml",
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	at := from{port: port, host: "api.example.com", origin: shop}
	own := func() (answer, error) { return at.get("/own") }
	preflight := func() (answer, error) { return at.preflight("PUT") }
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(tail(p.log.String()))
		}
	})
	serves(t, at, 600)
	expect(t, "404", func() (answer, error) { return from{port: port, host: "elsewhere.example", origin: shop}.get("/own") })

	t.Run("a new policy loses no request", func(t *testing.T) {
		l := underLoad(t, at, shopPreflight(600), shopReads)
		write("cors", aged(extension, 601))
		serves(t, at, 601)
		l.only(t, shopPreflight(601), shopReads)
	})
	t.Run("before authentication", func(t *testing.T) {
		jwks, token := tokens(t)
		policy := object{
			"apiVersion": "gateway.envoyproxy.io/v1alpha1",
			"kind":       "SecurityPolicy",
			"metadata":   object{"name": "token", "namespace": "shop"},
			"spec": object{
				"targetRefs": []any{object{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}},
				"jwt": object{
					"providers": []any{object{"name": "mesh", "issuer": "mesh", "localJWKS": object{"type": "Inline", "inline": jwks}}},
				}},
		}
		const unauthorized = "401 " + "access-control-allow-credentials: true; access-control-allow-origin: " + shop + "; vary: origin"
		write("token", policy)
		gives(t, unauthorized, own)
		expect(t, shopPreflight(601), preflight)
		expect(t, shopReads, func() (answer, error) {
			return from{
				port:    port,
				host:    "api.example.com",
				origin:  shop,
				headers: map[string]string{"Authorization": "Bearer " + token},
			}.get("/own")
		})

		policy = with(with(policy, nil, "spec", "jwt"), object{"users": object{"name": "users"}}, "spec", "basicAuth")
		write(
			"token", policy,
			object{"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "users", "namespace": "shop"}, "type": "Opaque",
				"data": object{".htpasswd": base64.StdEncoding.EncodeToString([]byte("foo:{SHA}C+7Hteo/D9vJXQ3UfzxbwnXaijM=\n"))}},
		)
		eventually(t, func() error {
			a, err := own()
			if err == nil && !strings.Contains(a.body, "username and password") {
				err = fmt.Errorf("%s: %s", a, a.body)
			}
			return err
		})
		expect(t, unauthorized, own)
		expect(t, shopPreflight(601), preflight)
		if err := os.Remove(resources + "/token.yaml"); err != nil {
			t.Fatal(err)
		}
		gives(t, shopReads, own)
	})
	t.Run("a refused policy changes nothing, and lets no new listener in", func(t *testing.T) {
		mark := p.mark()
		l := underLoad(t, at, shopPreflight(601), shopReads)
		write("cors", with(aged(extension, 602), []any{shop}, "spec", "wasm", 0, "config", "allow_orgins"))
		logged(t, p, mark, "configuration: allow_orgins: unknown key")
		l.only(t, shopPreflight(601), shopReads)
		write("gateway", listeners(port, port+1))
		logged(t, p, mark, "rejected")
		if a, err := (from{port: port + 1, host: "api.example.com", origin: shop}).get("/own"); err == nil {
			t.Errorf("the new listener answers: %s", a)
		}
		write("cors", aged(extension, 603))
		serves(t, at, 603)
		serves(t, from{port: port + 1, host: "api.example.com"}, 603)
	})
	t.Run("a module that cannot be had", func(t *testing.T) {
		write(
			"cors",
			with(
				aged(extension, 604), "1111111111111111111111111111111111111111111111111111111111111111", "spec", "wasm", 0, "code", "image",
				"sha256",
			),
		)
		gives(t, "500", own)
		expect(t, "500", preflight)
		write("cors", aged(extension, 605))
		serves(t, at, 605)
	})
}

// named lets a name lead to loopback, for these tests alone.
func named(t *testing.T, name string) {
	t.Helper()
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	file := folder("hosts")
	if err := os.WriteFile(file, append(hosts, "\n127.0.0.1 "+name+"\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	mount(t, file, "/etc/hosts")
}

// mount lays a file or a folder over another, which only these tests see.
func mount(t *testing.T, source, target string) {
	t.Helper()
	if _, err := os.Stat(target); err != nil {
		if err := os.Mkdir(target, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(target) })
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("%s over %s: %v", source, target, err)
	}
}

func hmacFolder(t *testing.T, config string) string {
	t.Helper()
	for _, pattern := range []string{"/config/certs/*/hmac-secret", "/config/certs/*/*/hmac-secret"} {
		if found, _ := filepath.Glob(config + pattern); len(found) > 0 {
			return filepath.Dir(found[0])
		}
	}
	t.Fatal("certgen made no hmac-secret")
	return ""
}

// secret holds files of a folder.
func secret(t *testing.T, name, dir string, files ...string) object {
	t.Helper()
	data := object{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		data[file] = base64.StdEncoding.EncodeToString(text)
	}
	return object{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata":   object{"name": name, "namespace": "envoy-gateway-system"},
		"type":       "Opaque",
		"data":       data,
	}
}
