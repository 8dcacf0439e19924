package browser

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"corsfilter/e2e/browser/drive"
	"corsfilter/internal/demo"
	"corsfilter/internal/envoytest"
	serving "corsfilter/internal/serve"
	"corsfilter/internal/wasmtest"
)

// demonstration is what corsctl serve -demo -watch starts, on free ports: envoy.yaml
// in Envoy, with the origin of the first page put in place of the one it names.
type demonstration struct {
	envoy               *serving.Envoy
	live                *demo.Live
	file                string // as it is at first
	allowed, disallowed string // the pages
}

func serveDemo(t *testing.T) *demonstration {
	t.Helper()
	d := &demonstration{live: demo.NewLive()}
	running := startDemo(t, d.live)
	d.allowed, d.disallowed = localhost(running.Page), localhost(running.Other)
	text, err := os.ReadFile(filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const page, admin = "http://localhost:8000", "{ address: 127.0.0.1, port_value: 9901 }"
	const listener = "{ address: 0.0.0.0, port_value: 10000 }"
	for _, want := range []string{page, admin, listener} {
		if !strings.Contains(string(text), want) {
			t.Fatalf("envoy.yaml has no %s", want)
		}
	}
	const free = "{ address: 127.0.0.1, port_value: 0 }"
	d.file = strings.NewReplacer(page, d.allowed, admin, free, listener, free).Replace(string(text))
	d.envoy, err = serving.StartEnvoy(t.Context(), []byte(d.file), serving.EnvoyOptions{
		Program: envoytest.Program(t), LogLevel: "error", Stdout: io.Discard, Stderr: t.Output(), Watch: true,
		DemoUpstream: running.Upstream, OnEvent: d.live.Publish, ReadFile: func(string) ([]byte, error) { return wasmtest.Module(t), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.envoy.Close() })
	d.show(t)
	return d
}

// change serves envoy.yaml with changes from now on, in pairs.
func (d *demonstration) change(t *testing.T, changes ...string) {
	t.Helper()
	if err := d.envoy.Reload([]byte(strings.NewReplacer(changes...).Replace(d.file))); err != nil {
		t.Fatal(err)
	}
	d.show(t)
}

func (d *demonstration) show(t *testing.T) {
	t.Helper()
	listeners, err := d.envoy.Listeners()
	if err != nil {
		t.Fatal(err)
	}
	base := localhost(listeners[0].Address)
	d.live.Show(
		demo.Gateway{URL: base, Counters: d.envoy.Counters, Policy: demo.FindPolicy(d.envoy.Configurations(), base, d.allowed, d.disallowed)},
	)
}

// row is what the page shows of one request.
type row struct {
	Name                  string
	Preflight, Sent, Read string
	Browser, Readable     string
	Filter                string // exchange, words and counters, exchange by exchange
}

const readRows = `[...document.querySelectorAll("#matrix > li")].map((li) => {
  const text = (s) => li.querySelector(s).textContent;
  const step = (name) => { const e = li.querySelector("[data-step=" + name + "]");
    return (e.className + " " + e.querySelector(".says").textContent).trim(); };
  return { Name: text("h2"), Preflight: step("preflight"), Sent: step("sent"), Read: step("read"),
    Browser: text(".browser"), Readable: text(".readable"),
    Filter: [...li.querySelectorAll(".filter > li")].map((e) => e.textContent).join("\n") };
})`

// openDemo opens a page of the demo.
func openDemo(t *testing.T, b *tab, url string) {
	t.Helper()
	b.open(t, url)
	b.wait(t, `document.querySelector("#matrix > li")`)
}

// runAll presses the button and waits until all rows are done.
func runAll(t *testing.T, b *tab) []row {
	t.Helper()
	evaluate[bool](t, b, `(document.querySelector("#all").click(), true)`)
	b.wait(t, `document.querySelector("#status").textContent.startsWith("Done")`)
	return evaluate[[]row](t, b, readRows)
}

// What the page says, in its words.
const (
	blocks    = "Blocked: the script gets an error and nothing else. The browser's console has the reason."
	lets      = "This page reads the response: status 200."
	readable  = "Headers that it may read: content-length, content-type, x-demo-upstream"
	goAhead   = "OPTIONS 204 cors_preflight The preflight was answered: the browser may send the request. Counted: origin allowed, preflight allowed.\n"
	mayRead   = " via_upstream Upstream answered, and this page may read the response. Counted: origin allowed, request allowed."
	mayFollow = "GET 302 via_upstream Upstream answered with a redirect, and this page may " +
		"follow it. Counted: origin allowed, request allowed.\n"
	mayNot    = " via_upstream Upstream answered, and its response got no CORS headers: this page's origin is not in the policy."
	hasEffect = ` The request has still had its effects; "disallowed_requests": "reject" would prevent them.`
	noOrigins = " Counted: origin not allowed, request without CORS headers."
	refused   = "OPTIONS 403 cors_origin_denied The preflight was denied: this page's origin is not in the policy. " +
		"Counted: origin not allowed, preflight denied: origin."
	noDelete = "OPTIONS 204 cors_preflight The preflight was answered, but the answer does not list DELETE. " +
		"Counted: origin allowed, preflight denied: method."
	noContent = "OPTIONS 204 cors_preflight The preflight was answered, but the answer does not list all of: content-type. " +
		"Counted: origin allowed, preflight denied: headers."
)

func TestTheDemoExplainsWhatTheBrowserDoes(t *testing.T) {
	inEach(t, func(t *testing.T, b *tab) {
		d := serveDemo(t)
		allowed, disallowed := d.allowed, d.disallowed
		origins := `"allow_origins": ["` + allowed + `", "` + disallowed + `"]`
		simple := func(name, says string) row {
			return row{name, "not needed", "yes yes", "no no", blocks, "", says + noOrigins}
		}
		asked := func(name string) row {
			return row{name, "no denied", "no no", "no no", blocks, "", refused}
		}
		for _, c := range []struct {
			name, page, status string
			standing           string
			remedies           []string
			rows               []row
		}{
			{"the page that is allowed", allowed, "Done: this page could read 8 of 10 responses.",
				"The policy allows this page's origin. It may use GET, HEAD, POST and PUT, send x-demo, and use credentials.",
				[]string{
					`"allow_headers": ["x-demo", "content-type"] lets it read: JSON POST`,
					`"allow_methods": ["PUT", "DELETE"] lets it read: DELETE`,
				},
				[]row{
					{"Simple GET", "not needed", "yes yes", "yes yes", lets, readable, "GET 200" + mayRead},
					{"Text POST", "not needed", "yes yes", "yes yes", lets, readable, "POST 200" + mayRead},
					{"JSON POST", "no denied", "no no", "no no", blocks, "", noContent},
					{"PUT", "yes allowed", "yes yes", "yes yes", lets, readable, goAhead + "PUT 200" + mayRead},
					{"Custom header", "yes allowed", "yes yes", "yes yes", lets, readable, goAhead + "GET 200" + mayRead},
					{"With credentials", "not needed", "yes yes", "yes yes", lets, readable, "GET 200" + mayRead},
					{"DELETE", "no denied", "no no", "no no", blocks, "", noDelete},
					{"Redirect", "not needed", "yes 2 times", "yes yes", lets, readable, mayFollow + "GET 200" + mayRead},
					{"401 from upstream", "not needed", "yes yes", "yes yes", "This page reads the response: status 401.", readable, "GET 401" + mayRead},
					{
						"Preflight cached", "yes once for both", "yes 2 times", "yes yes", lets, readable,
						goAhead + "PUT 200" + mayRead + "\nPUT 200" + mayRead,
					},
				}},
			{"the page that is not allowed", disallowed, "Done: this page could read 0 of 10 responses.",
				"The policy does not allow this page's origin: the browser keeps every response from this page. The policy has " + allowed +
					"; this differs in its port: open the page at port " + allowed[strings.LastIndexByte(allowed, ':')+1:] + ".",
				[]string{
					origins + " lets it read: Simple GET, Text POST, PUT, Custom header, With credentials, Redirect, 401 from upstream, Preflight cached",
					origins + ` "allow_headers": ["x-demo", "content-type"] lets it read: JSON POST`,
					origins + ` "allow_methods": ["PUT", "DELETE"] lets it read: DELETE`,
				}, []row{
					simple("Simple GET", "GET 200"+mayNot), simple("Text POST", "POST 200"+mayNot+hasEffect), asked("JSON POST"), asked("PUT"),
					asked("Custom header"),
					simple("With credentials", "GET 200"+mayNot), asked("DELETE"), simple("Redirect", "GET 302"+mayNot),
					simple("401 from upstream", "GET 401"+mayNot), asked("Preflight cached"),
				}},
		} {
			t.Run(c.name, func(t *testing.T) {
				openDemo(t, b, c.page)
				rows := runAll(t, b)
				for i := range max(len(rows), len(c.rows)) {
					if i >= len(rows) || i >= len(c.rows) || rows[i] != c.rows[i] {
						t.Errorf("row %d\n%+v\nwant\n%+v", i, rows[min(i, len(rows)-1)], c.rows[min(i, len(c.rows)-1)])
					}
				}
				if got := evaluate[string](t, b, `document.querySelector("#standing").textContent`); got != c.standing {
					t.Errorf("the page stands: %q, want %q", got, c.standing)
				}
				remedies := evaluate[[]string](
					t, b, `[...document.querySelectorAll("#remedies li")].map((li) => [...li.children].map((e) => e.textContent).join(" "))`,
				)
				if !slices.Equal(remedies, c.remedies) {
					t.Errorf("remedies %q, want %q", remedies, c.remedies)
				}
				if status := evaluate[string](t, b, `document.querySelector("#status").textContent`); status != c.status {
					t.Errorf("status %q, want %q", status, c.status)
				}
			})
		}

		t.Run("the counters are those of the filter", func(t *testing.T) {
			// The page asks for them a moment after the last event.
			const shown = `Object.fromEntries([...document.querySelectorAll("#counters dd")].map((e) => [e.dataset.counter, e.textContent]))`
			want := map[string]string{
				"origin_valid": "15", "origin_invalid": "10", "preflight_allowed": "3", "preflight_denied_headers": "1", "preflight_denied_method": "1",
				"preflight_denied_origin": "5", "preflight_forwarded": "0", "request_allowed": "10", "request_denied": "5", "request_rejected": "0",
			}
			var counters map[string]string
			for deadline := time.Now().Add(10 * time.Second); !maps.Equal(counters, want); time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("counters %v, want %v", counters, want)
				}
				counters = evaluate[map[string]string](t, b, shown)
			}
		})

		t.Run("headers on the wire are shown as text", func(t *testing.T) {
			wire := evaluate[string](t, b, `document.querySelector("#matrix > li:nth-child(4) .wire").textContent`)
			for _, part := range []string{
				"> OPTIONS /api/orders/1",
				"> origin: " + disallowed, "> access-control-request-method: PUT", "< 403 (cors_origin_denied)",
				"counted in cors.origin_invalid, cors.preflight_denied_origin",
			} {
				if !strings.Contains(wire, part) {
					t.Errorf("%q is missing in\n%s", part, wire)
				}
			}
		})
	})
}

// TestTheDemoFollowsThePolicy serves other policies than the one in envoy.yaml:
// whatever the page says of the policy must be true of those.
func TestTheDemoFollowsThePolicy(t *testing.T) {
	inEach(t, func(t *testing.T, b *tab) {
		d := serveDemo(t)
		say := func(selector string) string {
			return evaluate[string](t, b, fmt.Sprintf(`document.querySelector(%q).textContent`, selector))
		}
		for _, c := range []struct {
			name     string
			changes  []string
			standing string
			nav      []string // of both pages
			why      string   // of DELETE
			status   string
		}{
			{"another method", []string{`"allow_methods": ["PUT"]`, `"allow_methods": ["DELETE"]`, `"x-demo"]`, `"x-demo", "content-type"]`},
				"The policy allows this page's origin. It may use GET, HEAD, POST and DELETE, send x-demo, content-type, and use credentials.",
				[]string{"allowed", "not allowed"},
				"A preflight names the method DELETE. The policy lets this page read the response.", "Done: this page could read 8 of 10 responses."},
			{"everyone, without credentials", []string{`["` + d.allowed + `"]`, `["*"]`, `"allow_credentials": true`, `"allow_credentials": false`},
				"The policy allows this page's origin. It may use GET, HEAD, POST and PUT, send x-demo, and use no credentials.",
				[]string{"allowed", "allowed"},
				"A preflight names the method DELETE. The policy does not let this page read the response: the " +
					"method DELETE is not in Access-Control-Allow-Methods.",
				"Done: this page could read 7 of 10 responses."},
			{"shadow", []string{`"allow_methods"`, `"mode": "shadow", "allow_methods"`},
				"The policy is in mode shadow: the filter leaves this page's requests to upstream.", []string{"left to upstream", "left to upstream"},
				"A preflight names the method DELETE. The policy leaves the decision to upstream.", ""},
			{
				"rejecting",
				[]string{
					`["` + d.allowed + `"]`, `["https://shop.example.com"]`, `"allow_methods"`,
					`"disallowed_requests": "reject", "allow_methods"`,
				},
				"The policy does not allow this page's origin: the filter rejects its requests.", []string{"not allowed", "not allowed"},
				"A preflight names the method DELETE. The policy does not let this page read the response: the " +
					"response has no Access-Control-Allow-Origin header.",
				"Done: this page could read 0 of 10 responses.",
			},
		} {
			t.Run(c.name, func(t *testing.T) {
				d.change(t, c.changes...)
				openDemo(t, b, d.allowed)
				if got := say("#standing"); got != c.standing {
					t.Errorf("the page stands: %q, want %q", got, c.standing)
				}
				nav := evaluate[[]string](t, b, `[...document.querySelectorAll("#pages a")].map((a) => a.textContent.replace(/^.*, /, ""))`)
				if !slices.Equal(nav, c.nav) {
					t.Errorf("the pages are %q, want %q", nav, c.nav)
				}
				if got := say("#matrix > li:nth-child(7) .why"); got != c.why {
					t.Errorf("DELETE: %q, want %q", got, c.why)
				}
				if text := say("#policy pre"); !strings.Contains(text, "allow_methods") {
					t.Errorf("the policy shown is %q", text)
				}
				if runAll(t, b); c.status != "" && say("#status") != c.status {
					t.Errorf("status %q, want %q", say("#status"), c.status)
				}
			})
		}
	})
}

// A request's headers are an unlisted origin's data, and the page shows them.
func TestTheDemoShowsUntrustedDataAsText(t *testing.T) {
	inEach(t, func(t *testing.T, b *tab) {
		allowed := serveDemo(t).allowed
		openDemo(t, b, allowed)
		runAll(t, b)
		const hostile = `<img id="evil" src="x">`
		evaluate[bool](t, b, fmt.Sprintf(`(async () => {
			const attempt = performance.getEntriesByType("resource").map((e) => e.name).find((n) => n.includes("/api/hello?attempt="));
			return (await fetch(attempt, { headers: { "x-demo": %q } })).ok;
		})()`, hostile))
		b.wait(t, fmt.Sprintf(`document.querySelector("#matrix .wire").textContent.includes(%q)`, "> x-demo: "+hostile))
		if evaluate[bool](t, b, `document.querySelector("#evil") !== null`) {
			t.Error("a header became an element")
		}
	})
}

func TestTheDemoWorksWithTheKeyboardAlone(t *testing.T) {
	inEach(t, func(t *testing.T, b *tab) {
		allowed := serveDemo(t).allowed
		if err := b.Resize(limited(t), 800, 800); err != nil { // wider, the rows are open at once
			t.Fatal(err)
		}
		openDemo(t, b, allowed)
		press := func(key drive.Key) {
			t.Helper()
			if err := b.Press(limited(t), key); err != nil {
				t.Fatal(err)
			}
		}
		focused := func() string {
			return evaluate[string](
				t, b,
				`document.activeElement.id || document.activeElement.getAttribute("aria-label") || `+
					`document.activeElement.className || document.activeElement.tagName`,
			)
		}
		var order []string
		for range 8 {
			press(drive.Tab)
			order = append(order, focused())
			if outline := evaluate[string](t, b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
				t.Errorf("the focus on %s is not visible", focused())
			}
		}
		if want := []string{
			"skip", "A", "A", "SUMMARY", "all",
			"Run: Simple GET", "SUMMARY",
			"Run: Text POST",
		}; strings.Join(order, ", ") != strings.Join(want, ", ") {
			t.Errorf("order of focus %v, want %v", order, want)
		}
		press(drive.Enter)
		b.wait(t, `document.querySelector("#status").textContent.startsWith("Text POST: This page reads")`)
		if focused() != "Run: Text POST" {
			t.Errorf("the focus went to %s", focused())
		}
		// Only that row was run; the rest waits.
		rows := evaluate[[]row](t, b, readRows)
		if rows[1].Read != "yes yes" || rows[0].Read != "not yet" {
			t.Errorf("%+v\n%+v", rows[0], rows[1])
		}
		// The headers open with the keyboard, too.
		press(drive.Tab)
		press(drive.Enter)
		b.wait(t, `document.querySelector("#matrix > li:nth-child(2) details").open`)
	})
}

// contrasts computes the contrast of each text with the ground behind it (WCAG
// 2.2, section 1.4.3) and returns those below 4.5.
const contrasts = `(() => {
  const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const parse = (c) => c.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const low = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) ||
      !e.checkVisibility() || e.tagName === "NOSCRIPT") continue;
    const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(e.tagName + "." + e.className + " " + e.textContent.trim().slice(0, 30) + " " + ratio.toFixed(2));
  }
  return low;
})()`

// brokenPills counts the widths of the lead in which an address takes two lines,
// though it fits in one.
const brokenPills = `(() => {
  const lead = document.querySelector(".lead");
  let broken = 0;
  for (let width = 300; width <= 640; width += 4) {
    lead.style.width = width + "px";
    broken += [...lead.querySelectorAll("code")].some((e) => e.getBoundingClientRect().height > 35);
  }
  lead.style.width = "";
  return broken;
})()`

// prefer gives the page what it has for those who prefer a colour scheme, and less
// motion, whatever the browser's own user prefers.
const prefer = `((scheme) => {
  for (const rule of document.styleSheets[0].cssRules) {
    const wants = rule.media?.mediaText ?? "";
    if (wants.includes("prefers-color-scheme")) rule.media.mediaText = wants.includes(scheme) ? "all" : "not all";
    if (wants.includes("prefers-reduced-motion")) rule.media.mediaText = "not all";
  }
  return true;
})(%q)`

func TestTheDemoIsReadableOnAPhoneDarkAndLight(t *testing.T) {
	inEach(t, func(t *testing.T, b *tab) {
		allowed := serveDemo(t).allowed
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{360, 1100} {
				t.Run(fmt.Sprintf("%s at %d pixels", scheme, width), func(t *testing.T) {
					if err := b.Resize(limited(t), width, 800); err != nil {
						t.Fatal(err)
					}
					openDemo(t, b, allowed)
					evaluate[bool](t, b, fmt.Sprintf(prefer, scheme))
					phone := width == 360
					width := evaluate[int](t, b, `innerWidth`) // MiniBrowser's window has no less than 447
					runAll(t, b)
					time.Sleep(500 * time.Millisecond) // until the counters are there
					screenshot(t, b, fmt.Sprintf("%s-%s-%d.png", b.engine, scheme, width))
					if height := evaluate[int](t, b, `document.documentElement.scrollHeight`); phone && height > 4000 {
						t.Errorf("on a phone the page is %d pixels long", height)
					}
					if broken := evaluate[int](
						t, b, `[...document.querySelectorAll(".readable code")].filter((e) => e.getClientRects().length > 1).length`,
					); broken > 0 {
						t.Errorf("%d header names break in the middle", broken)
					}
					if broken := evaluate[int](t, b, brokenPills); broken > 0 {
						t.Errorf("in %d widths of the lead an address breaks in the middle", broken)
					}
					evaluate[bool](t, b, `(document.querySelectorAll("details").forEach((d) => (d.open = true)), true)`)
					if got := evaluate[int](t, b, `document.documentElement.scrollWidth`); got > width {
						t.Errorf("the page is %d pixels wide", got)
					}
					if low := evaluate[[]string](t, b, contrasts); len(low) > 0 {
						t.Errorf("low contrast: %s", strings.Join(low, "; "))
					}
					if small := evaluate[int](
						t, b, `[...document.querySelectorAll("button")].filter((b) => b.getBoundingClientRect().height < 44).length`,
					); small > 0 {
						t.Errorf("%d buttons are too small for a finger", small)
					}
					dark := evaluate[bool](t, b, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)[0] < 128`)
					if dark != (scheme == "dark") {
						t.Errorf("the ground is dark: %v", dark)
					}
				})
			}
		}
	})
}

// screenshot keeps a picture for people to look at, in the folder that
// CORSFILTER_SCREENSHOTS names; without one it does nothing.
func screenshot(t *testing.T, b *tab, name string) {
	t.Helper()
	dir := os.Getenv("CORSFILTER_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := b.Screenshot(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
