package explain

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// Envoy's names for what its connection manager does with a path that has an escaped slash.
const (
	rejects   = "REJECT_REQUEST"
	redirects = "UNESCAPE_AND_REDIRECT"
	unescapes = "UNESCAPE_AND_FORWARD"
)

var escapedSlash = regexp.MustCompile(`%2[Ff]|%5[Cc]`)

// unescaped is the path with its slashes decoded and its dots resolved; escaped says that it
// had an escaped slash.
func (r Request) unescaped() (target string, escaped bool) {
	target, query, asks := strings.Cut(r.Path, "?")
	if !escapedSlash.MatchString(target) {
		return r.Path, false
	}
	target = escapedSlash.ReplaceAllString(target, "/")
	folder := strings.HasSuffix(target, "/")
	if target = path.Clean(target); folder && target != "/" {
		target += "/"
	}
	if asks {
		target += "?" + query
	}
	return target, true
}

// early is an answer of the connection manager, before any filter.
type early struct {
	status        int
	details, says string
	remedy        string
}

// beforeTheFilter is what the connection manager answers to a request of the page, or
// its preflight; nil: it does not.
func (r Request) beforeTheFilter(method string) *early {
	if _, escaped := r.unescaped(); escaped && (r.EscapedSlashes == redirects || r.EscapedSlashes == rejects) {
		status := 400
		if r.EscapedSlashes == redirects {
			status = 307
		}
		return &early{status, "path_normalization_failed",
			fmt.Sprintf("path_with_escaped_slashes_action is %s, and the path has an escaped slash", r.EscapedSlashes), remedyForSlashes}
	}
	// Without TLS browsers only speak HTTP/1.
	if r.Scheme == "http" && !slices.Contains(http1Methods, method) {
		remedy := "use a method in the script that Envoy knows, or set allow_custom_methods in the connection manager's http_protocol_options"
		if upper := strings.ToUpper(method); slices.Contains(http1Methods, upper) {
			remedy = remedyForCase(upper)
		}
		return &early{400, "http1.codec_error", fmt.Sprintf("Envoy's codec for HTTP/1 does not know the method %s", method), remedy}
	}
	return nil
}

// http1Methods are those that Envoy accepts over HTTP/1. QUERY is one since 1.40.
var http1Methods = strings.Fields("GET HEAD POST PUT DELETE OPTIONS PATCH QUERY TRACE CONNECT ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL " +
	"MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE")

// overHTTP1 says what Envoy answers to the method if a browser, or a load balancer in front,
// speaks HTTP/1 to it; "" if that is the same as over HTTP/2.
func (r Request) overHTTP1() string {
	const so = "before the filter and without CORS headers"
	switch method := r.NormalizedMethod(); {
	case method == "QUERY":
		return "Envoy answers QUERY without a content-type with 400 (query_missing_content_type), and before 1.40 every QUERY over HTTP/1 (http1.codec_error), " + so
	case r.Scheme != "http" && !slices.Contains(http1Methods, method):
		return fmt.Sprintf("over HTTP/1 Envoy answers the method %s with 400 (http1.codec_error), %s; over HTTP/2 it passes", method, so)
	}
	return ""
}

// seen is the path that the filter sees.
func (r Request) seen() string {
	if r.EscapedSlashes != unescapes {
		return r.Path
	}
	target, _ := r.unescaped()
	return target
}

// answered is an exchange that the filter does not see.
func (x *explanation) answered(e Exchange, by *early) (Exchange, []string) {
	e.Status, e.Details, e.Counters = by.status, by.details, nil
	if by.status == 307 {
		target, _ := x.request.unescaped()
		e.Response = []browser.Header{{Name: "location", Value: target}}
	}
	return e, []string{"does not see the request: " + by.says}
}

func remedyForCase(method string) string {
	return fmt.Sprintf("write %q in the script: methods are case-sensitive, and browsers upper-case only the common ones", method)
}

const remedyForSlashes = "remove path_with_escaped_slashes_action from the connection manager, or write UNESCAPE_AND_FORWARD, which keeps rules by path safe"
