# Everything from a machine with Python 3.11+ and make. `make help` lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup up demo test test-full kills check bench bench-full lighthouse lock audit openapi clean dev FORCE
.NOTPARALLEL:

ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
endif
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input --quiet
FRONTEND_SOURCES := package.json package-lock.json .npmrc requirements-node.lock fluxtracker/supervisor/frontend.py
STATIC_SOURCES := $(shell find static -type f 2>/dev/null)

# A virtual environment that was moved, half made or whose Python has gone is made again.
ifneq ($(shell $(PY) -c 'import pip, sys; print(sys.version_info >= (3, 11))' 2>/dev/null),True)
BROKEN := FORCE
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/runtime.stamp build/static.stamp ## the environment in .venv, front-end parts and static files in build/
	@test "$(MAKECMDGOALS)" != setup || echo "ready: make up, make demo or make test"

up: setup ## everything on live upstreams, http://127.0.0.1:8000 (PORT and HOST choose where)
	@$(PY) -m fluxtracker.supervisor.main

demo: setup ## the same offline, on a simulated Flux network; PACE=100: payments come 100 times as often
	@$(PY) -m fluxtracker.supervisor.main --demo $(if $(PACE),--pace $(PACE))

test: dev ## the test suite; APP=revenue: that app's own tests, on SQLite
	@$(PY) -m tests.run $(if $(APP),--app $(APP))

test-full: dev ## the long tests too, on both engines (AFTER_TEST=1: what `make test` left out)
	@$(PY) -m tests.run --full $(if $(AFTER_TEST),--after-test)

check: dev ## lint, types, migrations, API schema, lock files
	@$(PY) -m tests.check

kills: dev ## KILLS=200 kills of every process in random order, on both engines; SEED=n repeats them
	@KILLS=$(or $(KILLS),200) SEED=$(SEED) $(PY) -m tests.run --full --only tests/system/test_kills_under_load.py -s

bench: dev ## speed and memory as a table, in ten minutes (needs wrk; ENGINE=postgresql, PAYMENTS=1000000)
	@$(PY) -m tests.bench --engine $(or $(ENGINE),sqlite) $(if $(PAYMENTS),--payments $(PAYMENTS))

bench-full: dev ## that at 1,000,000 payments on both engines, then endpoints, backup and collection
	@$(PY) -m tests.bench --payments 1000000
	@$(PY) -m tests.bench --payments 1000000 --engine postgresql
	@$(PY) -m pytest -m bench -s --no-header -p no:cacheprovider

lighthouse: dev ## a demo's pages as Lighthouse judges them, and on slow 4G (needs npm and a chromium)
	@$(PY) -m tests.bench.lighthouse

audit: ## known vulnerabilities of what the lock files name (needs the internet)
	@test -x build/audit/bin/pip-audit || { $(PYTHON) -m venv build/audit && build/audit/bin/python -m pip install --quiet "pip-audit>=2.9,<3"; }
	@build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-embedded.lock

openapi: dev ## write docs/openapi.yaml, and the samples of /api/docs/
	$(PY) manage.py spectacular --fail-on-warn --validate --file docs/openapi.yaml
	@$(PY) -m pytest -q -p no:logging tests/api/samples.py

lock: dev ## choose dependencies anew (needs uv and npm)
	@command -v uv >/dev/null || { echo "error: make lock needs uv: python3 -m pip install uv"; exit 1; }
	@command -v npm >/dev/null || { echo "error: make lock needs npm, which comes with Node.js"; exit 1; }
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --extra parquet pyproject.toml --group pyproject.toml:setup \
		-o requirements.lock
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --extra embedded --extra parquet -c requirements.lock \
		pyproject.toml --group pyproject.toml:setup -o requirements-embedded.lock
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --extra dev --extra embedded --extra parquet \
		-c requirements-embedded.lock pyproject.toml --group pyproject.toml:setup -o requirements-dev.lock
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --group pyproject.toml:node -o requirements-node.lock
	npm update --package-lock-only

clean: ## remove what was built; data/ stays
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './data/*' -prune -exec rm -rf {} +

dev: setup $(VENV)/dev.stamp ## setup and the tools for tests and checks

$(VENV)/runtime.stamp: requirements-embedded.lock $(BROKEN)
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed (python3 --version)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) ..."
	@test -f $@ -a -z "$(BROKEN)" || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements-embedded.lock
	@$(PIP) uninstall --yes setuptools 2>/dev/null
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/runtime.stamp
	@echo "adding the tools for tests and checks ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

build/frontend/.stamp: $(FRONTEND_SOURCES) | $(VENV)/runtime.stamp
	@echo "adding front-end parts ..."
	@$(PY) -m fluxtracker.supervisor.frontend
	@touch $@

build/static.stamp: $(VENV)/runtime.stamp build/frontend/.stamp $(STATIC_SOURCES) fluxtracker/settings.py
	@echo "collecting static files ..."
	@mkdir -p build
	@DEBUG=0 SECRET_KEY=only-for-collecting-static-files DATABASE_URL= REDIS_URL= \
		$(PY) manage.py collectstatic --noinput --verbosity 0
	@touch $@

FORCE:
