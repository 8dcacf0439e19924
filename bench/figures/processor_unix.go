//go:build unix

package figures

import (
	"syscall"
	"time"
)

// Processor is the time that this process has had of the processors: other work on
// the machine does not count in it.
func Processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return Wall()
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
