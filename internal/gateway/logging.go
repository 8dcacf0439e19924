package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"corsfilter/internal/host"
)

// loggers are the components whose level can be set, by Envoy's names.
var loggers = []string{"admin", "http", "wasm"}

// levelNames are Envoy's, in the order of their numbers.
var levelNames = []string{"trace", "debug", "info", "warning", "error", "critical", "off"}

// logging answers POST /logging as Envoy does (source/server/admin/logs_handler.cc):
// ?level= sets all loggers, ?NAME= one, ?paths=NAME:LEVEL,… several; without a
// query it only says how they stand.
func (g *Gateway) logging(w http.ResponseWriter, r *http.Request) {
	status, out := http.StatusOK, &strings.Builder{}
	if err := g.log.set(r.URL.Query()); err != nil {
		status = http.StatusBadRequest
		fmt.Fprintf(out, "error: %s\n\n", err)
		out.WriteString("usage: /logging?<name>=<level> (change single level)\n" +
			"usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n" +
			"usage: /logging?level=<level> (change all levels)\n")
		fmt.Fprintf(out, "levels: %s \n", strings.Join(levelNames, " "))
	}
	out.WriteString("active loggers:\n")
	for _, name := range loggers {
		fmt.Fprintf(out, "  %s: %s\n", name, levelNames[g.log.levelOf(name)])
	}
	out.WriteString("\n")
	text(w, status, out.String())
}

// set changes levels as a query says, all or none.
func (l *logger) set(query url.Values) error {
	changes := map[string]host.LogLevel{}
	note := func(name, level string) error {
		at := slices.Index(levelNames, level)
		if at < 0 {
			return fmt.Errorf("unknown logger level %q", level)
		}
		if !slices.Contains(loggers, name) {
			return fmt.Errorf("unknown logger name %q", name)
		}
		changes[name] = host.LogLevel(at)
		return nil
	}
	if len(query) > 1 {
		return fmt.Errorf("invalid number of parameters")
	}
	for name, values := range query {
		value := values[0]
		pairs := []string{name + ":" + value}
		switch name {
		case "level":
			pairs = nil
			for _, name := range loggers {
				pairs = append(pairs, name+":"+value)
			}
		case "paths":
			pairs = strings.Split(value, ",")
		}
		for _, pair := range pairs {
			name, level, _ := strings.Cut(pair, ":")
			if err := note(name, level); err != nil {
				return err
			}
		}
	}
	for name, level := range changes {
		l.levels[slices.Index(loggers, name)].Store(uint32(level))
	}
	return nil
}
