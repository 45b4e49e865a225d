# dnsreg: `make run` starts a server, `make test` installs what the tests need and runs them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Where Debian has the servers that the tests drive; not in everybody's path.
export PATH := $(PATH):/usr/sbin:/sbin

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION)
TOOL     := go tool -modfile=$(CURDIR)/tools/go.mod
NESTED   := bench resolverclient/grpc resolverclient/bench
FUZZTIME ?= 1m
BENCH    ?= -docs ../docs

.PHONY: help build run deps check test fuzz fuzz-packets mutants soak bench bench-dns bench-code bench-store bench-client clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## build bin/dnsreg
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/dnsreg ./cmd/dnsreg

run: build ## serve with the embedded store: DNS on 127.0.0.1:8053, HTTP on 127.0.0.1:8054
	exec bin/dnsreg serve

deps: ## install the Debian packages that the tests drive, or name what is missing
	scripts/test-deps

check: ## vet, staticcheck and formatting, nested modules included
	for dir in . $(NESTED); do (cd $$dir && go vet ./... && $(TOOL) staticcheck ./...); done
	@unformatted=$$($(TOOL) gofumpt -l .); [ -z "$$unformatted" ] || { echo "gofumpt would change: $$unformatted" >&2; exit 1; }

test: deps check ## deps, check and every test with the race detector
	go test -race -count=1 -timeout 20m $$(go list ./... | grep -v /internal/soak)
	go test -race -count=1 -timeout 20m ./internal/soak # by itself: it judges by the clock
	for dir in $(NESTED); do (cd $$dir && go test -race -count=1 -timeout 10m ./...); done

fuzz: ## fuzz every parser of outside bytes, FUZZTIME (1m) each
	scripts/fuzz $(FUZZTIME)

fuzz-packets: FUZZTIME = 1h
fuzz-packets: ## fuzz what answers packets, for an hour or FUZZTIME
	scripts/fuzz $(FUZZTIME) '^FuzzAnswer'

mutants: deps ## break every line of docs/conformance.md and see its test fail
	go test -count=1 -timeout 2h -v -run TestMutants ./internal/conformance -mutants

soak: ## the fault scenarios at length: more instances, leases of 30 s
	go test -count=1 -timeout 2h -v ./internal/soak -long
	go test -count=1 -timeout 30m -v -run TestOrdeal ./resolverclient -long

bench: bench-dns bench-store bench-client ## everything that is measured, one after the other

bench-dns: build ## measure the DNS server beside Knot and NSD, into docs/performance.md; BENCH=-quick: a look, printed only
	cd bench && go run . -dnsreg ../bin/dnsreg $(BENCH)

bench-code: ## run the benchmarks of every package
	go test -run '^$$' -bench . -benchmem ./...

bench-store: ## measure the stores at 100,000 and 1,000,000 instances, into docs/performance.md
	go test -count=1 -timeout 2h -v ./internal/storebench -instances 100000,1000000 -docs $(CURDIR)/docs/performance.md

bench-client: ## measure Pick of every strategy beside gRPC's and go-kit's
	cd resolverclient/bench && go test -run '^$$' -bench . -benchmem .

clean: ## remove what the targets made
	rm -rf bin
