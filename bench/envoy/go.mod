// A module of its own: what reads and compares figures stays out of corsfilter's
// dependencies.
module corsfilter/bench/envoy

go 1.26.0

tool golang.org/x/perf/cmd/benchstat

require corsfilter v0.0.0

require (
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	golang.org/x/perf v0.0.0-20260908200009-22c9c6c9d4da
	golang.org/x/sys v0.49.0
	sigs.k8s.io/yaml v1.6.0 // indirect
)

replace corsfilter => ../..
