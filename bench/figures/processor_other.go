//go:build !unix

package figures

import "time"

// Processor is the clock on the wall, where the system's own clock of processes
// is none that Go's library knows.
func Processor() time.Duration { return Wall() }
