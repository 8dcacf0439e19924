package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listenAddress makes an address to listen on of what stands in a flag.
func listenAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", fmt.Errorf("%q is not an address to listen on; write 127.0.0.1:10000", address)
	}
	switch host {
	case "":
		host = "0.0.0.0"
	case "localhost":
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", fmt.Errorf("%q is a host name; write an address of this machine, such as 127.0.0.1:%s", address, port)
	}
	return net.JoinHostPort(host, port), nil
}

// upstreamAddress returns the host:port of a server's URL.
func upstreamAddress(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", fmt.Errorf("%q is not the URL of a server; write http://127.0.0.1:3000", text)
	case u.Scheme != "http":
		return "", fmt.Errorf("%q: upstream must be http; write http://%s", text, u.Host)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return "", fmt.Errorf("%q: the server alone is named, requests keep their paths; write http://%s", text, u.Host)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%q: a port is a number from 1 to 65535", text)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// usualModule finds the module where -module names none and none is built in: where
// make build puts it, in this folder, or beside corsctl.
func usualModule() (string, error) {
	places := []string{filepath.Join("dist", "cors.wasm"), "cors.wasm"}
	if program, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(program), "cors.wasm"))
	}
	for _, place := range places {
		if _, err := os.Stat(place); err == nil {
			return place, nil
		}
	}
	return "", errors.New("there is no module: there is no cors.wasm in this folder, in dist or next to corsctl; name it with -module")
}
