// Package model holds small models of how other proxies decide about CORS: pure
// functions from resources and a request to what a browser gets, each written
// from the proxy's own source and apart from internal/convert. Its tests hold
// what the converter makes of such resources to them. All of it is test code; it
// imports internal/browser, the filter's own parser and decision, and of
// internal/convert no more than Convert.
package model
