package gateway

import (
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"time"

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
	w     io.Writer
	level host.LogLevel
}

const logTime = "2006-01-02 15:04:05.000"

func (l *logger) print(level host.LogLevel, component, message string) {
	if level < l.level {
		return
	}
	fmt.Fprintf(l.w, "[%s][%s][%s] %s\n", time.Now().Format(logTime), level, component, message)
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
