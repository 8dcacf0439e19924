package mesh

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	apiServer = "https://127.0.0.1:22400"
	apiToken  = "of-these-tests"
)

// object is a resource of Kubernetes.
type object map[string]any

// startKubernetes starts etcd and an API server, with the resources of Istio and of the
// Gateway API. Nothing else of Kubernetes runs: no resource has an effect but through
// Istio.
func startKubernetes() error {
	_, err := start("etcd", "etcd", nil, "--data-dir", folder("etcd")+"/data", "--unsafe-no-fsync", "--log-level", "error",
		"--listen-client-urls", "http://127.0.0.1:22401", "--advertise-client-urls", "http://127.0.0.1:22401",
		"--listen-peer-urls", "http://127.0.0.1:22402", "--initial-advertise-peer-urls", "http://127.0.0.1:22402",
		"--initial-cluster", "default=http://127.0.0.1:22402")
	if err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	pki, signer, tokens := folder("pki"), folder("sa.key"), folder("tokens.csv")
	if err := errors.Join(
		os.WriteFile(signer, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600),
		os.WriteFile(tokens, []byte(apiToken+",admin,admin,system:masters\n"), 0o600),
		os.WriteFile(kubeconfig(), fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: it,
clusters: [{name: it, cluster: {server: %q, insecure-skip-tls-verify: true}}],
users: [{name: it, user: {token: %s}}],
contexts: [{name: it, context: {cluster: it, user: it}}]}`, apiServer, apiToken), 0o600)); err != nil {
		return err
	}
	server, err := start("kube-apiserver", "kube-apiserver", nil, "--etcd-servers", "http://127.0.0.1:22401", "--bind-address", "127.0.0.1",
		"--secure-port", "22400", "--cert-dir", pki, "--advertise-address", "127.0.0.1", "--service-cluster-ip-range", "10.96.0.0/16",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", signer, "--service-account-signing-key-file",
		signer,
		"--token-auth-file", tokens, "--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount",
		"--endpoint-reconciler-type", "none")
	if err != nil {
		return err
	}
	if err := until(2*time.Minute, func() error { _, err := call("GET", "/readyz", nil); return err }); err != nil {
		return fmt.Errorf("the API server is not ready: %w\n%s", err, tail(server.log.String()))
	}
	files, err := filepath.Glob(filepath.Join(gateways, "config/crd/standard/*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no resources of the Gateway API in %s: %w", gateways, err)
	}
	for _, file := range append(files, filepath.Join(istio, "manifests/charts/base/files/crd-all.gen.yaml")) {
		for _, o := range documents(file) {
			if o["kind"] != "CustomResourceDefinition" {
				continue
			}
			if err := apply(o); err != nil {
				return err
			}
		}
	}
	for _, namespace := range []string{"istio-system", "istio-ingress", "shop"} {
		if err := apply(object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace}}); err != nil {
			return err
		}
	}
	return nil
}

func kubeconfig() string { return folder("kubeconfig") }

// documents reads the resources of a file. A manifest that cannot be read fails
// everything.
func documents(file string) (all []object) {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	for document := range strings.SplitSeq("\n"+string(text), "\n---") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			panic(fmt.Errorf("%s: %w", file, err))
		}
		if o != nil {
			all = append(all, o)
		}
	}
	return all
}

// at is what stands in a resource at a path of names and numbers.
func at(o any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			members, ok := o.(map[string]any)
			if top, is := o.(object); is {
				members, ok = top, true
			}
			if !ok {
				return nil
			}
			o = members[step]
		case int:
			elements, ok := o.([]any)
			if !ok || step >= len(elements) {
				return nil
			}
			o = elements[step]
		}
	}
	return o
}

// with is a copy of a resource in which the value at a path is another; nil takes it
// out.
func with(o object, value any, path ...any) object {
	var copied object
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &copied)
	}
	if err != nil {
		panic(err)
	}
	last := path[len(path)-1]
	switch parent := at(copied, path[:len(path)-1]...).(type) {
	case object:
		put(parent, last, value)
	case map[string]any:
		put(parent, last, value)
	case []any:
		parent[last.(int)] = value
	default:
		panic(fmt.Sprintf("%v has nothing at %v", o, path))
	}
	return copied
}

func put(members map[string]any, name, value any) {
	if value == nil {
		delete(members, name.(string))
		return
	}
	members[name.(string)] = value
}

var client = &http.Client{
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	Timeout:   30 * time.Second,
}

// call asks the API server; a status that is no success is an error.
func call(method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequest(method, apiServer+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+apiToken)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return text, err
}

// address is a resource's path in the API. What its kind is called there the server says,
// which takes a moment after a definition was applied.
func address(o object) (string, error) {
	version, kind, name := fmt.Sprint(o["apiVersion"]), o["kind"], fmt.Sprint(at(o, "metadata", "name"))
	prefix := "/apis/" + version
	if !strings.Contains(version, "/") {
		prefix = "/api/" + version
	}
	var found string
	err := until(20*time.Second, func() error {
		text, err := call("GET", prefix, nil)
		if err != nil {
			return err
		}
		var list struct {
			Resources []struct {
				Name, Kind string
				Namespaced bool
			}
		}
		if err := json.Unmarshal(text, &list); err != nil {
			return err
		}
		for _, r := range list.Resources {
			if r.Kind != kind || strings.Contains(r.Name, "/") {
				continue
			}
			found = prefix + "/"
			if r.Namespaced {
				found += "namespaces/" + fmt.Sprint(at(o, "metadata", "namespace")) + "/"
			}
			found += r.Name + "/" + name
			return nil
		}
		return fmt.Errorf("the API server knows no %s of %s", kind, version)
	})
	return found, err
}

// apply is kubectl apply --server-side.
func apply(o object) error {
	path, err := address(o)
	if err != nil {
		return err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = call(http.MethodPatch, path+"?fieldManager=mesh&force=true&fieldValidation=Strict", text)
	return err
}

// applied applies resources for as long as a test runs.
func applied(t *testing.T, all ...object) {
	t.Helper()
	for _, o := range all {
		if err := apply(o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = remove(o) })
	}
}

func remove(o object) error {
	path, err := address(o)
	if err != nil {
		return err
	}
	_, err = call(http.MethodDelete, path, nil)
	return err
}

// again re-applies a resource within a test.
func again(t *testing.T, o object) {
	t.Helper()
	if err := apply(o); err != nil {
		t.Fatal(err)
	}
}
