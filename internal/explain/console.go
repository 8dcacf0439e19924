package explain

import (
	"errors"
	"regexp"
	"strings"

	"corsfilter/internal/browser"
)

// The parts of the consoles' messages. Chromium's are in
// services/network/public/cpp/cors and blink's cors_error_string.cc, Firefox's in
// dom/locales/en-US/chrome/security/security.properties, Safari's in WebKit's
// CrossOriginAccessControl.cpp and DocumentThreadableLoader.cpp. The console cuts
// and wraps, and people paste several lines at once: each part is looked for by
// itself.
var (
	chromiumAccess = regexp.MustCompile(`Access to .{1,40}? at '([^']+)'(?: \(redirected from '[^']+'\))? from origin '([^']+)' has been blocked by CORS policy`)
	firefoxBlocked = regexp.MustCompile(`disallows reading the remote resource at (\S+?)\.? \(Reason: `)
	safariOrigin   = regexp.MustCompile(`Origin (\S+) is not allowed by Access-Control-Allow-Origin`)
	safariLoad     = regexp.MustCompile(`(?:Fetch API|XMLHttpRequest) cannot load (\S+?)\.? due to access control checks`)

	methods = []*regexp.Regexp{
		regexp.MustCompile(`Method (\S+) is not allowed by Access-Control-Allow-Methods`), // Chromium and Safari
	}
	headerNames = []*regexp.Regexp{
		regexp.MustCompile(`Request header field (\S+) is not allowed by Access-Control-Allow-Headers`), // Chromium and Safari
		regexp.MustCompile(`header ‘([^’]+)’ is not allowed according to header ‘Access-Control-Allow-Headers’`),
	}
	credentials = []string{
		"when the request's credentials mode is 'include'",                                 // Chromium
		"Credential is not supported if the CORS header", "expected ‘true’ in CORS header", // Firefox
		"when credentials flag is true", "Credentials flag is true", "when allow-credentials flag", // Safari
	}
	preflights = []string{
		"Response to preflight request", "preflight response", "Preflight response", "Did not find method in CORS header", "CORS preflight",
	}
)

// FromConsole reads what a browser's console says of a request that CORS stopped:
// one message or several, of Chromium, Firefox or Safari.
func FromConsole(message string) (p Pasted, err error) {
	text := strings.Join(strings.Fields(message), " ")
	known := false
	if m := chromiumAccess.FindStringSubmatch(text); m != nil {
		p.URL, p.Origin, known = m[1], m[2], true
	}
	if m := firefoxBlocked.FindStringSubmatch(text); m != nil {
		p.URL, known = m[1], true
	}
	if m := safariOrigin.FindStringSubmatch(text); m != nil {
		p.Origin, known = m[1], true
	}
	if m := safariLoad.FindStringSubmatch(text); m != nil {
		p.URL, known = m[1], true
	}
	for _, pattern := range methods {
		if m := pattern.FindStringSubmatch(text); m != nil {
			p.Method, known = m[1], true
		}
	}
	for _, pattern := range headerNames {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			p.Headers, known = append(p.Headers, browser.Header{Name: m[1], Value: ExampleValue(m[1])}), true
		}
	}
	for _, words := range credentials {
		if strings.Contains(text, words) {
			p.Credentials, known = true, true
		}
	}
	for _, words := range preflights {
		p.Preflight = p.Preflight || strings.Contains(text, words)
	}
	if !known {
		return p, errors.New("that is no message of a browser's console about CORS; paste the whole of it, such as: Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: …")
	}
	return p, nil
}
