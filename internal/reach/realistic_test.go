package reach

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"corsfilter/internal/automaton"
)

// written is a matcher as policies have them.
type written struct {
	kind, text string
	fold       bool
	about      string // the text that it was put together from
}

func (w written) String() string {
	if w.fold {
		return w.kind + " " + w.text + ", in any case"
	}
	return w.kind + " " + w.text
}

func (w written) automaton(t testing.TB) *automaton.Automaton {
	t.Helper()
	var b automaton.Builder
	a, err := b.Part(w.text, w.kind != "prefix", w.kind != "suffix", w.fold)
	if w.kind == "regex" {
		a, err = b.Regex(w.text, w.fold)
	}
	if err != nil {
		t.Fatalf("%s: %v", w, err)
	}
	return a
}

// realistic are the matchers that people write, put together from what they are
// made of: letters that are digits of IPv6 addresses and letters that are not,
// what stands before and behind a name, and what is published.
func realistic() (all []written) {
	for _, text := range []string{
		"a", "z", "-", ".", "1", "ab", "bc", "io", "xy", "10", "abc", "dev", "api", "com", "app", "beef", "shop", "cafe", "test", "face", "local", "stage", "127.0", "vercel", "facade", "mycorp",
		"example", "-preview", "localhost", "example.com", ".example.com", ".example.com:", ".vercel.app", "-team.vercel.app", "netlify.app", "192.168.", "feed.example.com", "::1",
	} {
		begin := len(all)
		all = append(all, written{kind: "contains", text: text}, written{kind: "suffix", text: text}, written{kind: "prefix", text: text}, written{kind: "prefix", text: "https://" + text},
			written{kind: "prefix", text: "http://" + text}, written{kind: "contains", text: strings.ToUpper(text), fold: true})
		x := regexp.QuoteMeta(text)
		for _, form := range []string{"https://.*%s.*", "https?://.*%s", ".*%s", "%s.*", ".*%s.*", "https://%s.*", "https?://[^/]*%s[^/]*", `^https://[a-z0-9-]*%s[a-z0-9-]*\.com$`, `^https?://(.+\.)?%s(:\d+)?$`, `https://[\w.-]+%s(:[0-9]+)?`, `https://\S*%s\S*`} {
			all = append(all, written{kind: "regex", text: fmt.Sprintf(form, x)})
		}
		for i := range all[begin:] {
			all[begin+i].about = text
		}
	}
	var hosts, addresses []string
	for i := range 20 {
		hosts = append(hosts, fmt.Sprintf(`host%d\.example\.com`, i))
		addresses = append(addresses, fmt.Sprintf(`10\.0\.%d\.1`, i))
	}
	for _, regex := range []string{
		`.*`, `https://.*`, `https?://.*`, `https?://.+`, `^http.*$`, `^https://[^/]+$`, `https?://[^:/]+(:\d+)?`, `https://\S+`, `(https?://)?.*`, `[a-z]+://.*`, `.+`, `https://([a-z0-9-]+\.)+[a-z]{2,}`,
		`https?://.*\.(a|b)\.com`, `https?://.*\.(dev|test|prod)\.example\.(com|org|net|io)(:\d+)?`, `https://app-[a-z0-9]+-team\.vercel\.app`, `https://app-git-[a-z0-9-]+-team\.vercel\.app`, `https://deploy-preview-\d+--site\.netlify\.app`,
		`https://[a-z0-9-]+--site\.netlify\.app`, `https://pr-[0-9]+\.preview\.example\.com`, `https://[a-f0-9]{8}\.example\.pages\.dev`, `https://[0-9a-f]{7,40}\.preview\.example\.dev`, `https://[a-z]{3}-[0-9]{4}\.example\.com`,
		`https://(` + strings.Join(hosts, "|") + `)`, `https?://(` + strings.Join(hosts, "|") + `)(:\d+)?`, `https?://(` + strings.Join(addresses, "|") + `)(:\d{1,5})?`,
		`http://localhost:[0-9]{4}`, `https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?`, `http://192\.168\.[0-9]{1,3}\.[0-9]{1,3}(:\d+)?`, `http://10\.\d+\.\d+\.\d+`, `^https?://\d+\.\d+\.\d+\.\d+(:\d+)?$`, `https?://\[[0-9a-f:]+\](:\d+)?`,
		`chrome-extension://[a-p]{32}`, `(chrome|moz)-extension://.*`, `moz-extension://[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, `(capacitor|ionic)://localhost`, `app://.*`, `vscode-webview://[a-z0-9]+`,
		`^(?i)https://([a-z0-9-]+\.)*example\.com$`, `^https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*example\.com(:[0-9]{1,5})?$`, `https://(?:www\.|api\.|)example\.co\.uk`, `.*example.com`, `https://.*\.?example\.com`, `https://[^.]+\.example\.com`,
		`null|https://example\.com`, `null`,
	} {
		all = append(all, written{kind: "regex", text: regex})
	}
	return all
}

// accepts is what a matcher says of a text, without an automaton.
func (w written) accepts(t testing.TB) func(s string) bool {
	flags := ""
	if w.fold {
		flags = "(?i)"
	}
	text := w.text
	if w.kind != "regex" {
		text = regexp.QuoteMeta(text)
	}
	if w.kind == "prefix" || w.kind == "contains" {
		text += ".*"
	}
	if w.kind == "suffix" || w.kind == "contains" {
		text = ".*" + text
	}
	r, err := regexp.Compile(flags + `\A(?:` + text + `)\z`)
	if err != nil {
		t.Fatal(err)
	}
	return r.MatchString
}

// TestRealisticMatchersAreDecided takes few steps, and compares what is said with
// origins tried one by one.
func TestRealisticMatchersAreDecided(t *testing.T) {
	const mostSteps, meanSteps = 100_000, 15_000
	var e Explorer
	meant := func(domain string) bool { return domain == "example.com" }
	most, at, sum, list := 0, "", 0, realistic()
	origins := map[string][]string{} // by what they are about
	for n, w := range list {
		r, err := e.Explore(w.automaton(t), meant)
		if err != nil {
			t.Errorf("%s: %v", w, err)
			continue
		}
		sum += e.Steps()
		if e.Steps() > most {
			most, at = e.Steps(), w.String()
		}
		accepts := w.accepts(t)
		check(t, w.String(), accepts, r)
		if r.Null != accepts("null") || r.File != accepts("file://") {
			t.Errorf("%s: null %v, file %v", w, r.Null, r.File)
		}
		owners := map[string]bool{}
		if origins[w.about] == nil {
			origins[w.about] = tried(w.about)
		}
		for _, origin := range origins[w.about] {
			if accepts(origin) {
				owners[Owner(origin)] = true
				missed(t, w.String(), r, origin, meant)
			}
		}
		if len(owners) > MaxDomains && !r.Any {
			t.Errorf("%s lets in origins of %d owners, and not any", w, len(owners))
		}
		if n%40 != 0 || r.Count >= 0 {
			continue
		}
		// Where it lets in too many there are that many, one after the other.
		clear(owners)
		for len(owners) <= MaxDomains {
			e.steps = 0
			unintended := e.unintended(func(owner string) bool { return owners[owner] })
			if !accepts(unintended) || owners[Owner(unintended)] {
				t.Errorf("%s is said to let in %s, and to let in %q behind %d others", w, r.Owners(), unintended, len(owners))
				break
			}
			owners[Owner(unintended)] = true
		}
	}
	if t.Logf("%d matchers: %d steps at most (%s), %d on average", len(list), most, at, sum/len(list)); most > mostSteps || sum > meanSteps*len(list) {
		t.Errorf("want %d and %d", mostSteps, meanSteps)
	}
}

// tried are well-formed origins that a matcher of the text may let in.
func tried(text string) (all []string) {
	text = strings.Trim(text, ".:")
	hosts := []string{
		"a", "a.com", "example.com", "www.example.co.uk", "evil-example.com", "host3.example.com", "a.b.com", "app-1-team.vercel.app", "app-git-x-team.vercel.app", "deploy-preview-1--site.netlify.app", "pr-1.preview.example.com", "0123abcd.example.pages.dev",
		"localhost", "a.localhost", "127.0.0.1", "10.0.3.1", "192.168.0.1", "1.2.3.4", "[::1]", "[::ab]", "[fe::bc]", "[1:2:3:4:5:6:7:cafe]", "[beef:0:0:1::]", "abcdefghijklmnopabcdefghijklmnop", "01234567-0123-0123-0123-0123456789ab",
	}
	for _, before := range []string{"", "a", "x-", "a."} {
		for _, behind := range []string{"", "a", "-x", ".a"} {
			for _, end := range []string{"", ".com", ".co.uk", ".vercel.app", ".example.com", ".netlify.app"} {
				hosts = append(hosts, before+text+behind+end)
			}
		}
	}
	for _, scheme := range []string{"https", "http", "app", "chrome-extension", text} {
		for _, host := range hosts {
			for _, port := range []string{"", ":1", ":8080"} {
				if origin := scheme + "://" + host + port; isWellFormed(origin) {
					all = append(all, origin)
				}
			}
		}
	}
	return all
}
