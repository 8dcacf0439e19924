package filter

// For the tests that run the filter on a host, which are a package of their own.
const MaxLineLen = maxLineLen
