// Package browser is the browser's side of CORS, in the order of the Fetch standard:
// what a preflight contains, and which answers let a page read the response. It
// explains decisions to people and is the oracle of the filter's tests. It was
// therefore written independently of the filter: it imports only the standard library,
// and prefers the standard's wording to speed.
package browser
