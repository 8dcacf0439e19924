package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this binary be corsctl in the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"corsctl": main})
}

// TestScripts runs corsctl as people do. Each script is a page: what is typed,
// and what is printed.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ROOT", root)
			// Scripts have no way to quote a quote.
			const blocked = "Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: "
			e.Setenv("CHROMIUM", blocked+"Request header field x-foo is not allowed by Access-Control-Allow-Headers in preflight response.")
			e.Setenv("PREFLIGHT", blocked+"Response to preflight request doesn't pass access control check: It does not have HTTP ok status.")
			e.Setenv("LOCAL", blocked+"Permission was denied for this request to access the `loopback` address space.")
			const firefox = "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at " +
				"https://api.example.com/. (Reason: "
			e.Setenv("FIREFOX", firefox+"CORS header ‘Access-Control-Allow-Origin’ missing).")
			e.Setenv("METHOD", firefox+"Did not find method in CORS header ‘Access-Control-Allow-Methods’).")
			return nil
		},
	})
}
