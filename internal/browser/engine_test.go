package browser

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestEnginesDeviate asks an open server in each engine and in the standard: what was
// asked for in a preflight, "-" for none; what the request carried; and how it went.
func TestEnginesDeviate(t *testing.T) {
	open := headers("access-control-allow-origin: *", "access-control-allow-methods: *", "access-control-allow-headers: *")
	for _, c := range []struct {
		set                                 string // the header that the script sets
		credentials                         bool
		standard, chromium, firefox, webKit string
	}{
		{set: "authorization: Bearer t", standard: "authorization blocked", chromium: "authorization sent",
			firefox: "authorization sent", webKit: "authorization sent"},
		{set: "authorization: Bearer t", credentials: true,
			standard: "authorization blocked", chromium: "authorization blocked", firefox: "authorization blocked", webKit: "authorization blocked"},
		{set: "DPR: 1.5", standard: "dpr sent", chromium: "- sent", firefox: "dpr sent", webKit: "dpr sent"},
		{set: "dpr: 1.", standard: "dpr sent", chromium: "dpr sent", firefox: "dpr sent", webKit: "dpr sent"},
		{set: "downlink: .5", standard: "downlink sent", chromium: "downlink sent", firefox: "downlink sent", webKit: "downlink sent"},
		{set: "rtt: 50", standard: "rtt sent", chromium: "- sent", firefox: "rtt sent", webKit: "rtt sent"},
		{set: "width: 1.5", standard: "width sent", chromium: "width sent", firefox: "width sent", webKit: "width sent"},
		{set: "ect: 4g", standard: "ect sent", chromium: "- sent", firefox: "ect sent", webKit: "ect sent"},
		{set: "ect: 5g", standard: "ect sent", chromium: "ect sent", firefox: "ect sent", webKit: "ect sent"},
		{set: "save-data: On", standard: "save-data sent", chromium: "- sent", firefox: "save-data sent", webKit: "save-data sent"},
		{set: "save-data: off", standard: "save-data sent", chromium: "save-data sent", firefox: "save-data sent", webKit: "save-data sent"},
		{set: "User-Agent: mine", standard: "user-agent sent", chromium: "- dropped", firefox: "user-agent sent", webKit: "user-agent sent"},
		{set: "range: bytes=0-9223372036854775806", standard: "- sent", chromium: "- sent", firefox: "- sent", webKit: "- sent"},
		{set: "range: bytes=9223372036854775807-", standard: "- sent", chromium: "range sent", firefox: "- sent", webKit: "- sent"},
		{set: "range: bytes=0-18446744073709551616", standard: "- sent", chromium: "range sent", firefox: "range sent", webKit: "range sent"},
		{set: "range: bytes=-1", standard: "range sent", chromium: "range sent", firefox: "range sent", webKit: "range sent"},
		{set: "x-a: 1", standard: "x-a sent", chromium: "x-a sent", firefox: "x-a sent", webKit: "x-a sent"},
	} {
		r := Request{Origin: page, Method: "GET", Headers: headers(c.set), Credentials: c.credentials}
		granted := slices.Clone(open)
		if c.credentials {
			granted = append(headers("access-control-allow-origin: "+page, "access-control-allow-credentials: true"), open[1:]...)
		}
		ask := func(fetch func(Request, func(string, []Header) Response) Outcome) string {
			asked, sent := "-", "blocked"
			fetch(r, func(method string, got []Header) Response {
				value := Response{Headers: got}
				name, _, _ := strings.Cut(c.set, ":")
				switch carried := value.value(name); {
				case method == "OPTIONS":
					asked = value.value("access-control-request-headers")
				case carried == "":
					sent = "dropped"
				default:
					sent = "sent"
				}
				return Response{200, granted}
			})
			return asked + " " + sent
		}
		if got := ask(Fetch); got != c.standard {
			t.Errorf("%s: the standard: %s, want %s", c.set, got, c.standard)
		}
		for engine, want := range map[Engine]string{Chromium: c.chromium, Firefox: c.firefox, WebKit: c.webKit} {
			if got := ask(engine.Fetch); got != want {
				t.Errorf("%s: %s: %s, want %s", c.set, engine, got, want)
			}
		}
	}
}

// TestEnginesKeepToTheStandardOtherwise: a request that no row is about goes as the
// standard says, in each engine.
func TestEnginesKeepToTheStandardOtherwise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		r.Headers = slices.DeleteFunc(r.Headers, func(h Header) bool { return h.Name == "Authorization" })
		status := rapid.SampledFrom([]int{200, 403}).Draw(t, "status")
		server := func(_ string, headers []Header) Response {
			resp := respond(consent(headers))
			resp.Status = status
			return resp
		}
		want := Fetch(r, server)
		for _, e := range Engines {
			got := e.Fetch(r, server)
			if got.Allowed() != want.Allowed() || (got.Preflight == nil) != (want.Preflight == nil) {
				t.Fatalf("%+v: %s: %+v, the standard: %+v", r, e, got, want)
			}
		}
	})
}
