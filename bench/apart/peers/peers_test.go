package main

import (
	"testing"
	"time"
)

// TestBothDoTheSameJob asserts the outcomes, as the comparison does before it
// times anything.
func TestBothDoTheSameJob(t *testing.T) {
	contests, err := compare(1, 10*time.Microsecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(contests) != 8 {
		t.Errorf("%d contests, want four cases with two policies", len(contests))
	}
	for _, args := range [][]string{nil, {"0", "1ms"}, {"x", "1ms"}, {"1", "1"}, {"1", "-1ms"}} {
		if run(args) == nil {
			t.Errorf("the arguments %q are taken", args)
		}
	}
}
