package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// verdict is what Parse says of a configuration: the place and the code of every
// problem and of every warning, in their order.
type verdict struct {
	problems, warnings []string
}

func judge(t *testing.T, json string) (*Config, verdict) {
	t.Helper()
	plugin, warnings, err := Parse([]byte(json))
	var problems Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("%s: the error is a %T", json, err)
	}
	if (plugin == nil) != (len(problems) > 0) {
		t.Fatalf("%s: plugin %v beside %d problems", json, plugin, len(problems))
	}
	return plugin, verdict{places(problems), places(warnings)}
}

func places(ps Problems) (list []string) {
	for _, p := range ps {
		list = append(list, strings.TrimSpace(p.Path+" "+string(p.Code)))
	}
	return list
}

// row is one configuration; problems and warnings are separated by commas.
type row struct {
	json, problems, warnings string
}

func split(list string) (places []string) {
	for _, place := range strings.Split(list, ",") {
		if place = strings.TrimSpace(place); place != "" {
			places = append(places, place)
		}
	}
	return places
}

func checkRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		checkPlaces(t, r.json)
		_, got := judge(t, r.json)
		if !slices.Equal(got.problems, split(r.problems)) {
			t.Errorf("%s\nproblems %q\n    want %q", r.json, got.problems, split(r.problems))
		}
		if !slices.Equal(got.warnings, split(r.warnings)) {
			t.Errorf("%s\nwarnings %q\n    want %q", r.json, got.warnings, split(r.warnings))
		}
	}
}

func mustParse(t interface {
	Helper()
	Fatalf(string, ...any)
}, json string) *Config {
	t.Helper()
	plugin, _, err := Parse([]byte(json))
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	return plugin
}
