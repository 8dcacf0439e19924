// For `make build COMPILER=tinygo`: what the module is built from and nothing
// else, in the words that TinyGo's Go knows. The versions are those of go.mod,
// which make check compares.
module corsfilter

go 1.23

toolchain go1.23.12

require (
	github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0
	github.com/tidwall/gjson v1.20.1
)

require (
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
)

replace github.com/tidwall/pretty => ./internal/pretty
