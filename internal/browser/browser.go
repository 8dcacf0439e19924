// Package browser is the browser's side of CORS, as the Fetch standard has it and
// in its order: what a preflight carries, and which answers let a page read the
// response. It explains decisions to people and is the oracle that the
// filter is tested against, so it is written apart from the filter: it imports
// the standard library alone, and prefers the standard's wording to speed.
package browser
