package gateway

import (
	"net/http"
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"corsfilter/internal/host"
)

// pathOptions are what the connection manager does to the path before filters
// and routes see it.
type pathOptions struct {
	escapedSlashes hcmv3.HttpConnectionManager_PathWithEscapedSlashesAction
	normalize      bool
	mergeSlashes   bool
}

// normalizePath does what Envoy's ConnectionManagerUtility::maybeNormalizePath
// does, in its order: escaped slashes, RFC 3986, several slashes in a row. The
// reply is nil where the request goes on, with its new path.
func (st *stream) normalizePath() *reply {
	o := st.manager.path
	whole, _ := st.request.Get(":path")
	path, query, hasQuery := strings.Cut(whole, "?")
	unescaped := path
	if o.escapedSlashes > hcmv3.HttpConnectionManager_KEEP_UNCHANGED {
		unescaped = unescapeSlashes(path)
	}
	found := unescaped != path
	if found && o.escapedSlashes == hcmv3.HttpConnectionManager_REJECT_REQUEST {
		return &reply{status: http.StatusBadRequest, details: "path_normalization_failed"}
	}
	path = unescaped
	if o.normalize {
		normal, ok := normalPath(path)
		if !ok {
			return &reply{status: http.StatusBadRequest, details: "path_normalization_failed"}
		}
		path = normal
	}
	if o.mergeSlashes {
		path = mergeSlashes(path)
	}
	if hasQuery {
		path += "?" + query
	}
	if path != whole {
		st.request.Replace(":path", path)
	}
	if found && o.escapedSlashes == hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT {
		return &reply{status: http.StatusTemporaryRedirect, details: "path_normalization_failed", headers: host.NewHeaderMap([2]string{"location", path})}
	}
	return nil
}

var escapedSlashes = strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", `\`, "%5c", `\`)

func unescapeSlashes(path string) string { return escapedSlashes.Replace(path) }

// normalPath is RFC 3986, section 6.2.2, as Envoy's canonicalizer (googleurl)
// has it: letters, digits and -._~ are unescaped, backslashes are slashes, dot
// segments go. An escaped NUL is refused.
func normalPath(path string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '\\':
			c = '/'
		case c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
			decoded := unhex(path[i+1])<<4 | unhex(path[i+2])
			if decoded == 0 {
				return "", false
			}
			if !unreserved(decoded) {
				b.WriteString(path[i : i+3])
				i += 2
				continue
			}
			c = decoded
			i += 2
		}
		b.WriteByte(c)
	}
	segments := strings.Split(b.String(), "/")
	kept := segments[:0:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
			if last {
				kept = append(kept, "")
			}
		case "..":
			if len(kept) > 1 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, "/"), true
}

func mergeSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
