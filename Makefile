# Every target names one tool; all of them also run bare from .venv/bin.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The first of these that runs and is new enough; `make PYTHON=/path/to/python` overrides it.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help install up test slow bench check prove-kill damage lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(STAMP) ## make .venv from the lock, hashes required, and install the project into it

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer is needed and was not found." >&2; \
		echo "Install it, or name it: make PYTHON=/path/to/python3.11 install" >&2; exit 1; fi
	@if [ ! -x $(BIN)/python ]; then \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$(PYTHON) has no venv/ensurepip. On Debian or Ubuntu:" >&2; \
			echo "    sudo apt-get install python3-venv" >&2; exit 1; }; \
		$(PYTHON) -m venv $(VENV); fi
	$(PIP) install --quiet --require-hashes --no-deps -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

up: install ## run everything on this machine: worker, API, Prefect, sender
	$(BIN)/portcullis up

test: install ## the whole suite but the long drills; three at a time, since most of them wait
	$(BIN)/pytest -n 3 --dist loadfile

slow: install ## the tests that take longer than ten seconds and what only they show
	$(BIN)/pytest -n 3 --dist loadfile -m slow

prove-kill: install ## kill the real worker over and over; nothing acknowledged may be lost
	$(BIN)/pytest -m kill -s

damage: install ## break a running system in every way; writes docs/damage.md
	WRITE_DAMAGE=1 $(BIN)/pytest -m damage -n 0 tests/damage

bench: install ## figures beside a reference taken in the same run
	$(BIN)/python -m benchmarks

check: install ## style, format, types, who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## resolve pyproject.toml anew, for every platform, from the public index and nothing else
	$(BIN)/uv pip compile --quiet --no-config --upgrade --universal --python-version 3.11 \
		--all-extras --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --output-file requirements.lock pyproject.toml

clean: ## remove the environment and every cache
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
