package config

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// hashed returns a short hash of a configuration, which does not depend on white space and
// the order of keys, because control planes change those. It distinguishes configurations
// and protects nothing.
func hashed(v gjson.Result) string {
	const digits = 12
	hash := strconv.FormatUint(hashOf(v), 16)
	return ("0000000000000000" + hash)[len(hash):][:digits]
}

// FNV-1a with 64 bits; the module does without crypto and hash.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hashText(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

func hashOf(v gjson.Result) uint64 {
	switch {
	case v.IsObject():
		h := hashText(fnvOffset, "{")
		v.ForEach(func(key, of gjson.Result) bool {
			h += hashText(hashOf(of), key.Str) // a sum knows no order
			return true
		})
		return h
	case v.IsArray():
		h := hashText(fnvOffset, "[")
		v.ForEach(func(_, of gjson.Result) bool {
			h = (h ^ hashOf(of)) * fnvPrime
			return true
		})
		return h
	case v.Type == gjson.String:
		return hashText(hashText(fnvOffset, `"`), v.Str)
	}
	if n, ok := whole(v.Raw); ok {
		return hashText(fnvOffset, strconv.FormatInt(n, 10))
	}
	return hashText(fnvOffset, v.Raw)
}
