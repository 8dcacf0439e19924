// Command restructure gives the functions that streams run through in a module of the
// official compiler their control flow back, and takes the names out. make build
// calls it.
package main

import (
	"fmt"
	"os"

	"corsfilter/internal/controlflow"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/controlflow/restructure FROM TO")
		os.Exit(2)
	}
	if err := restructure(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "restructure:", err)
		os.Exit(1)
	}
}

func restructure(from, to string) error {
	wasm, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	wasm, _, err = controlflow.Module(wasm)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return os.WriteFile(to, controlflow.Strip(wasm), 0o644)
}
