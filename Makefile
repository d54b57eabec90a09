SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
UI_PORT ?= 3000
PORT ?= 8000
export UV_NO_PROGRESS := 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DAGSTER_HOME := $(CURDIR)
# Where these two find the code location; the others take workspace.yaml (and DAGSTER_MODULE_NAME would upset them).
export DAGSTER_CLI_JOB_EXECUTE_MODULE_NAME := mle_assets.definitions
export DAGSTER_CLI_ASSET_MATERIALIZE_MODULE_NAME := mle_assets.definitions
# They say on each call that the `dg` command supersedes them; it is another package.
export PYTHONWARNINGS := ignore:Function

INSTALLED := .venv/.installed

.PHONY: help
help: ## list these verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

.PHONY: setup
setup: $(INSTALLED) ## make .venv with the locked dependencies (every other verb does it too)

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.13")'
	echo "Setting up .venv ..."
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $$(grep -oE '^uv==[^ ;\\]+' requirements/dev.txt)
	.venv/bin/uv pip install --quiet --python .venv/bin/python --requirement requirements/dev.txt
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
	touch $@

.PHONY: demo
demo: $(INSTALLED) ## the whole story: train, promote, serve, ask (SNAPSHOT=path-or-url for other data)
	@python -m local.demo

.PHONY: up
up: $(INSTALLED) ## start the UI, the daemon and the API and keep them up (UI_PORT=3000 PORT=8000)
	@UI_PORT=$(UI_PORT) PORT=$(PORT) python -m local.up

.PHONY: train
train: $(INSTALLED) ## only train: from the snapshot to the leaderboard
	@dagster job execute -j training

.PHONY: test
test: $(INSTALLED) ## run the tests
	@python -m pytest

.PHONY: test-slow
test-slow: $(INSTALLED) ## run the tests that take long: the daemon, many writers at once
	@python -m pytest -m slow

.PHONY: check
check: $(INSTALLED) ## lint, format, types and import boundaries
	@ruff check .
	ruff format --check .
	pyright
	python -m pytest --quiet tests/test_boundaries.py

.PHONY: bench
bench: $(INSTALLED) ## measure training beside the predecessor's way (SNAPSHOT=path-or-url for other data)
	@python benchmarks/training.py

.PHONY: bench-api
bench-api: $(INSTALLED) ## measure the API beside its limit and the predecessor's way
	@command -v wrk >/dev/null || { echo "Installing wrk ..."; apt-get install -y -qq wrk >/dev/null; }
	python benchmarks/serving.py

.PHONY: format
format: $(INSTALLED) ## put the code into the one format
	@ruff check --fix-only .
	ruff format .

.PHONY: lock
lock: $(INSTALLED) ## choose the newest allowed dependencies and write them to requirements/
	@compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml "$$@"; }
	compile --all-extras --group dev --output-file requirements/dev.txt
	compile --extra pipeline --constraint requirements/dev.txt --output-file requirements/pipeline.txt
	compile --extra api --constraint requirements/dev.txt --output-file requirements/api.txt

.PHONY: clean
clean: ## remove everything that was made here, models and history included
	rm -rf var .venv .pytest_cache .ruff_cache .hypothesis *.egg-info
