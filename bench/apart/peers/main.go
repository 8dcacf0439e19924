// Peers compares the filter's decision with github.com/rs/cors, natively and on
// the same requests: once the decision alone, and once behind net/http as that
// library is, reading http.Header and writing it. Its arguments are the number of
// rounds and the length of a slice; it prints contests as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rs/cors"

	"corsfilter/bench/figures"
	"corsfilter/bench/workload"
	"corsfilter/config"
	"corsfilter/filter"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: peers ROUNDS SLICE, such as peers 40 4ms")
	}
	rounds, err := strconv.Atoi(args[0])
	if err != nil || rounds < 1 {
		return fmt.Errorf("%q: a number of rounds, at least 1", args[0])
	}
	slice, err := time.ParseDuration(args[1])
	if err != nil || slice <= 0 {
		return fmt.Errorf("%q: the length of a slice, such as 4ms", args[1])
	}
	contests, err := compare(rounds, slice)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(contests)
}

func compare(rounds int, slice time.Duration) (contests []figures.Contest, err error) {
	for _, origins := range []int{1, 10_000} {
		ours, _, err := config.Parse(workload.WithOrigins(origins))
		if err != nil {
			return nil, err
		}
		theirs := cors.New(cors.Options{
			AllowedOrigins: workload.Origins(origins), AllowedMethods: []string{"PUT", "DELETE", "GET", "HEAD", "POST"},
			AllowedHeaders: []string{"content-type", "x-request-id"}, ExposedHeaders: []string{"x-total-count"},
			AllowCredentials: true, MaxAge: 600,
		})
		for _, c := range workload.Cases {
			e := c.Exchanges(1)[0]
			decide, outcome := alone(ours.Default, e)
			handlers := []func(http.ResponseWriter, *http.Request){middleware(ours.Default), theirs.HandlerFunc}
			functions := []func(int){decide}
			if want := allowed(e.Want.Headers); outcome != want {
				return nil, fmt.Errorf("%s: the decision allows %q, want %q", c.Name, outcome, want)
			}
			for _, serve := range handlers {
				f, outcome := behindHTTP(serve, e)
				if want := allowed(e.Want.Headers); outcome != want {
					return nil, fmt.Errorf("%s: %q is allowed, want %q", c.Name, outcome, want)
				}
				functions = append(functions, f)
			}
			samples := figures.TakeTurns(rounds, slice, figures.Processor, functions...)
			// The library is what the others are compared with.
			samples[0], samples[1], samples[2] = samples[2], samples[0], samples[1]
			contests = append(contests, figures.Contest{Engine: "native", Case: c.Name, Origins: origins,
				Contenders: figures.Compare([]string{"rs/cors", "the decision alone", "the decision behind net/http"}, nil, samples)})
		}
	}
	return contests, nil
}

// allowed is the Access-Control-Allow-Origin among the headers.
func allowed(headers workload.Pairs) string {
	for _, h := range headers {
		if h[0] == "access-control-allow-origin" {
			return h[1]
		}
	}
	return ""
}

// alone decides, and makes the reply or the edits, over plain values.
func alone(p *config.Policy, e workload.Exchange) (f func(int), allowed string) {
	var r filter.Request
	for _, h := range e.Request {
		r.VisitHeader(h[0], h[1])
	}
	var d filter.Decision
	var b filter.Buffer
	filter.Decide(p, &r, &d)
	return func(n int) {
		for range n {
			filter.Decide(p, &r, &d)
			if d.Replies() {
				d.Reply(&b)
				continue
			}
			d.Edits(&filter.Upstream{}, &b)
		}
	}, d.AllowOrigin
}

// middleware is the decision as a handler in front of another: it reads the
// request's fields, and answers or stamps.
func middleware(p *config.Policy) func(http.ResponseWriter, *http.Request) {
	var d filter.Decision
	var b filter.Buffer
	return func(w http.ResponseWriter, r *http.Request) {
		first := func(name string) string {
			if values := r.Header[name]; len(values) > 0 {
				return values[0]
			}
			return ""
		}
		request := filter.Request{Method: r.Method, Origin: first("Origin"),
			RequestMethod: first("Access-Control-Request-Method"), RequestHeaders: first("Access-Control-Request-Headers")}
		filter.Decide(p, &request, &d)
		if d.Replies() {
			reply := d.Reply(&b)
			for _, h := range reply.Headers {
				w.Header()[canonical(h.Name)] = []string{h.Value}
			}
			w.WriteHeader(int(reply.Status))
			return
		}
		for _, edit := range d.Edits(&filter.Upstream{}, &b) {
			w.Header()[canonical(edit.Name)] = []string{edit.Value}
		}
	}
}

var names = map[string]string{}

// canonical is the form that http.Header has names in; they are few.
func canonical(name string) string {
	found := names[name]
	if found == "" {
		found = http.CanonicalHeaderKey(name)
		names[strings.Clone(name)] = found
	}
	return found
}

// sink is a response that nobody reads.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

func behindHTTP(serve func(http.ResponseWriter, *http.Request), e workload.Exchange) (f func(int), allowed string) {
	request := &http.Request{Header: http.Header{}}
	for _, h := range e.Request {
		switch {
		case h[0] == ":method":
			request.Method = h[1]
		case !strings.HasPrefix(h[0], ":"):
			request.Header.Set(h[0], h[1])
		}
	}
	w := &sink{header: http.Header{}}
	f = func(n int) {
		for range n {
			clear(w.header)
			serve(w, request)
		}
	}
	f(1)
	return f, w.header.Get("Access-Control-Allow-Origin")
}
