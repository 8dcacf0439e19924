// A module of its own: the filter's peers stay out of corsfilter's dependencies.
module corsfilter/e2e/peers

go 1.26.0

require (
	corsfilter v0.0.0
	github.com/rs/cors v1.11.1
)

require (
	github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0 // indirect
	github.com/tetratelabs/wazero v1.12.0 // indirect
	github.com/tidwall/gjson v1.20.1 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace corsfilter => ../..
