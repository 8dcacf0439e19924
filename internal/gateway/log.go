package gateway

import (
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"corsfilter/internal/host"
)

// lockedWriter keeps lines of several streams apart.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// logger writes lines in the manner of Envoy: [time][level][component] message.
type logger struct {
	w      io.Writer
	levels []atomic.Uint32 // by loggers
}

func newLogger(w io.Writer, level host.LogLevel) *logger {
	l := &logger{w: &lockedWriter{w: w}, levels: make([]atomic.Uint32, len(loggers))}
	for i := range l.levels {
		l.levels[i].Store(uint32(level))
	}
	return l
}

// levelOf returns the least severe level that a component logs.
func (l *logger) levelOf(component string) host.LogLevel {
	return host.LogLevel(l.levels[slices.Index(loggers, component)].Load())
}

const logTime = "2006-01-02 15:04:05.000"

func (l *logger) print(level host.LogLevel, component, message string) {
	if level < l.levelOf(component) {
		return
	}
	fmt.Fprintf(l.w, "[%s][%s][%s] %s\n", time.Now().Format(logTime), level, component, printable(message))
}

// printable escapes what would change how a terminal or an editor shows a line:
// control characters of both kinds, line separators, marks that turn the
// direction of writing, and bytes that are no UTF-8.
func printable(s string) string {
	fine := true
	for _, r := range s {
		fine = fine && r != utf8.RuneError && !unprintable(r)
	}
	if fine {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch _, size := utf8.DecodeRuneInString(s[i:]); {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unprintable(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029
}

// wasm takes the lines of a module.
func (l *logger) wasm(level host.LogLevel, plugin, message string) {
	l.print(level, "wasm", "wasm log "+plugin+": "+message)
}

// standard takes what net/http has to say about broken connections.
func (l *logger) standard() *log.Logger {
	return log.New(writerFunc(func(p []byte) (int, error) {
		l.print(host.LogDebug, "http", strings.TrimSuffix(string(p), "\n"))
		return len(p), nil
	}), "", 0)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
