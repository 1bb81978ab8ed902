# What a checkout needs: python3 (3.11 to 3.13), make and network to the package index.
# Every target sets up .venv first, once, and again when pyproject.toml or constraints.txt change.

PYTHON ?= python3
RUN ?= runs/demo
# For instance: make test PYTEST_ARGS="tests/envs -x"
PYTEST_ARGS ?=

SHELL := /bin/bash
BIN := .venv/bin
STAMP := .venv/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /\1|/p' Makefile | while IFS='|' read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

setup: $(STAMP)  ## make .venv and install goalcut with its development tools

$(STAMP): pyproject.toml constraints.txt
	@if ! test -x $(BIN)/python; then \
		command -v $(PYTHON) >/dev/null || \
			{ echo "PYTHON is $(PYTHON), which is not there: make PYTHON=/path/to/python3.12" >&2; exit 1; }; \
		$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
			{ echo "PYTHON is $(PYTHON), $$($(PYTHON) --version 2>&1): goalcut needs Python 3.11 to 3.13," \
				"for instance: make PYTHON=python3.12" >&2; exit 1; }; \
		$(PYTHON) -m venv .venv; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## train, analyse, cut and report at the default settings, into RUN=runs/demo
	$(BIN)/goalcut run $(RUN)

# Workers of one thread each: small tensors gain nothing from threads, which then only wait for one another.
test: $(STAMP)  ## run the tests; PYTEST_ARGS chooses among them
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 8 $(PYTEST_ARGS)

lint: $(STAMP)  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(STAMP)  ## run every script in benchmarks/
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean:  ## remove caches and build outputs; .venv and runs/ stay
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
