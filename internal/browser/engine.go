package browser

import (
	"slices"
	"strings"
)

// Engine is what browsers are built on.
type Engine string

// The engines: Chrome, Edge, Opera and Android's WebViews are Chromium; Safari and
// every browser on iOS are WebKit.
const (
	Chromium Engine = "Chromium"
	Firefox  Engine = "Firefox"
	WebKit   Engine = "WebKit"
)

// Engines are all of them.
var Engines = []Engine{Chromium, Firefox, WebKit}

// Deviation is one thing that engines do differently from the standard.
type Deviation struct {
	Name    string // stable
	Engines []Engine
	// Standard says what the standard has, and Instead what the engines do.
	Standard, Instead string

	// treats says what becomes of a header that a script sets; nil: nothing else.
	treats func(e Engine, name, value string) treatment
	// covers is a header that "*" in Access-Control-Allow-Headers covers.
	covers string
}

// treatment is what an engine makes of a header.
type treatment int

const (
	asStandard treatment = iota
	dropped              // it is not sent
	free                 // it is sent, and needs no consent
	unsafe               // it is sent, and needs consent
)

// Deviations are those that were measured, in Chromium 156, Firefox ESR 153 and
// WebKitGTK 2.50. What has no effect on a single fetch() is there for its words.
var Deviations = []Deviation{
	{
		Name: "authorization-under-star", Engines: Engines,
		Standard: `"*" in Access-Control-Allow-Headers does not cover authorization`,
		Instead:  "it does if no credentials are included",
		covers:   "authorization",
	},
	{
		Name: "client-hints", Engines: []Engine{Chromium},
		Standard: "client hints that a script sets (" + strings.Join(clientHints, ", ") + ") need the server's consent",
		Instead:  "they need none if their values are well-formed",
		treats: func(_ Engine, name, value string) treatment {
			if slices.Contains(clientHints, name) && validHint(name, value) {
				return free
			}
			return asStandard
		},
	},
	{
		Name: "user-agent", Engines: []Engine{Chromium},
		Standard: "a script may set User-Agent with the server's consent, like other headers",
		Instead:  "the browser sends its own value, and asks for no consent",
		treats: func(_ Engine, name, _ string) treatment {
			if name == "user-agent" {
				return dropped
			}
			return asStandard
		},
	},
	{
		Name: "long-range-numbers", Engines: Engines,
		Standard: "a Range that starts at any number needs no consent, however long the number",
		Instead:  "it does if the number has too many bits for the engine",
		treats: func(e Engine, name, value string) treatment {
			if name == "range" && simpleRange(value) && tooLong(e, value) {
				return unsafe
			}
			return asStandard
		},
	},
	{
		Name: "fonts-without-cors", Engines: []Engine{WebKit},
		Standard: "a font of another origin is loaded with CORS",
		Instead:  "it is loaded without CORS",
	},
	{
		Name: "origin-after-redirect", Engines: []Engine{Firefox},
		Standard: "after a redirect from one cross-origin URL to another origin, the Origin is null, in the preflight and in the request",
		Instead:  "the preflight has the page's origin",
	},
	{
		Name: "preflight-per-credentials", Engines: []Engine{Firefox},
		Standard: "what a preflight with credentials allowed also holds for requests without",
		Instead:  "a request without credentials has its own preflight",
	},
	{
		Name: "local-network-access", Engines: []Engine{Chromium, Firefox},
		Standard: "a page may send a request to any address, and the response decides",
		Instead:  "a page on the public web may call a private or loopback address only if its user has agreed; until then nothing reaches the server, and no response header can replace the user's consent",
	},
}

// clientHints are the names that Chromium safelists (services/network/public/cpp/cors/cors.cc).
var clientHints = []string{"device-memory", "downlink", "dpr", "ect", "rtt", "save-data", "viewport-width", "width"}

func validHint(name, value string) bool {
	switch name {
	case "ect":
		return slices.Contains([]string{"slow-2g", "2g", "3g", "4g"}, value)
	case "save-data":
		return equalFold(value, "on")
	case "rtt", "viewport-width", "width":
		return value != "" && allDigits(value)
	}
	whole, fraction, point := strings.Cut(value, ".")
	return whole != "" && allDigits(whole) && allDigits(fraction) && point == (fraction != "")
}

// tooLong reports whether a range has a number that the engine cannot read: Chromium
// takes it for a signed one, and gives the largest another meaning.
func tooLong(e Engine, value string) bool {
	most := "18446744073709551615"
	if e == Chromium {
		most = "9223372036854775806"
	}
	first, last, _ := strings.Cut(strings.TrimPrefix(value, "bytes="), "-")
	return greater(first, most) || greater(last, most)
}

// Fetch runs a whole fetch as the engine does.
func (e Engine) Fetch(r Request, server func(method string, headers []Header) Response) Outcome {
	var all []Deviation
	for _, d := range Deviations {
		if slices.Contains(d.Engines, e) {
			all = append(all, d)
		}
	}
	return e.fetch(all, r, server)
}

// Fetch runs a whole fetch as the standard has it, but for this one deviation as it
// is in an engine.
func (d Deviation) Fetch(e Engine, r Request, server func(method string, headers []Header) Response) Outcome {
	return e.fetch([]Deviation{d}, r, server)
}

func (e Engine) fetch(deviations []Deviation, r Request, server func(method string, headers []Header) Response) Outcome {
	asks, sends := r, r
	asks.Headers, sends.Headers = nil, nil
	for _, h := range r.Headers {
		what := asStandard
		for _, d := range deviations {
			if d.treats != nil && what == asStandard {
				what = d.treats(e, lower(h.Name), normalizeValue(h.Value))
			}
		}
		if what != dropped {
			sends.Headers = append(sends.Headers, h)
		}
		switch what {
		case asStandard:
			asks.Headers = append(asks.Headers, h)
		case unsafe: // without a value, Range is unsafe by the standard, too
			asks.Headers = append(asks.Headers, Header{Name: h.Name})
		}
	}
	return fetch(asks, sends, func(preflight Response) Response {
		names, _ := preflight.list("access-control-allow-headers")
		for _, d := range deviations {
			if d.covers != "" && !r.Credentials && slices.Contains(names, "*") {
				preflight.Headers = append(slices.Clone(preflight.Headers), Header{"access-control-allow-headers", d.covers})
			}
		}
		return preflight
	}, server)
}
