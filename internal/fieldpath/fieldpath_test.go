package fieldpath

import "testing"

func TestPaths(t *testing.T) {
	if got := Key(Index(Key("", "rules"), 12), "name"); got != "rules[12].name" {
		t.Error(got)
	}
}
