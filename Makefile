VENV ?= .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
INSTALL = $(UV) pip install --quiet --python $(PY) --constraints requirements.lock
STAMP := $(VENV)/.stamp

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint types check bench docs case-studies lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: $(STAMP) ## make .venv from the lock file (finds a Python >= 3.12 by itself)

$(STAMP): pyproject.toml requirements.lock
	@if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
		rm -rf $(VENV); python=$$(sh .ci/find_python) || exit 1; "$$python" -m venv $(VENV); fi
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@$(INSTALL) --editable '.[test,lint,polars]'
	@touch $@

$(VENV)/.stamp-%: $(STAMP)
	@$(INSTALL) --editable '.[$*]'
	@touch $@

demo: setup ## the main job: theophylline, from the table to bayesnlme-demo/theophylline.html
	$(VENV)/bin/bayesnlme demo

test: setup ## the tests
	$(PY) -m pytest -q -m 'not slow'

test-all: setup ## the tests, long sampling included
	$(PY) -m pytest -q

lint: setup ## ruff: format and rules
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

types: setup ## mypy, strict
	$(VENV)/bin/mypy

check: lint types test ## lint, types and tests: what CI runs

bench: $(VENV)/.stamp-bench ## time a gradient beside NumPyro + diffrax, compiling, and the likelihood estimators; writes bench.json
	$(PY) tests/bench/run.py --out bench.json
	$(PY) tests/bench/compiling.py
	$(PY) tests/bench/estimators.py

docs: $(VENV)/.stamp-docs ## build the documentation, warnings are errors
	$(PY) -m sphinx -W --keep-going -b html docs docs/_build/html

case-studies: $(VENV)/.stamp-docs ## run the case studies and check their numbers
	$(PY) -m case_studies

lock: ## resolve the lock file anew from pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --all-extras --python-version 3.12 \
		pyproject.toml --output-file requirements.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf bench.json bayesnlme-demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
