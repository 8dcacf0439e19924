// Command restructure gives the functions of a module of the official compiler their
// control flow back, takes the names out, and says in one line what it did. What it
// does not know it leaves as the compiler made it. make build calls it;
// RESTRUCTURE=none leaves it out.
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
	wasm, report := controlflow.Restructure(wasm)
	fmt.Println("restructure:", report)
	return os.WriteFile(to, controlflow.Strip(wasm), 0o644)
}
