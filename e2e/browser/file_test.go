package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"corsfilter/e2e/browser/drive"
	"corsfilter/internal/browser"
)

// TestPagesOpenedFromFiles holds what engines send for them: null as a rule, and
// file:// where files may read each other.
func TestPagesOpenedFromFiles(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(page, []byte("<!doctype html><title>page</title>"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Upstream answers with the Origin that it sees.
	upstream := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Origin")) }),
	)
	defer upstream.Close()
	_, addresses := serveAll(t, upstream.Listener.Addr().String(),
		`{"allow_origins": ["file://"], "allow_methods": ["PUT"], "allow_credentials": true, "dangerously_tolerate": ["null-origin"]}`,
		`{"allow_origins": ["null"], "allow_methods": ["PUT"], "allow_credentials": true, "dangerously_tolerate": ["null-origin"]}`)
	const blocked = "blocked"
	reads := func(t *testing.T, b *tab, wants [2]string) {
		t.Helper()
		b.open(t, "file://"+page)
		for i, want := range wants {
			const script = `fetch(%q, {method: "PUT", credentials: "include"}).then((r) => r.text(), () => %q)`
			if got := evaluate[string](t, b, fmt.Sprintf(script, localhost(addresses[i])+"/", blocked)); got != want {
				t.Errorf("under policy %d the script reads %q, want %q", i, got, want)
			}
		}
	}
	inEach(t, func(t *testing.T, b *tab) {
		t.Run("as a rule", func(t *testing.T) { reads(t, b, [2]string{blocked, "null"}) })
		if b.engine != browser.Chromium {
			return
		}
		t.Run("where files may read each other", func(t *testing.T) {
			b, err := newTab(b.engine, drive.Options{Args: []string{"--allow-file-access-from-files"}})
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			reads(t, b, [2]string{"file://", blocked})
		})
	})
}
