# Everything here sets up its own virtual environment: Python 3.11+ and make are all it takes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := lambdo_router tests tools runtimes

.PHONY: help demo soak test test-system check bench images pages lock format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    run the example routes on the embedded stack (no account needed)"
	@echo "make test    run the tests that a change needs (a minute and a half)"
	@echo "make test-system"
	@echo "             run those of processes, browser, packages and pages: six minutes"
	@echo "make soak    two routers under every fault at once (half an hour)"
	@echo "make check   lint, types, layers"
	@echo "make bench   measure speed, memory and cost"
	@echo "make images  build the images and try them (Debian, as root, with buildah)"
	@echo "make pages   write the pages and lists in docs/ that are made from the code"
	@echo "make lock    write the lock files of the router's image anew"
	@echo "make format  format the code"
	@echo "make clean   remove what the above made"

demo: $(VENV)/.runtime
	$(BIN)/lambdo-router demo

# 20 seeds of 1,000 messages; about half an hour. One seed: make soak SEEDS=7..7
SEEDS ?= 1..20
soak: $(VENV)/.dev
	$(BIN)/python tests/support/soak.py --seeds $(SEEDS)

test: $(VENV)/.dev
	$(BIN)/pytest --numprocesses auto --ignore tests/system

test-system: $(VENV)/.dev
	$(BIN)/pytest tests/system

check: $(VENV)/.dev
	$(BIN)/ruff check $(SOURCES) examples benchmarks
	$(BIN)/ruff format --check $(SOURCES) examples benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile runtimes/*/Dockerfile runtimes/*/sample-project/Dockerfile

# About a quarter of an hour; QUICK=1 only shows that everything runs. Some of them: make bench BENCH="drain reload"
bench: $(VENV)/.dev
	$(BIN)/python benchmarks $(BENCH)

# Where it cannot be done it says so, and fails only in CI. To keep the base for the next time:
# make images BASE=/var/tmp/base.tar
images: $(VENV)/.dev
	PYTHONPATH=tests/support $(BIN)/python -m images $(if $(BASE),--base $(BASE)) $(if $(CI),--required)

pages: $(VENV)/.dev
	$(BIN)/python tools/codes_page.py > docs/codes.md
	$(BIN)/python tools/logs_page.py > docs/logs.md
	$(BIN)/python tools/metrics_page.py > docs/metrics.md
	$(BIN)/python tools/routes_reference.py docs/routes-file.md

# Pins stay as they are unless pyproject.toml needs others. All of the newest:
# make lock UPGRADE=--upgrade
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
lock: $(VENV)/.lock
	$(BIN)/$(LOCK) pyproject.toml --output-file requirements.lock
	$(BIN)/$(LOCK) --group build --output-file requirements-build.lock

format: $(VENV)/.dev
	$(BIN)/ruff format $(SOURCES) examples benchmarks
	$(BIN)/ruff check --fix $(SOURCES) examples benchmarks

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "lambdo-router needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Name another with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.runtime: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.runtime | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(VENV)/.lock: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --group lock
	@touch $@
