package browser

import (
	"net/http"
	"slices"
	"testing"
)

// TestEachEngineDeviatesAsItIsSaid measures what no single fetch() shows; the rest is
// in the comparisons with the textbook browser.
func TestEachEngineDeviatesAsItIsSaid(t *testing.T) {
	inEach(t, func(t *testing.T, b *tab) {
		arrived := make(chan *http.Request, 8)
		b.answer(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/start" && r.URL.Path != "/end" {
				return // the browser's own business
			}
			arrived <- r
			asked := r.Header.Get("Access-Control-Request-Method")
			for _, h := range consent(r.Header.Get("Origin"), asked, r.Header.Get("Access-Control-Request-Headers")).Headers {
				w.Header().Set(h.Name, h.Value)
			}
			if r.URL.Path == "/start" && r.Method != http.MethodOptions {
				http.Redirect(w, r, "https://other.example/end", http.StatusFound)
			}
		})
		origins := func() (all []string) {
			for range len(arrived) {
				r := <-arrived
				all = append(all, r.Method+" "+r.Header.Get("Origin"))
			}
			return all
		}
		const page = "https://page.example"

		t.Run("origin-after-redirect", func(t *testing.T) {
			read := run[bool](t, b, page, `fetch("https://api.example/start", { headers: { "x-a": "1" } }).then(() => true, () => false)`)
			preflight := "null"
			if deviates(b.engine, "origin-after-redirect") {
				preflight = page
			}
			want := []string{"OPTIONS " + page, "GET " + page, "OPTIONS " + preflight, "GET null"}
			if got := origins(); !slices.Equal(got, want) || !read {
				t.Errorf("%q, read: %v; want %q", got, read, want)
			}
		})
		t.Run("fonts-without-cors", func(t *testing.T) {
			run[bool](t, b, page, `new FontFace("f", "url(https://api.example/end)").load().then(() => true, () => false)`)
			want := []string{"GET " + page}
			if deviates(b.engine, "fonts-without-cors") {
				want = []string{"GET "}
			}
			if got := origins(); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	})
}
