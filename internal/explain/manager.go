package explain

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"corsfilter/internal/browser"
)

// Envoy's words for what its connection manager does with a path that has an
// escaped slash.
const (
	rejects   = "REJECT_REQUEST"
	redirects = "UNESCAPE_AND_REDIRECT"
	unescapes = "UNESCAPE_AND_FORWARD"
)

var escapedSlash = regexp.MustCompile(`%2[Ff]|%5[Cc]`)

// unescaped is the path with its slashes as they are meant, and its dots resolved;
// escaped says that it had one.
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

// beforeTheFilter is the status that the connection manager answers with, before any
// filter is asked; 0: it does not.
func (r Request) beforeTheFilter() int {
	if _, escaped := r.unescaped(); !escaped {
		return 0
	}
	switch r.EscapedSlashes {
	case redirects:
		return 307
	case rejects:
		return 400
	}
	return 0
}

// seen is the path that the filter sees.
func (r Request) seen() string {
	if r.EscapedSlashes != unescapes {
		return r.Path
	}
	target, _ := r.unescaped()
	return target
}

// answered is the exchange of which the filter sees nothing.
func (x *explanation) answered(e Exchange, status int) (Exchange, []string) {
	e.Status, e.Details, e.Counters = status, "path_normalization_failed", nil
	if status == 307 {
		target, _ := x.request.unescaped()
		e.Response = []browser.Header{{Name: "location", Value: target}}
	}
	return e, []string{fmt.Sprintf("sees nothing of it: path_with_escaped_slashes_action is %s, and the path has an escaped slash", x.request.EscapedSlashes)}
}

const remedyForSlashes = "take path_with_escaped_slashes_action out of the connection manager, or write UNESCAPE_AND_FORWARD, which keeps rules by path safe"
