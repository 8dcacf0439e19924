package gateway

import (
	"net/http"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"corsfilter/internal/host"
)

// redirect is a compiled RedirectAction.
type redirect struct {
	status        int
	scheme        string
	host          string
	port          uint32
	path          string
	rewritePrefix bool
	prefix        string
	stripQuery    bool
}

var redirectStatus = map[routev3.RedirectAction_RedirectResponseCode]int{
	routev3.RedirectAction_MOVED_PERMANENTLY:  http.StatusMovedPermanently,
	routev3.RedirectAction_FOUND:              http.StatusFound,
	routev3.RedirectAction_SEE_OTHER:          http.StatusSeeOther,
	routev3.RedirectAction_TEMPORARY_REDIRECT: http.StatusTemporaryRedirect,
	routev3.RedirectAction_PERMANENT_REDIRECT: http.StatusPermanentRedirect,
}

func compileRedirect(action *routev3.RedirectAction) *redirect {
	r := &redirect{
		status:     redirectStatus[action.GetResponseCode()],
		scheme:     action.GetSchemeRedirect(),
		host:       action.GetHostRedirect(),
		port:       action.GetPortRedirect(),
		path:       action.GetPathRedirect(),
		stripQuery: action.GetStripQuery(),
	}
	if action.GetHttpsRedirect() {
		r.scheme = "https"
	}
	if rewrite, ok := action.GetPathRewriteSpecifier().(*routev3.RedirectAction_PrefixRewrite); ok {
		r.rewritePrefix, r.prefix = true, rewrite.PrefixRewrite
	}
	return r
}

// location is the target for one request. The port of the request is dropped
// where it is the default one of the scheme that is left behind.
func (r *redirect) location(request *host.HeaderMap, match pathMatch) string {
	scheme := r.scheme
	if scheme == "" {
		scheme, _ = request.Get("x-forwarded-proto")
	}
	authority := r.host
	if authority == "" {
		authority, _ = request.Get(":authority")
		bare, port := splitPort(authority)
		if r.port != 0 || scheme == "https" && port == "80" || scheme == "http" && port == "443" {
			authority = bare
		}
	}
	if r.port != 0 {
		authority += ":" + strconv.Itoa(int(r.port))
	}
	return scheme + "://" + authority + r.target(request, match)
}

// target is path and query. A query in path_redirect replaces that of the
// request and is never stripped.
func (r *redirect) target(request *host.HeaderMap, match pathMatch) string {
	original, _ := request.Get(":path")
	path, query, hasQuery := strings.Cut(original, "?")
	if strings.Contains(r.path, "?") {
		return r.path
	}
	switch {
	case r.path != "":
		path = r.path
	case r.rewritePrefix:
		path = r.prefix + path[min(len(match.text), len(path)):]
	}
	if hasQuery && !r.stripQuery {
		path += "?" + query
	}
	return path
}

// splitPort separates the port from an authority; the brackets of an IPv6
// address stay.
func splitPort(authority string) (bare, port string) {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.HasSuffix(authority, "]") {
		return authority, ""
	}
	return authority[:colon], authority[colon+1:]
}
