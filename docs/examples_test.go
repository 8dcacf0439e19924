package docs

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTheExamplesDoWhatTheyAreFor checks each policy in examples with corsctl, and
// explains the requests that it exists for.
func TestTheExamplesDoWhatTheyAreFor(t *testing.T) {
	const allowed, blocked = 0, 1
	requests := map[string]map[string]int{
		"shop.json": {
			"-origin https://shop.example.com -method PUT":  allowed, // as the README asks
			"-origin https://other.example.com -method PUT": blocked,
		},
		"subdomains-with-credentials.json": {
			"-origin https://a.example.com -method PATCH -headers x-csrf-token -credentials": allowed,
			"-origin https://example.com.evil.example":                                       blocked,
			"-origin http://a.example.com -credentials":                                      blocked,
		},
		"public-api.json": {
			"-origin https://anyone.example -method PATCH -headers authorization": allowed,
			"-origin https://anyone.example -credentials":                         blocked,
		},
		"by-host.json": {
			"-origin https://anyone.example -url https://public.example.com/v1/prices":                      allowed,
			"-origin https://anyone.example -url https://public.example.com/internal":                       blocked,
			"-origin https://shop.example.com -url https://api.example.com/orders -method PUT -credentials": allowed,
			"-origin https://anyone.example -url https://api.example.com/orders":                            blocked,
		},
	}
	files, err := filepath.Glob("../examples/*")
	if err != nil || len(files) != len(requests) {
		t.Fatalf("%v, %v: the test has requests for %d of them", files, err, len(requests))
	}
	for _, file := range files {
		name := filepath.Base(file)
		out, errs, _ := bash(t, folder(t), "corsctl check -strict examples/"+name)
		if !strings.HasPrefix(out, "0 errors, 0 warnings in 1 file") {
			t.Errorf("%s: %s%s", name, out, errs)
		}
		for request, want := range requests[name] {
			if out, errs, code := bash(t, folder(t), "corsctl explain -c examples/"+name+" "+request); code != want {
				t.Errorf("%s: %s: exit code %d, want %d\n%s%s", name, request, code, want, out, errs)
			}
		}
	}
}
