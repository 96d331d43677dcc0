# MovieExample. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN := bin
# The tools have their own module. They run from Go's build cache, so no target needs another one to have run before.
TOOL := go tool -modfile=tools/go.mod
GENERATED := gen gateway/internal/apidocs test/clients/goclient
# The race detector needs a C compiler; a machine that has only Go tests without it. CI insists on it.
RACE ?= $(shell command -v "$$(go env CC | cut -d' ' -f1)" >/dev/null 2>&1 && [ "$$(go env CGO_ENABLED)" = 1 ] && echo -race)
# The data set for the golden tests; CI sets it. Tests that need it say so when it is missing.
export MOVIELENS_DIR

.PHONY: help
help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

# For --version and /buildinfo, where the tool chain stamps nothing: an archive of the tree, or -buildvcs=false.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)

.PHONY: build
build: ## the binary, bin/movieexample
	go build -trimpath -ldflags '-s -w -X movieexample.com/internal/telemetry.version=$(VERSION)' -o $(BIN)/movieexample ./cmd/movieexample

.PHONY: test
test: ## all tests that need nothing but Go
	go test $(RACE) -timeout 20m ./...
# The race detector allocates too, so what counts allocations asserts nothing under it.
ifneq ($(strip $(RACE)),)
	go test -run Alloc ./api/events ./internal/rpc ./movie ./rating ./test/bench
endif

.PHONY: check
check: fmt-check vet staticcheck words generate-check breaking ## what CI checks before the tests

.PHONY: crash
crash: ## the crash test in full: 200,000 events, 50 kills
	go test ./test/ -run '^TestCrash$$' -count=1 -timeout 40m -v -args -crash.full

.PHONY: chaos
chaos: ## the whole distributed system, broken in every way under load: half an hour (docs/faults.md)
	test/servers/install mariadb kafka consul
	go test -tags servers ./test/chaos -run '^TestFaults$$' -count=1 -timeout 40m -v -args -chaos.full

.PHONY: bench
bench: ## the benchmarks of docs/performance.md
	go test ./test/bench/ -run '^$$' -bench . -benchtime 1x -count=1 -timeout 40m -v
	go test ./metadata/internal/search/ -run '^$$' -bench 'Million/^(prefix|typo)$$' -benchtime 4000x -count=1 -timeout 20m -v

.PHONY: bench-servers
bench-servers: ## the benchmarks on MariaDB and Kafka; GROWTH=10000000 for as many ratings in the last one
	test/servers/install mariadb kafka
	go test -tags servers ./test/bench/ -run '^$$' -bench 'WritesMariaDB|KafkaToMariaDB|DetailsProcesses|Consumers|Growth' -benchtime 1x -count=1 -timeout 60m -v $(if $(GROWTH),-args -growth.ratings=$(GROWTH))

.PHONY: fuzz
fuzz: ## each fuzz target for 30 seconds, and 120,000 requests to the embedded broker's port
	go test ./internal/kafka -run '^TestBrokerFuzz$$' -count=1 -timeout 20m -v -args -broker.requests=120000
	@set -e; for pkg in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$pkg/*_test.go | cut -c6-); do \
	    echo "== $$pkg $$target"; go test $$pkg -run '^$$' -fuzz "^$$target$$" -fuzztime 30s; done; done

.PHONY: test-servers
test-servers: ## tests on real MariaDB, Kafka and Consul, as a cluster and under faults; npm's generators; a real browser
	test/servers/run
	test/clients/run
	test/web/run

.PHONY: cluster
cluster: build ## the whole system on MariaDB, Kafka and Consul, two processes of each service, in the background
	test/servers/install mariadb kafka consul
	@mkdir -p tmp/cluster
	@go build -o tmp/cluster/up ./test/cluster/up
	@tmp/cluster/up start

.PHONY: cluster-down
cluster-down: ## stop what make cluster started
	@if [ -x tmp/cluster/up ]; then tmp/cluster/up stop; else echo "No cluster was started here (make cluster)."; fi

.PHONY: screenshots
screenshots: ## pictures of the pages at three widths, light and dark, in tmp/screenshots
	test/web/run screenshots tmp/screenshots

.PHONY: generate
generate: ## code, the OpenAPI document and the Go client from the protos in api/
	api/generate.sh

.PHONY: generate-check
generate-check: generate ## fails if generated code is not what is committed
	@git diff --exit-code --stat -- $(GENERATED) || { echo "generated files are not up to date: run make generate and commit" >&2; exit 1; }
	@test -z "$$(git status --porcelain -- $(GENERATED))" || { echo "generated files are not committed:" >&2; git status --porcelain -- $(GENERATED) >&2; exit 1; }

.PHONY: breaking
breaking: ## fails if the contracts break clients of the last release (api/baseline); proves that it would notice
	api/breaking.sh
	api/breaking.sh --self-test

.PHONY: fmt
fmt: ## format the code
	@git ls-files -co --exclude-standard '*.go' ':!gen' ':!*.gen.go' | xargs $(TOOL) gofumpt -w

.PHONY: fmt-check
fmt-check: ## fails if the code is not formatted
	@out="$$(git ls-files '*.go' ':!gen' ':!*.gen.go' | xargs $(TOOL) gofumpt -l)"; test -z "$$out" || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...
	go vet -tags servers ./...

.PHONY: vet-os
vet-os: ## go build and go vet for Linux, macOS and Windows
	@set -e; for os in linux darwin windows; do echo "== $$os"; GOOS=$$os go build ./...; GOOS=$$os go vet ./...; done

.PHONY: staticcheck
staticcheck: ## staticcheck
	$(TOOL) staticcheck -tags servers ./...

.PHONY: words
words: ## fails if code, messages or docs have words that read as translated (test/words/words.txt)
	go run ./test/words

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN)
