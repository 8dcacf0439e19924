package host

import (
	"iter"
	"slices"
	"strings"
)

// inline are the headers that Envoy registers as inline: there is one entry of
// each at most, and adding to it appends after a comma (Envoy's HeaderMapImpl).
var inline = func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range []string{
		":authority", ":method", ":path", ":protocol", ":scheme", ":status",
		"accept", "accept-encoding", "access-control-allow-credentials", "access-control-allow-headers",
		"access-control-allow-methods", "access-control-allow-origin", "access-control-allow-private-network",
		"access-control-expose-headers", "access-control-max-age", "access-control-request-headers",
		"access-control-request-method", "access-control-request-private-network", "authorization",
		"cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "etag",
		"expect", "grpc-status", "grpc-timeout", "host", "if-match", "if-modified-since", "if-none-match",
		"if-range", "if-unmodified-since", "keep-alive", "last-modified", "location", "origin", "pragma",
		"proxy-connection", "referer", "server", "te", "transfer-encoding", "upgrade", "user-agent", "vary",
		"via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id",
	} {
		m[name] = true
	}
	return m
}()

// HeaderMap is an ordered multimap of headers with the semantics of Envoy's:
// names are in lower case, and of an inline header there is one entry at most.
type HeaderMap struct {
	pairs [][2]string
}

// NewHeaderMap returns a map with the pairs added in order.
func NewHeaderMap(pairs ...[2]string) *HeaderMap {
	h := &HeaderMap{pairs: make([][2]string, 0, len(pairs)+4)}
	h.addAll(pairs)
	return h
}

func (h *HeaderMap) addAll(pairs [][2]string) {
	for _, p := range pairs {
		h.Add(p[0], p[1])
	}
}

func (h *HeaderMap) index(name string) int {
	for i := range h.pairs {
		if h.pairs[i][0] == name {
			return i
		}
	}
	return -1
}

// Get returns the first entry of the name, which must be in lower case.
func (h *HeaderMap) Get(name string) (value string, ok bool) {
	if i := h.index(name); i >= 0 {
		return h.pairs[i][1], true
	}
	return "", false
}

// Values returns all entries of the name.
func (h *HeaderMap) Values(name string) (values []string) {
	for _, p := range h.pairs {
		if p[0] == name {
			values = append(values, p[1])
		}
	}
	return values
}

// Add appends an entry, or, for an inline header that is there, a comma and the
// value.
func (h *HeaderMap) Add(name, value string) {
	name = strings.ToLower(name)
	if inline[name] {
		if i := h.index(name); i >= 0 {
			if h.pairs[i][1] != "" {
				value = h.pairs[i][1] + "," + value
			}
			h.pairs[i][1] = value
			return
		}
	}
	h.pairs = append(h.pairs, [2]string{name, value})
}

// Replace removes every entry of the name and adds one.
func (h *HeaderMap) Replace(name, value string) {
	h.Remove(name)
	h.Add(name, value)
}

// Remove removes every entry of the name.
func (h *HeaderMap) Remove(name string) {
	name = strings.ToLower(name)
	if h.index(name) >= 0 {
		h.pairs = slices.DeleteFunc(h.pairs, func(p [2]string) bool { return p[0] == name })
	}
}

// Len returns the number of entries.
func (h *HeaderMap) Len() int { return len(h.pairs) }

// All goes through the entries in order.
func (h *HeaderMap) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, p := range h.pairs {
			if !yield(p[0], p[1]) {
				return
			}
		}
	}
}

// Clone returns a copy.
func (h *HeaderMap) Clone() *HeaderMap { return &HeaderMap{pairs: slices.Clone(h.pairs)} }
