//go:build !builtin

package main

// builtIn is the module that is built in; nil: none.
var builtIn []byte
