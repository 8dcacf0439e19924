//go:build wasip1 && tinygo && command

package abi

import _ "unsafe" // for go:linkname

// TinyGo 0.33 makes commands: what initializes the module is called _start, and
// there is no _initialize. Hosts call that one where there is one, and Envoy allows
// less during _start. Later ones make reactors, and do without this file.

//go:linkname start _start
func start()

//export _initialize
func initialize() { start() }
