package filter

import (
	"testing"

	"corsfilter/config"
)

// TestTwoOriginsAreNone reads header maps entry by entry, as a proxy that does
// not join them hands them over.
func TestTwoOriginsAreNone(t *testing.T) {
	plugin, _, err := config.Parse([]byte(`{"allow_origins": ["https://a.example"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		entries []Header
		allowed bool
		reason  Reason
	}{
		{"one", []Header{{"origin", "https://a.example"}}, true, Allowed},
		{"the same twice", []Header{{"origin", "https://a.example"}, {"origin", "https://a.example"}}, false, OriginMalformed},
		{"an unlisted origin behind a friend", []Header{{"origin", "https://a.example"}, {"origin", "https://evil.example"}}, false, OriginMalformed},
		{"a friend behind an unlisted origin", []Header{{"origin", "https://evil.example"}, {"origin", "https://a.example"}}, false, OriginMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Request
			for _, e := range c.entries {
				r.VisitHeader(e.Name, e.Value)
			}
			var d Decision
			if Decide(plugin.Default, &r, &d); (d.AllowOrigin != "") != c.allowed || d.Reason != c.reason {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestOfSeveralEntriesTheFirstCounts(t *testing.T) {
	var r Request
	for _, e := range []Header{{":method", "OPTIONS"}, {":method", "GET"}, {"x-forwarded-proto", ""}, {"x-forwarded-proto", "https"}, {"x-other", "1"}} {
		r.VisitHeader(e.Name, e.Value)
	}
	if r.Method != "OPTIONS" || r.ForwardedProto != "https" {
		t.Errorf("%+v", r)
	}
}
