// Package abi is the seam between the filter and the proxy: the contexts that the
// proxy's callbacks drive, and the Host through which the filter calls back. Host
// has two variants with the same functions. abi_wasip1.go speaks the ABI directly
// and is what the official compiler builds. abi_sdk.go goes through the SDK: it is
// what TinyGo builds, and what runs under the SDK's emulator in tests. The package
// imports filter, for the interface that it implements.
package abi
