# Every target does its own set-up: a virtual environment in .venv, filled again only when pyproject.toml changes.
#
#   make hello    train a first model and see what it writes (about a minute on two cores); ARGS="--lang pt" is passed on
#   make test     all tests, with coverage
#   make check    style, types, architecture and documentation
#   make nightly  200 kills of training runs at random moments: lost runs, different bits, steps lost; QUICK=1 for 20
#   make bench    measure every claim beside its peers; QUICK=1 for a smoke run
#   make clean    remove caches and reports (.venv and your own runs stay)
#
# PYTHON names the interpreter that makes .venv, JOBS the test processes. pip's own PIP_* variables apply.

PYTHON ?= python3
JOBS   ?= 2
VENV   := .venv
BIN    := $(VENV)/bin
# Whoever watches sees the downloads; a log does not.
PIP    := $(BIN)/python -m pip install --disable-pip-version-check $(shell test -t 2 || echo --quiet)
QUICK  ?=
ARGS   ?=

# pyright's wrapper would look for a newer pyright and say so on each run.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help hello test check nightly bench clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   make/make/p' Makefile

hello: $(VENV)/.core
	@$(BIN)/dozero hello $(ARGS)

test: $(VENV)/.test
	$(BIN)/pytest -n $(JOBS) --dist loadfile --cov --cov-report=term

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pytest -q tests/test_docs.py tests/test_architecture.py

nightly: $(VENV)/.test
	$(BIN)/python benchmarks/resume.py $(if $(filter-out 0,$(QUICK)),--quick)
	$(BIN)/python benchmarks/soak.py $(if $(filter-out 0,$(QUICK)),--quick)

# Every benchmark runs, even after one fell short; the target fails if any did.
bench: $(VENV)/.test
	@failed=; for script in benchmarks/*.py; do \
	  [ -e "$$script" ] || continue; \
	  echo "== $$script"; $(BIN)/python "$$script" $(if $(filter-out 0,$(QUICK)),--quick) || failed="$$failed $$script"; \
	done; \
	if [ -n "$$failed" ]; then echo "short of the bar:$$failed" >&2; exit 1; fi

clean:
	rm -rf build dist htmlcov .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	find . -type d -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A half-made environment is removed, so that the next attempt starts afresh.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "dozero needs Python 3.11 or newer, and there is no $(PYTHON). Install it, or: make PYTHON=/path/to/python hello" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dozero needs Python 3.11 or newer; $(PYTHON) is %d.%d. Try: make PYTHON=python3.12 hello" % sys.version_info[:2])'
	@echo "making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }

$(VENV)/.core: pyproject.toml $(BIN)/python
	@echo "installing dozero and its dependencies (only when pyproject.toml changes) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: pyproject.toml $(BIN)/python
	@echo "installing dozero with what its tests need (only when pyproject.toml changes) ..."
	@$(PIP) -e '.[test]'
	@touch $(VENV)/.core $@
