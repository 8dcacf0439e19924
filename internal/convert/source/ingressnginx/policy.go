package ingressnginx

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// What ingress-nginx makes of its annotations, read in
// internal/ingress/annotations/cors/main.go: it ignores a value that it does not accept, so
// that misspelt origins become any origin.

var nginxSettings = convert.Settings{
	Of: "ingress-nginx", MaxAge: convert.Unit{Seconds: convert.Seconds},
	Rows: []convert.Setting{
		{Key: "enable-cors", Default: "false", Note: "a rule's policy, or none"},
		{Key: "cors-allow-origin", Becomes: convert.AllowOrigins, Default: "*", Note: "`https://*.example.com` is a regex: the star is one label there"},
		{Key: "cors-allow-methods", Becomes: "allow_methods", Default: "GET, PUT, POST, DELETE, PATCH, OPTIONS"},
		{Key: "cors-allow-headers", Becomes: "allow_headers", Default: "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"},
		{Key: "cors-expose-headers", Becomes: "expose_headers"},
		{Key: "cors-allow-credentials", Becomes: "allow_credentials", Default: "true", Note: "left out beside `*`, which browsers refuse with it"},
		{Key: "cors-max-age", Becomes: convert.MaxAge, Default: "1728000"},
	},
}

var (
	// validNginxOrigins is the annotation as a whole, without its spaces: pieces of
	// origins in any order, or a star alone.
	validNginxOrigins = regexp.MustCompile(`\A(?:\*|(?:[a-z]+://|\*\.|:[0-9]+|[A-Za-z0-9.,-])*)\z`)
	validNginxOrigin  = regexp.MustCompile(`\A(?:null|[a-z]+://(?:\*\.)?[A-Za-z0-9.-]*(?::[0-9]+)?)\z`)
	validNginxLists   = map[string]*regexp.Regexp{
		"cors-allow-methods":  regexp.MustCompile(`\A(?:[A-Za-z]+,? ?)+\z`),
		"cors-allow-headers":  regexp.MustCompile(`\A[A-Za-z0-9_, -]*\z`),
		"cors-expose-headers": regexp.MustCompile(`\A(?:(?:[A-Za-z0-9_-]+|\*),? ?)+\z`),
	}
)

var nginxBehaviour = convert.Behaviour{Project: "ingress-nginx", Unmatched: "ingress-nginx forwards it", Status: "204", Keeps: true}

// readPolicy reads the annotations.
func (n *nginxIngress) readPolicy() {
	if node := n.snippet(); node != nil {
		n.leave(node, "a snippet of nginx's configuration writes CORS headers, and snippets are not read", "write what it does as enable-cors and its annotations, or convert it in a server of nginx's own configuration (docs/migrate/nginx.md)")
	}
	enable, node := n.value("enable-cors")
	if node == nil {
		return
	}
	if _, err := strconv.ParseBool(enable); err != nil {
		n.invalid("enable-cors", "leaves CORS off", `write "true" or "false"`)
		return
	}
	if !n.on("enable-cors") {
		return
	}
	p := &convert.Policy{}
	if !n.origins(p) {
		return
	}
	if len(p.AllowOrigins) == 0 {
		n.comments = append(n.comments, convert.Comment{Place: n.Object.At(n.node("cors-allow-origin")), Text: n.Object.String() + ": the policy, of which no origin is left"})
		return
	}
	nginxSettings.Take(p, n.Object.At(node), func(key string) (convert.Reader, *yaml.Node) { return n.Reader, n.taken(key) })
	n.credentials(p)
	p.Finish(nginxBehaviour)
	p.Change(convert.OptionsForwarded, "an OPTIONS request that is not a preflight goes upstream; ingress-nginx answers every OPTIONS from an allowed origin with 204")
	p.Comments = append(p.Comments, n.comments...)
	n.policy = p
}

func (n *nginxIngress) node(name string) *yaml.Node {
	_, node := n.value(name)
	return node
}

// place is where an annotation stands, or enable-cors where it is not given.
func (n *nginxIngress) place(name string) convert.Place {
	node := n.node(name)
	if node == nil {
		node = n.node("enable-cors")
	}
	return n.Object.At(node)
}

// leave refuses something, or leaves it out with a comment.
func (n *nginxIngress) leave(node *yaml.Node, what, remedy string) {
	if n.Options.Partial {
		n.comments = append(n.comments, convert.Comment{Place: n.Object.At(node), Text: convert.Printable("an annotation of " + n.Object.String() + ": " + what)})
		return
	}
	n.Fail(node, what, remedy+", or leave it out with -partial")
}

// invalid reports an annotation that ingress-nginx does not accept.
func (n *nginxIngress) invalid(name, instead, remedy string) {
	value, node := n.value(name)
	n.leave(node, fmt.Sprintf("ingress-nginx does not accept %q for %s, and %s", convert.Shortened(value), name, instead), remedy)
}

// given returns an annotation as ingress-nginx sees it: lines trimmed. Empty is as
// if it were not there.
func (n *nginxIngress) given(name string) string {
	value, _ := n.value(name)
	lines := strings.Split(value, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// taken is an annotation that ingress-nginx takes; nil where it takes its default.
func (n *nginxIngress) taken(name string) *yaml.Node {
	text, node := n.given(name), n.node(name)
	if text == "" {
		return nil
	}
	made, remedy := *node, ""
	var err error
	if valid := validNginxLists[name]; valid != nil {
		if !valid.MatchString(text) {
			remedy = "write names with a comma and one space between them"
		}
	} else if name == "cors-max-age" {
		if _, err = strconv.ParseInt(node.Value, 10, 64); err != nil {
			remedy = `write seconds, such as "600"`
		}
	} else {
		var on bool
		on, err = strconv.ParseBool(node.Value)
		if made.Tag, made.Value = "!!bool", strconv.FormatBool(on); err != nil {
			remedy = `write "true" or "false"`
		}
	}
	if remedy == "" {
		return &made
	}
	instead := "sends no such header"
	if otherwise := nginxSettings.Default(name); otherwise != "" {
		instead = "uses its default: " + otherwise
	}
	n.invalid(name, instead, remedy)
	return nil
}

// origins reads cors-allow-origin. Each is a regex of its own in nginx, without case
// and with a star for one label.
func (n *nginxIngress) origins(p *convert.Policy) (ok bool) {
	at := n.place("cors-allow-origin")
	given := n.given("cors-allow-origin")
	elements := strings.Split(given, ",")
	if given == "" || slices.ContainsFunc(elements, func(e string) bool { return strings.TrimSpace(e) == "*" }) {
		p.Allow(convert.Anyone, at)
		return true
	}
	if !validNginxOrigins.MatchString(strings.ReplaceAll(given, " ", "")) {
		// This cannot be left out: nobody who lists origins means any origin.
		raw, node := n.value("cors-allow-origin")
		n.Fail(node, fmt.Sprintf("ingress-nginx does not accept %q for cors-allow-origin, and allows any origin instead", convert.Shortened(raw)),
			`write origins such as "https://example.com" or "https://*.example.com", without a path or a quote, or "*" where any origin is meant`)
		return false
	}
	for _, e := range elements {
		e = strings.TrimSpace(e)
		switch {
		case e == "":
		case len(strings.Fields(e)) > 1:
			n.leave(n.node("cors-allow-origin"), fmt.Sprintf("ingress-nginx reads %q in cors-allow-origin as one origin, and ignores it: separate origins with commas, not spaces", convert.Shortened(e)), fmt.Sprintf("write %q", convert.Shortened(strings.Join(strings.Fields(e), ", "))))
		case !validNginxOrigin.MatchString(e):
			n.leave(n.node("cors-allow-origin"), fmt.Sprintf("ingress-nginx ignores the origin %q of cors-allow-origin", convert.Shortened(e)), `write it with its scheme, such as "https://`+nginxHostOf(e)+`", or take it away`)
		case strings.Contains(e, "*"):
			p.Allow(convert.RegexOrigin(nginxOriginRegex(e)), at)
		default:
			p.Allow(convert.ExactOrigin(p, e, true), at)
		}
	}
	return true
}

// nginxHostOf is the host that an ignored origin probably means.
func nginxHostOf(e string) string {
	if host := regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9.-]*`).FindString(e); host != "" && len(host) < convert.MaxShown {
		return host
	}
	return "example.com"
}

// nginxOriginRegex is the regex of one origin. Browsers send lower case alone.
func nginxOriginRegex(origin string) string {
	return strings.Replace(regexp.QuoteMeta(strings.ToLower(origin)), `\*`, "[a-z0-9-]+", 1)
}

// credentials drops them beside a star: browsers refuse the two together for every request
// with credentials (Fetch, section 4.10, CORS check). Sending the request's own origin instead,
// behind a waiver, would open what the source did not.
func (n *nginxIngress) credentials(p *convert.Policy) {
	if !p.Credentials || !p.AllowOrigins[0].Same(convert.Anyone) {
		return
	}
	p.Credentials = false
	raw, _ := n.value("cors-allow-credentials")
	sends := "ingress-nginx sends `*` as the allowed origin and, by default, "
	switch {
	case raw != "":
		sends = "ingress-nginx sends `*` as the allowed origin and "
	case n.node("cors-allow-origin") == nil:
		sends = "ingress-nginx sends by default `*` as the allowed origin and "
	}
	p.Change(convert.StarCredentials, "credentials are left out: "+sends+"`access-control-allow-credentials: true`, and browsers refuse the two together for requests with credentials; "+
		"pages of every site read what a visitor without cookies gets, and none reads what one with cookies gets, there and here; where credentials are meant, list the origins that need them in cors-allow-origin")
}
