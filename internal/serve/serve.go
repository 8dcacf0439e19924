// Package serve puts a policy to work for `corsctl serve`: an envoy.yaml in a real
// Envoy, and a bare policy, without Envoy, in front of one server, by a reverse proxy
// that runs the module in internal/host. It sees files, wasm bytes and the wire, and
// imports nothing of the filter; of the demo it imports the events.
package serve

// Listener is an address (host:port) that something is served on.
type Listener struct{ Name, Address string }
