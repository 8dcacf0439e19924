package config

import (
	"testing"

	"github.com/tidwall/gjson"
)

func hashOfText(text string) string { return hashed(gjson.Parse(text)) }

func TestHash(t *testing.T) {
	const text = `{"allow_origins":["https://a.example",{"regex":"b"}],"max_age":600,"debug":true,"x":null,"y":0.5}`
	want := hashOfText(text)
	if len(want) != 12 {
		t.Errorf("%q has not 12 digits", want)
	}
	for _, same := range []string{
		`{ "max_age" : 600.0,` + "\n\t" + `"y":0.5, "allow_origins" : [ "https:\/\/a.example", {"regex":"\u0062"} ], "x":null, "debug":true }` +
			"\n",
		`{"x":null,"debug":true,"max_age":6e2,"y":0.5,"allow_origins":["https://a.example",{"regex":"b"}]}`,
	} {
		if got := hashOfText(same); got != want {
			t.Errorf("%s: %s, want %s", same, got, want)
		}
	}
	seen := map[string]string{}
	for _, other := range []string{
		text, `{}`, `[]`, `""`, `"{"`, `0`, `"0"`, `null`, `"null"`, `{"a":"b"}`, `{"b":"a"}`, `{"a":["b"]}`, `["a","b"]`, `["b","a"]`,
		`["a",["b"]]`, `[["a"],"b"]`, `["ab"]`,
		`{"a":{"b":1}}`, `{"a":1,"b":2}`, `{"a":2,"b":1}`, `{"a":0.5}`, `{"a":0.25}`, `{"a":true}`, `{"a":false}`,
	} {
		hash := hashOfText(other)
		if before, ok := seen[hash]; ok {
			t.Errorf("%s and %s have the hash %s", before, other, hash)
		}
		seen[hash] = other
	}
}
