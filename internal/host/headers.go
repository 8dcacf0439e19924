package host

import (
	"iter"
	"slices"
	"strings"
)

// inline are the headers that Envoy registers as inline: there is one entry of
// each at most, and adding to it appends after a comma (Envoy's HeaderMapImpl). Most
// are so in requests alone, or in responses.
var inline = func() map[string]kind {
	m := make(map[string]kind)
	for k, names := range map[kind]string{
		requests: `:authority :method :path :protocol :scheme accept accept-encoding access-control-request-headers
			access-control-request-method access-control-request-private-network authorization expect grpc-timeout
			if-match if-modified-since if-none-match if-range if-unmodified-since origin pragma referer te user-agent
			x-forwarded-for x-forwarded-host x-forwarded-proto`,
		responses: `:status access-control-allow-credentials access-control-allow-headers access-control-allow-methods
			access-control-allow-origin access-control-allow-private-network access-control-expose-headers
			access-control-max-age date etag grpc-status last-modified location server vary`,
		requests | responses: `cache-control connection content-encoding content-length content-type keep-alive
			proxy-connection transfer-encoding upgrade via x-request-id`,
	} {
		for _, name := range strings.Fields(names) {
			m[name] = k
		}
	}
	return m
}()

// kind is whose headers a map has.
type kind uint8

const (
	requests kind = 1 << iota
	responses
)

// HeaderMap is an ordered multimap of headers with the semantics of Envoy's:
// names are in lower case, and of an inline header there is one entry at most. It is
// a response's where it has :status and a request's where it has :method, which come
// first, and otherwise takes for inline what is so in either.
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

func (h *HeaderMap) kind() kind {
	switch {
	case h.index(":status") >= 0:
		return responses
	case h.index(":method") >= 0:
		return requests
	}
	return requests | responses
}

// key is the name that an entry has: a request's host is its :authority.
func (h *HeaderMap) key(name string) string {
	if name == "host" && h.kind() == requests {
		return ":authority"
	}
	return name
}

// Get returns the first entry of the name, which must be in lower case.
func (h *HeaderMap) Get(name string) (value string, ok bool) {
	name = h.key(name)
	if i := h.index(name); i >= 0 {
		return h.pairs[i][1], true
	}
	return "", false
}

// Values returns all entries of the name.
func (h *HeaderMap) Values(name string) (values []string) {
	name = h.key(name)
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
	name = h.key(strings.ToLower(name))
	if inline[name]&h.kind() != 0 {
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
	name = h.key(strings.ToLower(name))
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
