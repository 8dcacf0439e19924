package convert

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// unread is a kind of file that may hold policies but that no source reads: how to recognise
// it, and what to do instead.
type unread struct {
	what, remedy string
	// names are file name extensions. alone matches text that only such files have; shape
	// counts only if no source reads the file.
	names        []string
	alone, shape *regexp.Regexp
}

var allUnread = []unread{
	{
		what:   "Traefik's container labels are not read",
		remedy: "write the middlewares and routers as a file of its dynamic configuration, in YAML (http: middlewares: …, as in docs/migrate/traefik.md)",
		alone:  regexp.MustCompile(`(?mi)^\s*(?:-\s*)?["']?traefik\.http\.middlewares\.[^\s:=]+\.headers\.(?:accesscontrol|customresponseheaders\.access-control-)`),
	},
	{
		what:   "Spring's configuration is not read",
		remedy: "write the policy by the table in docs/migrate/code.md, which says what each of Spring's settings becomes",
		alone:  regexp.MustCompile(`(?mi)^\s*(?:global-?cors|cors-?configurations|(?:spring|management)\.[a-z.-]*cors[a-z.\[\]'"/*-]*\s*[=:])`),
	},
	{
		what:   "templates are not read",
		remedy: "render it first, for example with helm template CHART, and convert what comes out",
		shape:  regexp.MustCompile(`\{\{-?\s*(?:[.$]|(?:if|with|range|include|template|tpl|define|end|else)\b)`),
	},
	{
		what:   "TOML is not read",
		remedy: "write it as YAML, which Traefik takes as well (docs/migrate/traefik.md)",
		names:  []string{".toml"},
		shape:  regexp.MustCompile(`(?m)^\s*\[\[?[A-Za-z][\w."' -]*\]\]?\s*$`),
	},
	{
		what:   "program code is not read",
		remedy: "write the policy by the tables in docs/migrate/code.md, which say what each setting of a library becomes",
		names:  []string{".js", ".mjs", ".cjs", ".ts", ".tsx", ".java", ".kt", ".go", ".py", ".cs", ".rb", ".php", ".rs"},
		shape:  regexp.MustCompile(`(?m)\b(?:require\(|module\.exports|app\.use\(|cors\(|addCorsMappings|CORSMiddleware|AddCors\()|^import `),
	},
}

// refuseUnread reports a file that no source reads, with the line that shows it; unknown says
// that no source recognised the file.
func (c *Conversion) refuseUnread(f File, unknown bool) bool {
	for _, u := range allUnread {
		shape := u.alone
		if unknown && shape == nil {
			shape = u.shape
		}
		line := 0
		if slices.Contains(u.names, strings.ToLower(filepath.Ext(f.Name))) {
			line = 1
		} else if shape == nil {
			continue
		} else if at := shape.FindIndex(f.Data); at != nil {
			lead := bytes.TrimLeft(f.Data[at[0]:at[1]], " \t\r\n")
			line = 1 + bytes.Count(f.Data[:at[1]-len(lead)], []byte("\n"))
		}
		if line > 0 {
			c.Problem(Place{f.Name, line, 1, 1}, "", u.what, u.remedy)
			return true
		}
	}
	return false
}
