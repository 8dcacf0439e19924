package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"corsfilter/internal/envoytest"
	"corsfilter/internal/locked"
)

// endless is standard input that nobody closes.
type endless struct{ begun chan struct{} }

func (e endless) Read([]byte) (int, error) {
	close(e.begun)
	select {}
}

// TestEveryCommandEndsWhenItIsInterrupted stops commands in the middle of what
// has no end.
func TestEveryCommandEndsWhenItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	in := endless{make(chan struct{})}
	var stderr bytes.Buffer
	code := make(chan int)
	go func() { code <- run(ctx, []string{"check"}, stdio{in, io.Discard, &stderr}) }()
	<-in.begun
	interrupt()
	select {
	case code := <-code:
		if code != exitInterrupted || stderr.String() != "corsctl check: interrupted\n" {
			t.Errorf("exit code %d, %s", code, stderr.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	for _, c := range commands {
		if c.ends != (c.name == "serve") {
			t.Errorf("%s ends by itself: %v", c.name, c.ends)
		}
	}
}

// TestNoEnvoyIsLeftBehind ends corsctl as a closed terminal does.
func TestNoEnvoyIsLeftBehind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no process is told of it there")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stdout locked.Buffer
	corsctl := &exec.Cmd{
		Path:   program,
		Args:   []string{"corsctl", "serve", "-c", write(t, plain), "-envoy", envoytest.Program(t)},
		Stdout: &stdout,
	}
	if err := corsctl.Start(); err != nil {
		t.Fatal(err)
	}
	var admin []string
	envoytest.Eventually(t, "an admin listener", func() bool {
		admin = regexp.MustCompile(`admin: http://(.*)\n`).FindStringSubmatch(stdout.String())
		return admin != nil
	})
	if err := corsctl.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := corsctl.Wait(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", admin[1]); err == nil {
		conn.Close()
		t.Error("Envoy is still there")
	}
}

// broken cannot be written to.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestUnprintableOutputFails(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(
		context.Background(), []string{"check"}, stdio{strings.NewReader(`{"mode": "off"}`), broken{}, &stderr},
	); code != exitUsage ||
		!strings.Contains(stderr.String(), "no room") {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}
