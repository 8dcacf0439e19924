//go:build wasip1

// Empty is a module that does nothing: what Go's runtime alone costs at a start. It
// ships nowhere.
package main

func main() {}

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(uint32) uint32 { return 0 }
