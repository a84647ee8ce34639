# `make` lists the targets.

STACK ?= imagewarden
FUZZ_SECONDS ?= 60
FUZZ_HOST ?= x86_64-unknown-linux-gnu
WORK_SIZE ?= 20000
BIN := $(CURDIR)/.venv/bin
PYTHON ?= python3
# sam finds cargo-lambda on the PATH.
export PATH := $(BIN):$(PATH)
export SAM_CLI_TELEMETRY := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/.ready: tests/requirements.txt tests/constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --requirement tests/requirements.txt
	touch $@

.PHONY: setup
setup: .venv/.ready ## Install what tests and templates need into .venv; cloud-init (an oracle) and a browser with apt-get.
	@/usr/bin/python3 -c 'import cloudinit' 2>/dev/null || $(MAKE) --no-print-directory cloud-init
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || $(MAKE) --no-print-directory browser
	@command -v valgrind >/dev/null || $(MAKE) --no-print-directory valgrind

.PHONY: cloud-init
cloud-init:
	@command -v apt-get >/dev/null || { echo 'no apt-get: install cloud-init by hand, one test needs it' >&2; exit 1; }
	sudo=$$([ "$$(id -u)" = 0 ] || echo 'sudo -n'); \
	  $$sudo apt-get -qq update && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends --yes cloud-init >/dev/null

# What counts the instructions that hostile inputs cost.
.PHONY: valgrind
valgrind:
	@command -v apt-get >/dev/null || { echo 'no apt-get: install valgrind by hand, one test needs it' >&2; exit 1; }
	sudo=$$([ "$$(id -u)" = 0 ] || echo 'sudo -n'); \
	  $$sudo apt-get -qq update && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends --yes valgrind >/dev/null

# What the report is tested in.
.PHONY: browser
browser:
	@command -v apt-get >/dev/null || { echo 'no apt-get: install chromium and chromedriver by hand' >&2; exit 1; }
	sudo=$$([ "$$(id -u)" = 0 ] || echo 'sudo -n'); \
	  $$sudo apt-get -qq update && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends --yes chromium \
	    chromium-driver fonts-dejavu-core >/dev/null

.PHONY: constraints
constraints: ## Resolve tests/requirements.txt anew and pin the outcome.
	rm -rf .venv && $(PYTHON) -m venv .venv
	sed '/^-c/d' tests/requirements.txt | .venv/bin/pip install --quiet --requirement /dev/stdin
	{ echo '# Made by `make constraints`: what tests/requirements.txt resolved to.'; .venv/bin/pip freeze; } \
	  >tests/constraints.txt
	touch .venv/.ready

.PHONY: sample
sample: ## Judge the sample events, as the function would. Needs nothing but cargo.
	cargo run --quiet -- check events/

.PHONY: fmt
fmt: ## Format the code.
	cargo fmt

.PHONY: lint
# sam wants a region to validate for, and asks nobody there.
lint: export AWS_DEFAULT_REGION ?= us-east-1
lint: setup ## Formatting, clippy, templates, licences: whatever does not run the code.
	cargo fmt --check
	cargo clippy --quiet --all-targets -- --deny warnings
	cargo clippy --quiet --all-targets --features aws,parquet -- --deny warnings
	sam validate --lint
	sam validate --lint --template forward.yaml
	$(BIN)/python tests/oracle/state_machine.py lint template.yaml
	cargo-deny check licenses bans sources

.PHONY: test
test: setup ## Run every test: the function against moto and a Lambda simulator too. The first build takes minutes.
	cargo test --features aws,parquet

.PHONY: work
work: setup ## Count the instructions of longer hostile inputs, and of every pair of fragments: an hour.
	IMAGEWARDEN_WORK_SIZE=$(WORK_SIZE) cargo test --test work -- --test-threads=1

# Coverage-guided mutation by libFuzzer: the flags are what `cargo fuzz` passes, without a sanitizer, since the code
# has no `unsafe`; they work with a stable compiler. Findings stay in fuzz/artifacts, the corpus in fuzz/corpus.
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=4 \
  $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)
FUZZ_TARGETS ?= events log_batches user_data policies archives manifests references
.PHONY: fuzz
fuzz: ## Fuzz every reader for FUZZ_SECONDS each, from the samples: FUZZ_TARGETS="events policies" for some.
	cd fuzz && RUSTFLAGS='$(FUZZ_FLAGS)' cargo build --quiet --release --target $(FUZZ_HOST)
	fuzz/seed.sh
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/artifacts/$$target && echo "== $$target" && \
	  fuzz/target/$(FUZZ_HOST)/release/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 \
	    -max_len=65536 -print_final_stats=1 -verbosity=0 -artifact_prefix=fuzz/artifacts/$$target/ \
	    fuzz/corpus/$$target || exit 1; \
	done

.PHONY: build
build: setup ## Build the function for deployment, into .aws-sam.
	sam build

.PHONY: deploy
deploy: build ## Deploy it, asking for the parameters.
	sam deploy --guided --stack-name $(STACK)

.PHONY: smoke
smoke: setup ## Send a test alert through the deployed stack (STACK=imagewarden).
	$(BIN)/python tests/smoke.py --stack $(STACK)

# The binary that `sam build` puts into the package, in the same target folder: built at most once.
.PHONY: bootstrap
bootstrap: setup
	cargo lambda build --release --bin bootstrap

# What `hunt` is measured beside, out of the way of everything else.
target/beside/.ready: benches/requirements.txt
	$(PYTHON) -m venv target/beside
	target/beside/bin/pip install --quiet --requirement benches/requirements.txt
	cargo install --quiet --locked --root target/beside jaq@3.1.2
	touch $@

.PHONY: bench-hunt
bench-hunt: target/beside/.ready ## Make the figures of `hunt` alone.
	cargo build --quiet --release --example inflate --bin imagewarden
	$(PYTHON) benches/hunt.py --python target/beside/bin/python --jaq target/beside/bin/jaq

.PHONY: bench
bench: bootstrap ## Make the figures of benches/README.md.
	cargo build --quiet --release --example evaluate --example tetragon_batch --bin imagewarden
	$(BIN)/python benches/run.py
	$(PYTHON) benches/user_data.py
	$(PYTHON) benches/compare/tetragon.py
	$(PYTHON) benches/compare/tetragon.py --wrapped
	$(MAKE) --no-print-directory bench-hunt
