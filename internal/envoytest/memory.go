package envoytest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// Resident returns Envoy's resident memory in bytes (VmRSS), and skips the test where
// the system does not tell.
func (s *Server) Resident(t testing.TB) uint64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from Linux' /proc")
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib uint64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
