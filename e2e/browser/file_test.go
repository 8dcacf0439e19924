package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPagesOpenedFromFiles holds what Chromium sends for them: null as a rule, and
// file:// where files may read each other.
func TestPagesOpenedFromFiles(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(page, []byte("<!doctype html><title>page</title>"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Upstream answers with the Origin that it sees.
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Origin")) }))
	defer upstream.Close()
	_, addresses := serveAll(t, upstream.Listener.Addr().String(),
		`{"allow_origins": ["file://"], "allow_methods": ["PUT"], "allow_credentials": true, "dangerously_tolerate": ["null-origin"]}`,
		`{"allow_origins": ["null"], "allow_methods": ["PUT"], "allow_credentials": true, "dangerously_tolerate": ["null-origin"]}`)
	const blocked = "blocked"
	for _, c := range []struct {
		name    string
		options []chromedp.ExecAllocatorOption
		want    [2]string
	}{
		{"as a rule", nil, [2]string{blocked, "null"}},
		{"where files may read each other", []chromedp.ExecAllocatorOption{chromedp.Flag("allow-file-access-from-files", true)}, [2]string{"file://", blocked}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := chromium(t, c.options...)
			do(t, ctx, chromedp.Navigate("file://"+page))
			for i, want := range c.want {
				const script = `fetch(%q, {method: "PUT", credentials: "include"}).then((r) => r.text(), () => %q)`
				if got := evaluate[string](t, ctx, fmt.Sprintf(script, localhost(addresses[i])+"/", blocked)); got != want {
					t.Errorf("under policy %d the script reads %q, want %q", i, got, want)
				}
			}
		})
	}
}
