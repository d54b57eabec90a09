SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

VENV ?= .venv
UI_PORT ?= 3000
PORT ?= 8000
BACKUP ?= backup.tar.gz
# The commit that images and manifests name; with «-dirty» where files differ from it.
COMMIT = $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null)
export UV_NO_PROGRESS := 1
export PATH := $(abspath $(VENV))/bin:$(PATH)
export DAGSTER_HOME := $(CURDIR)
# Where these two find the code location; the others take workspace.yaml (and DAGSTER_MODULE_NAME would upset them).
export DAGSTER_CLI_JOB_EXECUTE_MODULE_NAME := mle_assets.definitions
export DAGSTER_CLI_ASSET_MATERIALIZE_MODULE_NAME := mle_assets.definitions
# They say on each call that the `dg` command supersedes them; it is another package.
export PYTHONWARNINGS := ignore:Function

INSTALLED := $(VENV)/.installed

.PHONY: help
help: ## list these verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

.PHONY: setup
setup: $(INSTALLED) ## make .venv with the locked dependencies (every other verb does it too; PYTHON=python3.13)

$(INSTALLED): requirements/dev.txt pyproject.toml
	@PYTHON=$(PYTHON) local/set-up $(VENV)
	touch $@

.PHONY: demo
demo: $(INSTALLED) ## the whole story: train, promote, serve, ask (SNAPSHOT=path-or-url for other data)
	@python -m local.demo

.PHONY: demo-loop
demo-loop: $(INSTALLED) ## listings drift, feedback shows the loss, a newer snapshot mends it (made-up listings)
	@python -m local.loop

.PHONY: up
up: $(INSTALLED) ## start the UI, the daemon and the API and keep them up (UI_PORT=3000 PORT=8000)
	@UI_PORT=$(UI_PORT) PORT=$(PORT) python -m local.up

.PHONY: train
train: $(INSTALLED) ## only train: from the snapshot to the leaderboard
	@dagster job execute -j training

.PHONY: test
test: $(INSTALLED) ## run the tests
	@python -m pytest --numprocesses=4 --dist=loadfile

.PHONY: test-pythons
test-pythons: ## run the tests with every other Python found, each in an environment of its own
	@here=$$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	local/pythons | while read -r version python; do
	[ "$$version" != "$$here" ] || continue
	echo "Python $$version:"
	$(MAKE) --no-print-directory test PYTHON="$$python" VENV=".venvs/$$version"
	done

.PHONY: test-slow
test-slow: $(INSTALLED) ## run the tests that take long: the daemon, many writers at once
	@python -m pytest -m slow --numprocesses=2 --dist=loadfile

.PHONY: test-hostile
test-hostile: $(INSTALLED) ## put the API among crowds of slow and rude peers, and say what it bears
	@python -m pytest -m hostile --capture=no --verbosity=1 -o console_output_style=classic

.PHONY: test-kills
test-kills: $(INSTALLED) ## kill what writes the prediction log five hundred times, and the API too (half an hour)
	@python -m pytest -m kills --capture=no --verbosity=1 -o console_output_style=classic

.PHONY: test-browser
test-browser: $(INSTALLED) ## use the pages in a real browser (skipped where there is no Chromium)
	@python -m pytest -m browser

.PHONY: screenshots
screenshots: $(INSTALLED) ## take the README's two pictures anew, in Chromium (SNAPSHOT=path-or-url for other data)
	@python -m local.screenshots

.PHONY: test-containers
test-containers: $(INSTALLED) ## build the images and test the whole deployment on a real Docker engine
	@python -m pytest -m containers --capture=no --verbosity=1 -o console_output_style=classic

.PHONY: test-cluster
test-cluster: $(INSTALLED) ## kill, cut off and fill up what several machines consist of, on a real Docker engine
	@python -m pytest -m cluster --capture=no --verbosity=1 -o console_output_style=classic

.PHONY: check
check: $(INSTALLED) ## lint, format, types and import boundaries
	@ruff check .
	ruff format --check .
	pyright
	python -m pytest --quiet tests/test_boundaries.py

.PHONY: images
images: ## build the three container images (TAG=latest)
	@# Building asks for no password; the compose file does.
	POSTGRES_PASSWORD=unused GIT_COMMIT=$(COMMIT) docker compose build

.PHONY: compose-up
compose-up: ## build the images and start the whole system in containers, or upgrade it (needs .env)
	@docker compose config --quiet # what is missing in .env is said before anything is built
	$(MAKE) --no-print-directory images
	docker compose up --no-build --detach --wait
	docker compose ps

.PHONY: compose-roll
compose-roll: ## replace the API's replicas one by one by those of TAG, without a failed request (API_REPLICAS=2 and more)
	@for replica in $$(docker compose ps --quiet api); do
	docker stop "$$replica" >/dev/null # with the grace of compose.yaml; the gateway has the others answer
	docker rm "$$replica" >/dev/null
	docker compose up --no-build --no-deps --no-recreate --detach --wait api
	done

.PHONY: compose-down
compose-down: ## stop and remove the containers; the volumes stay
	@docker compose down

# The volumes under one folder, in a container that may read and write all of them.
WITH_VOLUMES = project=$$(docker compose config | sed -n 's/^name: //p'); \
	in_volumes() { docker run --rm --interactive --user 0 --network none --entrypoint "$$1" \
	$$(for volume in database assets registry predictions; do echo "--volume $${project}_$$volume:/volumes/$$volume"; done) \
	$$(docker compose config --images | grep -m1 dagster:) "$${@:2}"; }
STATEFUL := daemon webserver code postgres

.PHONY: compose-backup
compose-backup: ## put the volumes into one file (BACKUP=backup.tar.gz); the API answers meanwhile
	@$(WITH_VOLUMES)
	[ ! -e "$(BACKUP)" ] || { echo "$(BACKUP) is there already: name another with BACKUP=file"; exit 1; }
	trap 'rm -f "$(BACKUP).part"; docker compose up --no-build --detach --wait' EXIT
	docker compose stop $(STATEFUL)
	umask 077
	in_volumes tar --numeric-owner -C /volumes -cz . >"$(BACKUP).part"
	mv "$(BACKUP).part" "$(BACKUP)"
	ls -l "$(BACKUP)"

.PHONY: compose-restore
compose-restore: ## put such a file in place of what the volumes hold, and start (BACKUP=backup.tar.gz)
	@$(WITH_VOLUMES)
	gzip --test "$(BACKUP)"
	docker compose create --no-build
	docker compose stop
	# What the file does not hold, as one of an older version may not, stays as it is.
	held=$$(tar -tzf "$(BACKUP)" | cut -d/ -f2 | sort -u)
	for volume in $$held; do in_volumes find "/volumes/$$volume" -mindepth 1 -delete; done
	in_volumes tar --numeric-owner -C /volumes -xz <"$(BACKUP)"
	docker compose up --no-build --detach --wait

.PHONY: bench
bench: $(INSTALLED) ## measure training beside the predecessor's way (SNAPSHOT=path-or-url for other data)
	@python -m benchmarks.training

BENCH_API = $(if $(BEFORE),--before $(BEFORE)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-api
bench-api: $(INSTALLED) ## measure the API beside its limit, FastAPI and the predecessor's way (BEFORE=commit for that one too)
	@command -v wrk >/dev/null || { echo "Installing wrk ..."; apt-get install -y -qq wrk >/dev/null; }
	python -m benchmarks.serving $(BENCH_API)

.PHONY: format
format: $(INSTALLED) ## put the code into the one format
	@ruff check --fix-only .
	ruff format .

.PHONY: lock
lock: $(INSTALLED) ## choose the newest allowed dependencies and write them to requirements/
	@compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml "$$@"; }
	compile --all-extras --group dev --output-file requirements/dev.txt
	compile --extra pipeline --constraint requirements/dev.txt --output-file requirements/pipeline.txt
	compile --extra pipeline --extra kubernetes --constraint requirements/dev.txt --output-file requirements/kubernetes.txt
	compile --extra api --constraint requirements/dev.txt --output-file requirements/api.txt

.PHONY: clean
clean: ## remove everything that was made here, models and history included
	rm -rf var .venv .venvs .bench .pytest_cache .ruff_cache .hypothesis *.egg-info
