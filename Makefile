# The commands of fcgate; `make help` lists them. Each says what it installs before it does.

CARGO ?= cargo
SOAK_SECONDS ?= 60
ATTACK_SECONDS ?= 600
# Of make bench: a part by name (CASES=static-1k,php-hello) takes about a minute, and leaves the written results as they are.
CASES ?=
BENCH_SECONDS ?= $(if $(CASES),1,2)
BENCH_REPETITIONS ?= 3
BENCH_OUTPUT ?= $(if $(CASES),$(BENCH_TARGET),tests/bench)
BENCH_TARGET = $(or $(CARGO_TARGET_DIR),target)/bench
BENCH = --cases=$(CASES) --seconds=$(BENCH_SECONDS) --repetitions=$(BENCH_REPETITIONS) --output=$(BENCH_OUTPUT)

.PHONY: help run test lint unit integration test-container soak install-test build reference docs-check clean fuzz fuzz-smoke \
	workspaces bench bench-growth bench-count bench-record bench-build bench-responder profile

help: ## What there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: ## Start PHP-FPM and fcgate with the Slim example on http://127.0.0.1:8080
	@scripts/run

test: install-test lint workspaces unit integration docs-check ## Everything that a change must pass

install-test: ## Install what the tests need, by apt
	@scripts/install-packages test

lint: ## Format, clippy and documentation, all warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --locked

workspaces: ## What is a workspace of its own compiles: fuzz, the responder of the benchmark
	@scripts/check-workspaces

unit: ## Unit and property tests, and the shape of the tree
	@scripts/cargo-test --lib --bins --test tidy

integration: ## fcgate with real PHP-FPM, scripted applications and a browser
	@scripts/cargo-test --test it

test-container: ## The images on a Docker Engine of its own: root on Debian; installs docker.io and debootstrap
	@scripts/test-container

fuzz: ## Any input to the parsers, a minute each; FUZZ=target runs one, FCGATE_FUZZ_SECONDS=600 longer
	@scripts/fuzz $(FUZZ)

fuzz-smoke: ## The same for some seconds each, built without optimisation; skipped where there is no nightly toolchain
	@scripts/fuzz --smoke $(FUZZ)

docs-check: ## The reference is what the program says it is
	$(CARGO) build --quiet --locked
	@$${CARGO_TARGET_DIR:-target}/debug/fcgate reference | diff -u config/reference.toml - \
		|| { echo "config/reference.toml is old: make reference"; exit 1; }

soak: ## The tests of admission and request bodies for SOAK_SECONDS each, beside nginx, and all attacks at once for ATTACK_SECONDS
	@scripts/install-packages test soak
	@FCGATE_SOAK_SECONDS=$(SOAK_SECONDS) NEXTEST_PROFILE=soak scripts/cargo-test --test it -- \
		admission_ classification killed_workers reload_under_load request_bodies streaming two_processes
	@FCGATE_SOAK_SECONDS=$(ATTACK_SECONDS) NEXTEST_PROFILE=soak scripts/cargo-test --test it -- hostile::together

reference: ## Write config/reference.toml anew
	$(CARGO) build --quiet --locked
	$${CARGO_TARGET_DIR:-target}/debug/fcgate reference > config/reference.toml

build: ## The program for a bench or an image: fat LTO, stripped, arranged by the profile in profile/
	@command -v xz >/dev/null || scripts/install-packages build
	@scripts/build

profile: bench-responder ## Take that profile anew, after large changes or with another compiler; some ten minutes
	@scripts/install-packages bench profile
	@scripts/profile

bench: bench-build ## CPU, speed and memory beside nginx, Apache, Caddy, lighttpd and h2o: tests/bench/RESULTS.md; CASES=… a part
	@scripts/install-packages bench
	@python3 tests/bench compare $(BENCH)

bench-growth: bench-build ## The same with more and more connections, rules and files: tests/bench/GROWTH.md; CASES=… a part
	@scripts/install-packages bench
	@python3 tests/bench grow $(BENCH)

bench-count: bench-build ## Instructions for each request, compared with tests/bench/instructions.json: fails if 15 % more
	@scripts/install-packages count
	@python3 tests/bench count --cases=$(CASES)

bench-record: bench-build ## Count instructions and make the figures the ones to compare with
	@scripts/install-packages count
	@python3 tests/bench count --record --cases=$(CASES)

bench-build: build bench-responder

# What the benchmark measures against is a workspace of its own.
bench-responder:
	@CARGO_TARGET_DIR=$(abspath $(BENCH_TARGET)) $(CARGO) build --quiet --release --locked \
		--manifest-path tests/bench/responder/Cargo.toml

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf fuzz/target
