package mesh

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// pilot is istiod, as the stock program or as the one for waypoints.
func pilot(program string, env ...string) (*process, error) {
	config := folder("mesh.yaml")
	// Without telemetry, whose filters are in Istio's build of Envoy alone.
	err := os.WriteFile(config, []byte(`{defaultProviders: {}, enablePrometheusMerge: false, accessLogFile: /dev/stdout,
trustDomain: cluster.local, rootNamespace: istio-system}`), 0o644)
	if err != nil {
		return nil, err
	}
	env = append(env, "POD_NAME=istiod", "POD_NAMESPACE=istio-system", "CLUSTER_ID=Kubernetes", "PILOT_ENABLE_METADATA_EXCHANGE=false",
		"PILOT_ENABLE_ALPN_FILTER=false", "PILOT_DISABLE_MX_ALPN=true", "PILOT_ENABLE_TELEMETRY_LABEL=false")
	p, err := start(program, program, env, "discovery", "--kubeconfig", kubeconfig(), "--registries", "Kubernetes", "--meshConfig", config,
		"--grpcAddr", "127.0.0.1:22010", "--secureGRPCAddr", "127.0.0.1:22012", "--httpAddr", "127.0.0.1:22080", "--httpsAddr", "127.0.0.1:22017",
		"--monitoringAddr", "127.0.0.1:22014", "--ctrlz_port", "0", "--namespace", "istio-system")
	if err != nil {
		return nil, err
	}
	if err := until(2*time.Minute, func() error { return ready(22080, "/ready") }); err != nil {
		return nil, fmt.Errorf("%s is not ready: %w\n%s", program, err, tail(p.log.String()))
	}
	return p, nil
}

// stock is the istiod that most tests share. The one for waypoints takes its place.
var stock struct {
	mu sync.Mutex
	*process
}

func stockPilot(t *testing.T) *process {
	t.Helper()
	stock.mu.Lock()
	defer stock.mu.Unlock()
	if stock.process == nil {
		p, err := pilot("pilot-discovery")
		if err != nil {
			t.Fatal(err)
		}
		stock.process = p
	}
	return stock.process
}

func withoutStockPilot() {
	stock.mu.Lock()
	defer stock.mu.Unlock()
	if stock.process != nil {
		stock.stop()
		stock.process = nil
	}
}

// proxy is a workload: Istio's agent with an Envoy.
type proxy struct {
	name, kind, namespace string
	labels                map[string]string
	base                  int // its own ports are this one and those behind it
	// componentLogLevel and statistics are what the annotations of a pod set; those of
	// newGateway show the filter, "" is Istio's default.
	componentLogLevel, statistics string
	env                           []string
}

func (p proxy) admin() int { return p.base + 1 }

// newGateway is a gateway whose annotations show what the filter logs and counts.
func newGateway() proxy {
	return proxy{name: "gateway", kind: "router", namespace: "istio-ingress", labels: map[string]string{"istio": "ingress"}, base: 22200,
		componentLogLevel: "wasm:info", statistics: "wasmcustom.cors"}
}

// run starts the agent, as in a pod: with a token of its service account, istiod's root
// certificate and mutual TLS. Agents take modules from a folder that Istio fixes, which
// begins empty for each.
func (p proxy) run(t *testing.T) *process {
	t.Helper()
	const cache = "/var/lib/istio/data"
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(folder(p.name), "var/run/secrets")
	for _, dir := range []string{cache, secrets + "/tokens", secrets + "/istio"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.credentials(secrets); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{
		"binaryPath": envoy, "configPath": folder(p.name), "discoveryAddress": "127.0.0.1:22012", "controlPlaneAuthPolicy": "MUTUAL_TLS",
		"proxyAdminPort": p.admin(), "statusPort": p.base + 20, "concurrency": 2, "terminationDrainDuration": "1s",
	}
	if p.statistics != "" {
		config["proxyStatsMatcher"] = map[string]any{"inclusionPrefixes": []string{p.statistics}}
	}
	settings, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := json.Marshal(p.labels)
	if err != nil {
		t.Fatal(err)
	}
	levels := "misc:error"
	if p.componentLogLevel != "" {
		levels += "," + p.componentLogLevel
	}
	env := append([]string{
		"POD_NAME=" + p.name, "POD_NAMESPACE=" + p.namespace, "INSTANCE_IP=127.0.0.1", "SERVICE_ACCOUNT=default",
		"ISTIO_META_CLUSTER_ID=Kubernetes",
		"ISTIO_METAJSON_LABELS=" + string(labels), "ISTIO_META_WORKLOAD_NAME=" + p.name, "ISTIOD_SAN=istiod.istio-system.svc",
		"PILOT_CERT_PROVIDER=istiod", "GRPC_XDS_BOOTSTRAP=", "PEER_METADATA_DISCOVERY=false", "ENVOY_STATUS_PORT=" + strconv.Itoa(p.base+21),
		"ENVOY_PROMETHEUS_PORT=" + strconv.Itoa(p.prometheus()), "WASM_INSECURE_REGISTRIES=" + registryAddress + "," + lateAddress,
		"PROXY_CONFIG=" + string(settings), "ISTIO_BOOTSTRAP=" + filepath.Join(istio, "tools/packaging/common/envoy_bootstrap.json"),
	}, p.env...)
	agent, err := start(p.name, "pilot-agent", env, "proxy", p.kind, "--domain", p.namespace+".svc.cluster.local", "--proxyLogLevel=warning",
		"--proxyComponentLogLevel="+levels, "--log_output_level=default:info,wasm:debug")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agent.stop)
	if err := until(time.Minute, func() error { return ready(p.base+21, "/healthz/ready") }); err != nil {
		t.Fatalf("%s is not ready: %v\n%s", p.name, err, tail(agent.log.String()))
	}
	return agent
}

func (p proxy) prometheus() int { return p.base + 90 }

func (p proxy) credentials(secrets string) error {
	account := "/api/v1/namespaces/" + p.namespace + "/serviceaccounts/default"
	if err := apply(
		object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default", "namespace": p.namespace}},
	); err != nil {
		return err
	}
	text, err := call(
		"POST", account+"/token",
		[]byte(`{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["istio-ca"]}}`),
	)
	if err != nil {
		return err
	}
	var answer struct{ Status struct{ Token string } }
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if err := os.WriteFile(secrets+"/tokens/istio-token", []byte(answer.Status.Token), 0o600); err != nil {
		return err
	}
	// istiod writes it when it has seen the namespace.
	return until(time.Minute, func() error {
		text, err := call("GET", "/api/v1/namespaces/"+p.namespace+"/configmaps/istio-ca-root-cert", nil)
		if err != nil {
			return err
		}
		var root struct{ Data map[string]string }
		if err := json.Unmarshal(text, &root); err != nil {
			return err
		}
		return os.WriteFile(secrets+"/istio/root-cert.pem", []byte(root.Data["root-cert.pem"]), 0o600)
	})
}

// gatewayOn makes a gateway of the proxy named gateway listen, and hands all of a port's
// requests to the upstream.
func gatewayOn(name string, port int) []object {
	return []object{
		{
			"apiVersion": "networking.istio.io/v1",
			"kind":       "Gateway",
			"metadata":   object{"name": name, "namespace": "istio-ingress"},
			"spec": object{
				"selector": object{"istio": "ingress"},
				"servers": []any{
					object{"port": object{"number": port, "name": "http-" + name, "protocol": "HTTP"}, "bind": "127.0.0.1", "hosts": []any{"*"}},
				},
			},
		},
		{
			"apiVersion": "networking.istio.io/v1",
			"kind":       "VirtualService",
			"metadata":   object{"name": name, "namespace": "istio-ingress"},
			"spec": object{
				"hosts": []any{"*"}, "gateways": []any{name}, "http": []any{object{"route": toUpstream()}},
			},
		},
	}
}

func toUpstream() []any {
	return []any{object{"destination": object{"host": "upstream.lab", "port": object{"number": 80}}}}
}

// serviceOf is a name of the mesh for a server of these tests.
func serviceOf(host, namespace string, port int) object {
	return object{
		"apiVersion": "networking.istio.io/v1",
		"kind":       "ServiceEntry",
		"metadata":   object{"name": strings.ReplaceAll(host, ".", "-"), "namespace": namespace},
		"spec": object{
			"hosts":      []any{host},
			"location":   "MESH_EXTERNAL",
			"resolution": "STATIC",
			"endpoints":  []any{object{"address": "127.0.0.1"}},
			"ports":      []any{object{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}},
		},
	}
}

// shipped is a manifest of the repository with the URL and the digest put in, which is
// all that whoever applies it has to do.
func shipped(file string) object {
	all := documents(filepath.Join(root, file))
	return with(with(all[0], "oci://"+repository+":1.0.0", "spec", "url"), digest, "spec", "sha256")
}

// aged is a plugin whose policy has another max_age, by which answers show which policy
// gave them.
func aged(plugin object, seconds int) object {
	return with(plugin, seconds, "spec", "pluginConfig", "max_age")
}

// broken is a plugin whose configuration is refused.
func broken(plugin object) object {
	return with(plugin, []any{"https://shop.example.com"}, "spec", "pluginConfig", "allow_orgins")
}
