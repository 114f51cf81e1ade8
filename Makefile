# socsim needs Go 1.26, make, bash and awk. Everything else is fetched as Go modules.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

GO ?= go
# Tools are pinned in a module of their own, so that the program does not depend on them.
TOOL := $(GO) tool -modfile=tools/go.mod

# Fuzzing goes by executions: a duration can fail at its end with nothing found (go.dev/issue/75804).
FUZZRUNS ?= 5000x
# How long each benchmark runs.
BENCHTIME ?= 200ms
# Which benchmarks: a regular expression.
BENCH ?= .

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## build bin/socsim
	@$(GO) build -o bin/socsim ./cmd/socsim

.PHONY: run
run: build ## compare the flush strategies on a camera preview
	@bin/socsim run camera-preview --strategy all

# The unit tests come last: their summary is the end of the output.
.PHONY: test
test: lint ## everything CI checks
	$(GO) build ./...
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory arm64
	@$(MAKE) --no-print-directory fuzz
	$(GO) test -timeout 25m ./...

.PHONY: lint
lint: tools ## formatting, go vet, staticcheck
	@unformatted=$$($(TOOL) gofumpt -l .); if [[ -n $$unformatted ]]; then \
		printf 'not formatted; make fmt does it:\n%s\n' "$$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

.PHONY: fmt
fmt: tools ## format the Go code
	@$(TOOL) gofumpt -l -w .

.PHONY: tools
tools: ## fetch the Go tools
	@$(GO) mod download -modfile=tools/go.mod

.PHONY: check
check: build ## judge the library by its expectations and baselines (after a wanted change: make baselines)
	@bin/socsim check scenarios

.PHONY: baselines
baselines: build ## rewrite the library's baselines; review the difference
	@bin/socsim check scenarios --update --prune

.PHONY: arm64
arm64: ## compare short runs of the library with those of an arm64 build in qemu, if there is one
	@GO="$(GO)" tools/arm64.sh

.PHONY: fuzz
fuzz: ## fuzz each native fuzz target, FUZZRUNS executions (for longer: make fuzz FUZZRUNS=1000000x)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | LC_ALL=C sort | while IFS=: read -r file func; do \
		echo "fuzz $$(dirname "$$file") $${func#func }"; \
		$(GO) test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZRUNS) -fuzzminimizetime 10x "$$(dirname "$$file")" </dev/null; \
	done

.PHONY: docs
docs: ## rewrite the tables in README.md and docs that the simulator makes; review the difference
	$(GO) test ./cmd/socsim ./internal/schema ./internal/run ./internal/validate ./internal/dramreplay ./internal/calibrate -update -count=1

.PHONY: bench
bench: ## the rate of each hot path in its own unit (one: make bench BENCH=Hold)
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) \
		$$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | LC_ALL=C sort -u) | awk -f tools/bench.awk

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin
