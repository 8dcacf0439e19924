package model

import (
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"corsfilter/internal/browser"
)

// request is what a proxy sees.
type request struct {
	Method, Host, Path string
	Headers            []browser.Header
}

// header is the first value of a header.
func (r request) header(name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// preflight is what most proxies take for one: OPTIONS, with an Origin and the
// method to come.
func (r request) preflight() bool {
	return r.Method == "OPTIONS" && r.header("origin") != "" && r.header("access-control-request-method") != ""
}

// path is :path up to the query.
func (r request) path() string {
	path, _, _ := strings.Cut(r.Path, "?")
	return path
}

// host is :authority in lower case, without the port.
func (r request) host() string {
	host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	return host
}

// backend is what stands behind a proxy.
type backend func(request) browser.Response

// proxy answers a request, or has the backend answer it and edits the response.
type proxy func(request, backend) browser.Response

// compiled is a regex, compiled once.
func compiled(expr string) *regexp.Regexp {
	if re, ok := regexes[expr]; ok {
		return re
	}
	re := regexp.MustCompile(expr)
	regexes[expr] = re
	return re
}

var regexes = map[string]*regexp.Regexp{}

// notFound is what a proxy answers where it has no route.
func notFound() browser.Response { return browser.Response{Status: 404} }

// set leaves one header of the name, with the value.
func set(r *browser.Response, name, value string) {
	remove(r, name)
	r.Headers = append(r.Headers, browser.Header{Name: name, Value: value})
}

func remove(r *browser.Response, name string) {
	r.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h browser.Header) bool { return strings.EqualFold(h.Name, name) })
}

const (
	acao  = "access-control-allow-origin"
	acac  = "access-control-allow-credentials"
	acam  = "access-control-allow-methods"
	acah  = "access-control-allow-headers"
	aceh  = "access-control-expose-headers"
	acma  = "access-control-max-age"
	acapn = "access-control-allow-private-network"
)

// object is a part of a resource as it is written.
type object = map[string]any

// list is a list in a resource.
func list[T any](items []T, item func(T) any) []any {
	out := []any{}
	for _, i := range items {
		out = append(out, item(i))
	}
	return out
}

// given puts a value in where it is not empty.
func given(o object, key string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case bool:
		if !v {
			return
		}
	case int:
		if v == 0 {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case *bool:
		if v == nil {
			return
		}
		value = *v
	case *int:
		if v == nil {
			return
		}
		value = *v
	case object:
		if v == nil {
			return
		}
	}
	o[key] = value
}

// documents writes resources as YAML, one document each.
func documents(t interface{ Fatal(...any) }, resources ...object) string {
	var parts []string
	for _, r := range resources {
		text, err := yaml.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(text))
	}
	return strings.Join(parts, "---\n")
}

// resource is the frame of a Kubernetes resource.
func resource(apiVersion, kind, namespace, name string, spec object) object {
	return object{"apiVersion": apiVersion, "kind": kind, "metadata": object{"namespace": namespace, "name": name}, "spec": spec}
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }
