// Corsfilter is a CORS filter for Envoy and Istio, as a proxy-wasm module.
package main

import (
	"corsfilter/filter"
	"corsfilter/internal/abi"
)

// The proxy loads a reactor: it calls what the module exports, and main never
// runs.
func main() {}

func init() { abi.SetVM(filter.New(abi.Host{})) }
