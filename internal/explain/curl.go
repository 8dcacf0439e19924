package explain

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"corsfilter/internal/browser"
)

// Pasted is what a copied request or a console's message says. What it does not say is
// "".
type Pasted struct {
	Origin, URL, Method string
	Headers             []browser.Header
	Credentials         bool
	// Preflight says that the browser sent one, although nothing here says why.
	Preflight bool
	// Said is what the console says; nil for a command.
	Said *Said
}

// FromCurl reads a request that a browser's network panel copied as a command of
// curl, in the form for a POSIX shell or for Windows' cmd.
func FromCurl(command string) (p Pasted, err error) {
	words, err := cmdWords(command), error(nil)
	if words == nil {
		words, err = shellWords(command)
	}
	if err != nil {
		return p, err
	}
	if len(words) == 0 || strings.TrimSuffix(words[0], ".exe") != "curl" {
		return p, errors.New("that is not a curl command; in the network panel choose Copy as cURL")
	}
	c := curl{}
	for rest := words[1:]; len(rest) > 0; {
		if rest, err = c.option(rest); err != nil {
			return p, err
		}
	}
	return c.pasted()
}

// shellWords splits a command as a shell does; it runs nothing.
func shellWords(command string) ([]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(command), "")
	if err != nil {
		return nil, fmt.Errorf("the command cannot be read: %w", err)
	}
	if len(file.Stmts) != 1 {
		return nil, errors.New("write one curl command")
	}
	call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(file.Stmts[0].Redirs) > 0 {
		return nil, errors.New("write the curl command alone, without pipes and redirections")
	}
	var words []string
	for _, arg := range call.Args {
		// Without an environment and without command substitution.
		word, err := expand.Literal(&expand.Config{NoUnset: true}, arg)
		if err != nil {
			return nil, fmt.Errorf("the command cannot be read: %w", err)
		}
		words = append(words, word)
	}
	return words, nil
}

// ofCmd recognises what the panel writes only for Windows' cmd: a quote after a caret as the
// first argument, or a caret at the end of a line.
var ofCmd = regexp.MustCompile(`^\s*curl(?:\.exe)?\s+\^"|\^[ \t]*\r?\n`)

// cmdWords splits a command like cmd.exe, which removes the carets, and then like the program
// that it starts, for which a backslash escapes a quote; nil if it is not for cmd.
func cmdWords(command string) (words []string) {
	if !ofCmd.MatchString(command) {
		return nil
	}
	command = strings.ReplaceAll(command, "\r\n", "\n")
	var line strings.Builder
	quoted := false
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case c == '^' && !quoted:
			if i++; i < len(command) && command[i] == '\n' { // the line goes on, with what follows as it is
				i++
			}
			if i < len(command) {
				line.WriteByte(command[i])
			}
		case c == '"':
			quoted = !quoted
			fallthrough
		default:
			line.WriteByte(c)
		}
	}
	var word strings.Builder
	text, begun := line.String(), false
	quoted = false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case (c == ' ' || c == '\t' || c == '\n') && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
			continue
		case c == '\\':
			rest := strings.TrimLeft(text[i:], `\`)
			n := len(text) - i - len(rest)
			if !strings.HasPrefix(rest, `"`) {
				word.WriteString(text[i : i+n])
				i += n - 1
				break
			}
			word.WriteString(text[i : i+n/2])
			if i += n - 1; n%2 == 1 {
				word.WriteByte('"')
				i++
			}
		case c == '"' && quoted && strings.HasPrefix(text[i+1:], `"`):
			word.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		default:
			word.WriteByte(c)
		}
		begun = true
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// curl is a command's options, as far as they matter.
type curl struct {
	url, method  string
	headers      []browser.Header
	data, json   bool
	form, get    bool
	head, cookie bool
}

// Options of curl with and without a value that do not affect what a browser would send.
var (
	ignoredWithValue = []string{"-o", "--output", "-w", "--write-out", "-m", "--max-time", "--connect-timeout", "-x", "--proxy", "--resolve",
		"--cacert", "-E", "--cert", "--key", "--retry", "-c", "--cookie-jar", "-A", "--user-agent", "-e", "--referer", "--max-redirs", "--http2-settings"}
	ignored = []string{"--compressed", "-k", "--insecure", "-s", "--silent", "-S", "--show-error", "-v", "--verbose", "-i", "--include", "-L",
		"--location", "-f", "--fail", "--http1.1", "--http2", "--http3", "-g", "--globoff", "--path-as-is", "-N", "--no-buffer"}
)

// option reads the first option or argument and returns the rest.
func (c *curl) option(words []string) (rest []string, err error) {
	name, value, joined := words[0], "", false
	if long, v, ok := strings.Cut(name, "="); ok && strings.HasPrefix(name, "--") {
		name, value, joined = long, v, true
	} else if len(name) > 2 && name[0] == '-' && name[1] != '-' && strings.IndexByte("XHdFbuAeo", name[1]) >= 0 {
		name, value, joined = name[:2], name[2:], true
	}
	take := func() {
		if joined {
			rest = words[1:]
			return
		}
		if len(words) < 2 {
			err = fmt.Errorf("curl's option %s has no value", name)
			return
		}
		value, rest = words[1], words[2:]
	}
	switch {
	case name == "-X" || name == "--request":
		take()
		c.method = value
	case name == "-H" || name == "--header":
		take()
		if field, v, ok := strings.Cut(value, ":"); ok {
			c.headers = append(c.headers, browser.Header{Name: strings.TrimSpace(field), Value: strings.TrimSpace(v)})
		} else if field, ok := strings.CutSuffix(value, ";"); ok {
			c.headers = append(c.headers, browser.Header{Name: field})
		}
	case slices.Contains([]string{"-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode"}, name):
		take()
		c.data = true
	case name == "--json":
		take()
		c.data, c.json = true, true
	case name == "-F" || name == "--form" || name == "--form-string":
		take()
		c.form = true
	case name == "-b" || name == "--cookie":
		take()
		c.cookie = true
	case name == "-u" || name == "--user":
		take()
		c.cookie = true // the browser's own credentials
	case name == "--url":
		take()
		c.url = value
	case name == "-I" || name == "--head":
		c.head, rest = true, words[1:]
	case name == "-G" || name == "--get":
		c.get, rest = true, words[1:]
	case slices.Contains(ignoredWithValue, name):
		take()
	case slices.Contains(ignored, name):
		rest = words[1:]
	case strings.HasPrefix(name, "-") && name != "-":
		return nil, fmt.Errorf("curl's option %s is not supported here; leave it out", words[0])
	default:
		c.url, rest = words[0], words[1:]
	}
	return rest, err
}

func (c *curl) pasted() (p Pasted, err error) {
	if c.url == "" {
		return p, errors.New("the curl command has no URL")
	}
	p.URL, p.Credentials = c.url, c.cookie
	p.Method = c.method
	if p.Method == "" {
		switch {
		case c.head:
			p.Method = "HEAD"
		case (c.data || c.form) && !c.get:
			p.Method = "POST"
		default:
			p.Method = "GET"
		}
	}
	preflight := pastedPreflight{}
	contentType := false
	for _, h := range c.headers {
		name := strings.ToLower(h.Name)
		switch {
		case name == "origin":
			p.Origin = h.Value
		case name == "cookie":
			p.Credentials = true
		case name == "access-control-request-method":
			preflight.method = h.Value
		case name == "access-control-request-headers":
			preflight.headers = h.Value
		case byTheBrowser(name):
		default:
			contentType = contentType || name == "content-type"
			p.Headers = append(p.Headers, h)
		}
	}
	if preflight.method != "" && strings.EqualFold(p.Method, "OPTIONS") {
		preflight.become(&p)
		return p, nil
	}
	if !contentType {
		switch {
		case c.json:
			p.Headers = append(p.Headers, browser.Header{Name: "content-type", Value: "application/json"})
		case c.data && !c.get:
			p.Headers = append(p.Headers, browser.Header{Name: "content-type", Value: "application/x-www-form-urlencoded"})
		}
	}
	return p, nil
}

// pastedPreflight is a copied preflight, which describes the request after it.
type pastedPreflight struct{ method, headers string }

func (f pastedPreflight) become(p *Pasted) {
	p.Method, p.Headers = f.method, nil
	for name := range strings.SplitSeq(f.headers, ",") {
		if name = strings.TrimSpace(name); name != "" {
			p.Headers = append(p.Headers, browser.Header{Name: name, Value: ExampleValue(name)})
		}
	}
}

// exampleValues are values for headers that are given by name only. They need the server's
// consent, because that is what the question is about.
var exampleValues = map[string]string{
	"content-type": "application/json", "accept": "(", "accept-language": "(", "content-language": "(", "range": "bytes=-1",
}

// ExampleValue is a value with which a header needs the server's consent.
func ExampleValue(name string) string { return exampleValues[strings.ToLower(name)] }

// byTheBrowser are headers that the browser itself adds, including some that scripts could
// set: the network panel does not distinguish them, and "Disable cache" adds two.
func byTheBrowser(name string) bool {
	switch name {
	case "accept", "accept-encoding", "accept-language", "user-agent", "referer", "host", "connection", "content-length", "dnt", "te",
		"priority", "pragma", "cache-control", "upgrade-insecure-requests", "save-data", "if-none-match", "if-modified-since", "alt-used", "keep-alive":
		return true
	}
	return strings.HasPrefix(name, "sec-") || strings.HasPrefix(name, ":")
}
