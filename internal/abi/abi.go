// Package abi is the seam between the filter and the proxy: the contexts that the
// proxy's callbacks drive, and the Host through which the filter calls back. Host
// has two variants with the same functions. abi_wasip1.go speaks the ABI directly
// and is what goes into the module, whichever compiler builds it. abi_sdk.go goes
// through the SDK and runs under the SDK's emulator in tests. The package imports
// filter, for the interface that it implements.
package abi
