package suffix

import "testing"

func TestHandsOut(t *testing.T) {
	for host, want := range map[string]string{
		"zendesk.com":           "zendesk.com",
		"sslip.io":              "sslip.io",
		"site.com":              "my.site.com",
		"my.site.com":           "my.site.com",
		"github.dev":            "app.github.dev",
		"acme.zendesk.com":      "", // one owner's
		"10-0-0-1.sslip.io":     "", // one machine's
		"shop.my.site.com":      "",
		"e.com":                 "", // the end of another's label
		"y.site.com":            "",
		"notzendesk.com":        "",
		"example.com":           "",
		"":                      "",
		"com":                   "", // the list says so itself
		"io":                    "",
		"github.io":             "",
		"compute.amazonaws.com": "",
	} {
		if got, ok := HandsOut(host); got != want || ok != (want != "") {
			t.Errorf("HandsOut(%q) = %q, %t, want %q", host, got, ok, want)
		}
	}
}

// TestTheListLacksWhatHandsOutKnows finds what has got into the list since.
func TestTheListLacksWhatHandsOutKnows(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range handsOut {
		if listed, ok := Within(name); ok {
			t.Errorf("%s: %s is in the list; take the name out", name, listed)
		}
		if got, ok := HandsOut(name); got != name || !ok || seen[name] {
			t.Errorf("HandsOut(%q) = %q, %t; it stands there twice, or behind one below it", name, got, ok)
		}
		seen[name] = true
	}
}
