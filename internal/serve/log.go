package serve

import (
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"corsfilter/internal/host"
)

// lockedWriter keeps lines of several goroutines apart.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// logger writes lines as Envoy does.
type logger struct {
	w     io.Writer
	level host.LogLevel
}

func (l *logger) print(level host.LogLevel, message string) {
	if level >= l.level {
		fmt.Fprintf(l.w, "[%s][%s] %s\n", time.Now().Format("2006-01-02 15:04:05.000"), level, printable(message))
	}
}

// wasm takes the lines of a module.
func (l *logger) wasm(level host.LogLevel, plugin, message string) {
	l.print(level, "wasm log "+plugin+": "+message)
}

// standard takes what net/http has to say about broken connections.
func (l *logger) standard() *log.Logger { return log.New(connectionLog{l}, "", 0) }

type connectionLog struct{ log *logger }

func (c connectionLog) Write(p []byte) (int, error) {
	c.log.print(host.LogDebug, strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// printable escapes what would change how a terminal or an editor shows a line:
// control characters of both kinds, line separators, marks that turn the
// direction of writing, and bytes that are no UTF-8.
func printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch _, size := utf8.DecodeRuneInString(s[i:]); {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsControl(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
