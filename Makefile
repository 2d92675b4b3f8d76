# Two commands for a newcomer: `make demo` and `make test`. Both make their own environment in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Two processes, each with whole files, as fixtures of a file are shared.
TESTS ?=
MARK ?= slow
PARALLEL ?= --numprocesses 2 --dist loadfile
# These tests measure the peak memory of their process.
DAMAGED = tests/data/test_damaged_files.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all test-lowest test-newest test-cpu lint typecheck wheel dist tables docs clean

help:
	@echo "make demo       train MADE on scikit-learn's digits, draw, export and read back (about two minutes)"
	@echo "make test       run the default test suite"
	@echo "make test-all   run every test, the slow ones too"
	@echo "make test-lowest  the default tests on the lowest versions of all dependencies"
	@echo "make test-newest  the default tests on the newest versions, whatever the upper bounds in setup.cfg"
	@echo "make test-cpu   the conformance tests on tensorflow-cpu in place of tensorflow"
	@echo "make lint       ruff; make typecheck: mypy"
	@echo "make tables     render the tables of README and docs from benchmarks/results"
	@echo "make docs       build the documentation site in docs/_build/html"

$(VENV)/.demo: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[data,plots,serving]"
	@touch $@

$(VENV)/.dev: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/tfar demo --out demo
	@echo "Before you try these commands: source $(BIN)/activate"

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(DAMAGED)
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL) --ignore $(DAMAGED)

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m "$(MARK)" $(PARALLEL) $(TESTS)

test-all: test test-slow

# In an environment of its own, with the lowest version of every dependency that setup.cfg allows.
test-lowest: setup.cfg tests/lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --constraint tests/lowest.txt --editable ".[dev]"
	.venv-lowest/bin/python -m pytest $(DAMAGED)
	.venv-lowest/bin/python -m pytest -m "not slow" $(PARALLEL) --ignore $(DAMAGED) $(TESTS)

# Every requirement of setup.cfg without its upper bound, the extras too, in an environment of its own.
test-newest: setup.cfg
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet $$(sed -nE 's/^    ([A-Za-z0-9_-]+>=[0-9.]+),<[0-9.]+$$/\1/p' setup.cfg)
	.venv-newest/bin/python -m pip install --quiet --no-deps --editable .
	.venv-newest/bin/python -m pytest $(DAMAGED)
	.venv-newest/bin/python -m pytest -m "not slow" $(PARALLEL) --ignore $(DAMAGED) $(TESTS)

# As docs/installation.md describes it: tf-keras requires the package `tensorflow`, so pip must not follow its requirements.
test-cpu: setup.cfg
	$(PYTHON) -m venv .venv-cpu
	.venv-cpu/bin/python -m pip install --quiet "pytest<10" pytest-timeout hypothesis pyyaml \
		$$(sed -n '/^install_requires/,/^$$/p' setup.cfg | sed -nE '/tf-keras/d; s/^ +tensorflow>/tensorflow-cpu>/; s/^ *([^ ]+>=.*)/\1/p')
	.venv-cpu/bin/python -m pip install --quiet --no-deps $$(sed -nE 's/^ +(tf-keras.*)/\1/p' setup.cfg) --editable .
	.venv-cpu/bin/python -m pytest -m "not slow" $(TESTS) tests/test_imports.py tests/conformance

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.dev
	$(BIN)/mypy

wheel: $(VENV)/.dev
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# What a release uploads: the source distribution, and the wheel that is built from it.
dist:
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install --quiet build twine
	rm -rf dist
	.venv-dist/bin/python -m build --outdir dist .
	.venv-dist/bin/python -m twine check --strict dist/*

tables: $(VENV)/.dev
	$(BIN)/python -m benchmarks.tables --write

# Warnings are errors, an unresolved link inside the site among them.
docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -b html -n -W --keep-going -q docs docs/_build/html

clean:
	rm -rf $(VENV) .venv-* build dist demo docs/_build docs/tutorials *.egg-info
