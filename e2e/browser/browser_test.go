// Package browser runs the demo page and the scenario table in Chromium, Firefox and
// WebKit, and checks that each agrees with the textbook browser that explains
// decisions.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"corsfilter/e2e/browser/drive"
	"corsfilter/internal/browser"
	"corsfilter/internal/demo"
)

// tab is a browser, and the network that it sees.
type tab struct {
	*drive.Browser
	*front
	engine browser.Engine
}

// tabs start each browser once, for all tests.
var tabs = map[browser.Engine]func() (*tab, error){}

func TestMain(m *testing.M) {
	var started []*tab
	for _, e := range browser.Engines {
		tabs[e] = sync.OnceValues(func() (*tab, error) {
			b, err := newTab(e, drive.Options{})
			if err == nil {
				started = append(started, b)
			}
			return b, err
		})
	}
	code := m.Run()
	for _, b := range started {
		b.close()
	}
	os.Exit(code)
}

func newTab(e browser.Engine, o drive.Options) (*tab, error) {
	f := newFront()
	o.Proxy = f.address
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := drive.Start(ctx, e, o)
	if err != nil {
		f.close()
		return nil, err
	}
	return &tab{b, f, e}, nil
}

func (b *tab) close() {
	b.Browser.Close()
	b.front.close()
}

// wanted are the engines that BROWSER names, such as "chromium,webkit", or "none".
// Desktops and editors set BROWSER to what opens links: all are wanted then.
func wanted() (engines []browser.Engine) {
	for word := range strings.SplitSeq(os.Getenv("BROWSER"), ",") {
		i := slices.IndexFunc(browser.Engines, func(e browser.Engine) bool { return strings.EqualFold(string(e), word) })
		switch {
		case i >= 0:
			engines = append(engines, browser.Engines[i])
		case word != "none":
			return browser.Engines
		}
	}
	return engines
}

// inEach runs a test in each engine. A missing one is a failure, unless BROWSER
// says that it is meant.
func inEach(t *testing.T, test func(t *testing.T, b *tab)) {
	t.Helper()
	engines := wanted()
	if len(engines) == 0 {
		t.Skip("BROWSER=none: left out on purpose")
	}
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			b, err := tabs[e]()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.answer(nil) })
			test(t, b)
		})
	}
}

// limited bounds what one step of a test may take.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// open opens a page.
func (b *tab) open(t *testing.T, url string) {
	t.Helper()
	b.page = ""
	if err := b.Navigate(limited(t), url); err != nil {
		t.Fatal(err)
	}
}

// evaluate runs JavaScript, waits for a promise, and returns the result.
func evaluate[T any](t *testing.T, b *tab, script string) (result T) {
	t.Helper()
	if err := b.Evaluate(limited(t), script, &result); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return result
}

// wait waits until a condition holds in the page.
func (b *tab) wait(t *testing.T, condition string) {
	t.Helper()
	evaluate[bool](t, b, `new Promise((done, fail) => {
		const until = Date.now() + 20000;
		const look = () => (`+condition+`) ? done(true) : Date.now() > until ? fail("in vain") : setTimeout(look, 20);
		look();
	})`)
}

// run evaluates a promise in a page of the origin; null is a sandboxed frame.
func run[T any](t *testing.T, b *tab, origin, script string) T {
	t.Helper()
	page := origin
	if origin == "null" {
		page = "https://frame.example"
	}
	if b.page != page {
		b.open(t, page+pagePath)
		if is := evaluate[string](t, b, "location.origin"); is != page {
			t.Fatalf("the page comes from %s, not from %s", is, page)
		}
		b.page = page
	}
	if origin == "null" {
		script = sandboxed(script)
	}
	return evaluate[T](t, b, script)
}

// sandboxed evaluates a promise in a frame whose origin is null.
func sandboxed(script string) string {
	quoted, err := json.Marshal(script)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`new Promise((resolve) => {
		const frame = document.createElement("iframe");
		frame.sandbox = "allow-scripts";
		addEventListener("message", (e) => { frame.remove(); resolve(e.data); }, { once: true });
		frame.srcdoc = "<script>onmessage = (e) => eval(e.data).then((r) => parent.postMessage(r, '*'))</scr" + "ipt>";
		frame.onload = () => frame.contentWindow.postMessage(%s, "*");
		document.body.append(frame);
	})`, quoted)
}

// localhost is how a page calls an address of this machine.
func localhost(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return "http://localhost:" + port
}

// startDemo starts the demo's upstream and pages on free ports.
func startDemo(t *testing.T, live *demo.Live) *demo.Demo {
	t.Helper()
	d, err := demo.Start(context.Background(), demo.Ports{}, live)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
