// A module of its own: what the tests of Istio and Envoy Gateway need stays out of
// corsfilter's dependencies. The control planes are built from modules below this one.
module corsfilter/e2e/mesh

go 1.26.0

require (
	github.com/go-jose/go-jose/v4 v4.1.3
	github.com/google/go-containerregistry v0.22.1
	golang.org/x/net v0.55.0
	sigs.k8s.io/yaml v1.6.0
)

require (
	go.yaml.in/yaml/v2 v2.4.2 // indirect
	golang.org/x/text v0.37.0 // indirect
)
