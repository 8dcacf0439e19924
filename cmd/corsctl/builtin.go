//go:build builtin

package main

import _ "embed"

// builtIn is the module that a release's corsctl has in it. The Makefile lays
// dist/cors.wasm over the name.
//
//go:embed cors.wasm
var builtIn []byte
