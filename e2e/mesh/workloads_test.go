package mesh

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

const (
	shop = "https://shop.example.com" // whose origin the manifests of deploy allow
	// shopAnswer is what they say to its preflights, up to max_age.
	shopAnswer = "204 access-control-allow-credentials: true; access-control-allow-headers: content-type; " +
		"access-control-allow-methods: PUT, DELETE; " +
		"access-control-allow-origin: " + shop +
		"; access-control-max-age: %d; vary: origin, access-control-request-method, access-control-request-headers"
	shopReads = "200 access-control-allow-credentials: true; access-control-allow-origin: " + shop + "; vary: origin"
	untouched = "200 access-control-allow-credentials: true; access-control-allow-origin: *"
)

func shopPreflight(age int) string { return fmt.Sprintf(shopAnswer, age) }

// serves waits for a manifest of deploy to be in effect at a port, as a whole.
func serves(t *testing.T, f from, age int) {
	t.Helper()
	f.origin = shop
	gives(t, shopPreflight(age), func() (answer, error) { return f.preflight("PUT") })
	expect(t, shopReads, func() (answer, error) { return f.get("/own") })
	f.origin = "https://evil.example"
	expect(t, denied, func() (answer, error) { return f.preflight("PUT") })
	expect(t, "200 vary: origin", func() (answer, error) { return f.get("/own") })
}

// passes waits for a port that no filter stands at.
func passes(t *testing.T, f from) {
	t.Helper()
	f.origin = shop
	gives(t, untouched, func() (answer, error) { return f.get("/own") })
}

// TestSidecar applies deploy/istio-sidecar.yaml, and looks at what match lets it stand at:
// two ports of the application, and one by which that calls others.
func TestSidecar(t *testing.T) {
	const inbound, other, outbound = 22110, 22111, 22120
	stockPilot(t)
	port := func(number int, name string) object {
		return object{"port": object{"number": number, "protocol": "HTTP", "name": name}, "bind": "127.0.0.1", "captureMode": "NONE"}
	}
	in, more, out := port(inbound, "http"), port(other, "http-other"), port(outbound, "out")
	in["defaultEndpoint"], more["defaultEndpoint"], out["hosts"] = upstreamAddress, upstreamAddress, []any{"*/outside.lab"}
	metadata := object{"name": "orders", "namespace": "shop"}
	plugin := shipped("deploy/istio-sidecar.yaml")
	// A listener for calls takes services with its own port alone.
	outside := with(serviceOf("outside.lab", "shop", 22600), outbound, "spec", "ports", 0, "number")
	applied(t, plugin, outside,
		object{"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": metadata, "spec": object{
			"workloadSelector": object{"labels": object{"app": "orders"}}, "ingress": []any{in, more}, "egress": []any{out}}},
		object{
			"apiVersion": "security.istio.io/v1",
			"kind":       "PeerAuthentication",
			"metadata":   object{"name": "default", "namespace": "istio-system"},
			"spec":       object{"mtls": object{"mode": "DISABLE"}},
		},
		object{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata, "spec": object{
			"hosts": []any{"orders.shop.svc.cluster.local"}, "location": "MESH_INTERNAL", "resolution": "STATIC",
			"workloadSelector": object{"labels": object{"app": "orders"}},
			"ports":            []any{object{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": inbound}}}},
		object{"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": metadata,
			"spec": object{"address": "127.0.0.1", "labels": object{"app": "orders"}, "serviceAccount": "default"}})
	proxy{
		name:              "sidecar",
		kind:              "sidecar",
		namespace:         "shop",
		labels:            map[string]string{"app": "orders"},
		base:              22300,
		componentLogLevel: "wasm:info",
		env:               []string{"ISTIO_META_INTERCEPTION_MODE=NONE"},
	}.run(t)

	serves(t, from{port: inbound}, 600)
	serves(t, from{port: other}, 600)
	passes(t, from{port: outbound, host: "outside.lab"})

	one := with(plugin, []any{object{"mode": "SERVER", "ports": []any{object{"number": inbound}}}}, "spec", "match")
	again(t, aged(one, 601))
	serves(t, from{port: inbound}, 601)
	passes(t, from{port: other})

	again(t, aged(with(plugin, []any{object{"mode": "CLIENT"}}, "spec", "match"), 602))
	serves(t, from{port: outbound, host: "outside.lab"}, 602)
	passes(t, from{port: inbound})
}

// TestWaypoint applies deploy/istio-waypoint.yaml to a waypoint, and asks it as ztunnel
// does: by HBONE, HTTP/2 CONNECT with mutual TLS.
func TestWaypoint(t *testing.T) {
	const tunnel = 22130
	withoutStockPilot()
	p, err := pilot("waypoint", "PILOT_ENABLE_AMBIENT=true")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	plugin := shipped("deploy/istio-waypoint.yaml")
	resources := documents("testdata/waypoint.yaml")
	applied(t, append(resources, serviceOf("upstream.lab", "istio-ingress", 22600), plugin)...)
	certificates := folder("certificates")
	if err := os.MkdirAll(certificates, 0o755); err != nil {
		t.Fatal(err)
	}
	proxy{
		name:              "waypoint",
		kind:              "waypoint",
		namespace:         "shop",
		labels:            map[string]string{"gateway.networking.k8s.io/gateway-name": "waypoint"},
		base:              22300,
		componentLogLevel: "wasm:info",
		env:               []string{"ISTIO_META_ENABLE_HBONE=true", "OUTPUT_CERTS=" + certificates, "ISTIO_BOOTSTRAP=" + waypointBootstrap(t)},
	}.run(t)
	hbone(t, certificates, tunnel, "10.96.0.101:80")
	serves(t, from{port: tunnel, host: "orders.shop"}, 600)

	whole := with(plugin, []any{object{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}}, "spec", "targetRefs")
	again(t, aged(whole, 601))
	serves(t, from{port: tunnel, host: "orders.shop"}, 601)
}

// waypointBootstrap is Istio's own without the extension that upstream's Envoy lacks.
func waypointBootstrap(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(istio, "tools/packaging/common/envoy_bootstrap.json"))
	if err != nil {
		t.Fatal(err)
	}
	const condition = "{{- if .metadata_discovery }}"
	if !strings.Contains(string(text), condition) {
		t.Fatal("Istio's bootstrap has no metadata_discovery any more")
	}
	path := folder("waypoint_bootstrap.json")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), condition, "{{- if false }}", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// hbone takes connections at a port to an address behind the waypoint.
func hbone(t *testing.T, certificates string, port int, target string) {
	t.Helper()
	var certificate tls.Certificate
	eventually(t, func() (err error) {
		certificate, err = tls.LoadX509KeyPair(certificates+"/cert-chain.pem", certificates+"/key.pem")
		return err
	})
	// The waypoint has a name of SPIFFE, which is no host's.
	transport := &http2.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true, NextProtos: []string{"h2"}},
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				response, err := transport.RoundTrip(
					&http.Request{Method: http.MethodConnect, URL: &url.URL{Scheme: "https", Host: "127.0.0.1:15008"}, Host: target,
						Header: http.Header{}, Body: io.NopCloser(connection), ContentLength: -1},
				)
				if err == nil && response.StatusCode == http.StatusOK {
					_, _ = io.Copy(connection, response.Body)
				}
			}()
		}
	}()
}

// TestEnvoyFilter applies deploy/envoyfilter.yaml, whose module Envoy itself fetches.
func TestEnvoyFilter(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/envoyfilter.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(root, "dist/cors.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := folder("envoyfilter.yaml")
	write := func(t *testing.T, age int) object {
		t.Helper()
		made := strings.NewReplacer(strings.Repeat("0", 64), fmt.Sprintf("%x", sha256.Sum256(module)), "cors-1.0.0.wasm", "cors.wasm",
			`"max_age": 600`, fmt.Sprintf(`"max_age": %d`, age)).Replace(string(text))
		if err := os.WriteFile(manifest, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
		return documents(manifest)[0]
	}
	gateway(t, newGateway(), serviceOf("modules.istio-ingress.svc.cluster.local", "istio-ingress", 22501), write(t, 600))
	serves(t, from{port: gatewayPort}, 600)
	l := underLoad(t, from{port: gatewayPort, origin: shop}, shopPreflight(600), shopReads)
	again(t, write(t, 601))
	serves(t, from{port: gatewayPort}, 601)
	l.only(t, shopPreflight(601), shopReads)
}

// TestHigress gives a gateway what Higress makes of deploy/higress.yaml: Istio's
// WasmPlugin with the configuration in its place. Higress itself cannot be had as a Go
// module.
func TestHigress(t *testing.T) {
	plugin := shipped("deploy/higress.yaml")
	plugin = with(with(plugin, at(plugin, "spec", "defaultConfig"), "spec", "pluginConfig"), nil, "spec", "defaultConfig")
	plugin = with(with(plugin, nil, "spec", "defaultConfigDisable"), "istio-ingress", "metadata", "namespace")
	gateway(t, newGateway(), with(plugin, "extensions.istio.io/v1alpha1", "apiVersion"))
	serves(t, from{port: gatewayPort}, 600)
}
