package explain

import (
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/idna"

	"corsfilter/internal/origin"
)

// CheckOrigin returns an error if no browser sends the value in an Origin field. The error
// says what a browser sends instead.
func CheckOrigin(value string) error {
	if value == "null" || serialized(value) {
		return nil
	}
	switch instead := browserForm(value); {
	case instead == "null" && hasScheme(value, "file"):
		return fmt.Errorf("%q is not what a browser sends as Origin; write \"null\", or \"file://\", which WebViews, Electron and Chromium with --allow-file-access-from-files send", value)
	case instead != "":
		return fmt.Errorf("%q is not what a browser sends as Origin; write %q", value, instead)
	}
	return fmt.Errorf("%q is not what a browser sends as Origin; write scheme, host and, if it is not the scheme's default, port, such as https://shop.example.com", value)
}

// serialized reports whether the value is an origin as browsers write it. They lower-case
// schemes and the hosts of http and https, and may lower-case others.
func serialized(value string) bool {
	var buf origin.Buffer
	parsed, ok := origin.Parse(value, &buf)
	scheme, _, _ := strings.Cut(value, ":")
	if origin.DefaultPort(parsed.Scheme) != 0 {
		scheme = value
	}
	return ok && parsed.Serialized() && scheme == strings.ToLower(scheme)
}

func hasScheme(value, scheme string) bool {
	before, _, found := strings.Cut(value, ":")
	return found && strings.EqualFold(before, scheme)
}

// browserForm is how a browser serializes an origin (HTML, section 7.1.1) that somebody wrote
// differently; "" if that is unclear.
func browserForm(value string) string {
	if strings.EqualFold(value, "null") {
		return "null"
	}
	for _, scheme := range []string{"about", "data", "file", "blob", "javascript"} {
		if hasScheme(value, scheme) {
			return "null" // an opaque origin
		}
	}
	if scheme, rest, found := strings.Cut(value, "://"); found && origin.DefaultPort(strings.ToLower(scheme)) == 0 {
		rest, _, _ = strings.Cut(rest, "/")
		form := strings.ToLower(scheme) + "://" + rest
		if !serialized(form) {
			return ""
		}
		return form
	}
	if !strings.Contains(value, "://") {
		value = "https://" + strings.TrimPrefix(value, "//")
	}
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil || u.Host == "" {
		return ""
	}
	host, err := idna.Lookup.ToASCII(strings.ToLower(u.Hostname()))
	if err != nil {
		host = strings.ToLower(u.Hostname())
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	form := strings.ToLower(u.Scheme) + "://" + host
	if port := u.Port(); port != "" && port != fmt.Sprint(origin.DefaultPort(strings.ToLower(u.Scheme))) {
		form += ":" + port
	}
	if !serialized(form) {
		return ""
	}
	return form
}

// Target fills in a request from a URL. The error says what is missing.
func (r *Request) Target(target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	scheme, webSocket := map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	if !webSocket {
		scheme = u.Scheme
	}
	if scheme != "http" && scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not an http, https, ws or wss URL; write one such as https://api.example.com/v1/orders", target)
	}
	r.Scheme, r.Host, r.Path, r.WebSocket = scheme, strings.ToLower(u.Host), u.RequestURI(), webSocket
	return nil
}
