# One machine, two commands: `make demo` and `make test`. Everything else is here too.
SHELL := /bin/bash
PY := .venv/bin/python
SERVE ?= 1
PORT ?= 8000
SANDBOX_PORT ?= 9400

.PHONY: setup demo test lint bench cards package requirements

setup: .venv/.stamp

.venv/.stamp: requirements.txt requirements-dev.txt
	@test -x $(PY) || python3 -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

# The public Fortnox client of the twin tests pins libraries older than ours: it gets an environment of its own.
.venv-twin/.stamp: requirements-twin.txt
	@test -x .venv-twin/bin/python || python3 -m venv .venv-twin
	@.venv-twin/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-twin.txt
	@touch $@

demo: setup
	@$(PY) manage.py demo --port $(PORT) --sandbox-port $(SANDBOX_PORT) $(if $(filter 0,$(SERVE)),--no-serve,)

test: setup .venv-twin/.stamp
	@$(PY) -m pytest -q $(ARGS)

lint: setup
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy config integrations mappings sync sandbox
	@.venv/bin/lint-imports
	@.venv/bin/djlint --check --lint --quiet templates mappings/templates
	@$(PY) manage.py makemigrations --check --dry-run
	@$(PY) manage.py check
	@$(PY) manage.py check_messages

# The app inside HubSpot: type check and unit tests of its cards and settings page (Node).
CARDS := integrations/hubspot/app
$(CARDS)/node_modules/.package-lock.json: $(CARDS)/package-lock.json
	@cd $(CARDS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

cards: $(CARDS)/node_modules/.package-lock.json
	@cd $(CARDS) && npm run --silent check

# The package for a Salesforce org: read by Salesforce's own converter and compared with what we deploy of it (Node).
PACKAGE := integrations/salesforce/package
$(PACKAGE)/node_modules/.package-lock.json: $(PACKAGE)/package-lock.json
	@cd $(PACKAGE) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

package: $(PACKAGE)/node_modules/.package-lock.json
	@cd $(PACKAGE) && npm run --silent check

bench: setup
	@$(PY) manage.py bench $(ARGS)

requirements:
	@uv pip compile -q --prerelease allow --generate-hashes --no-emit-index-url --python-version 3.11 requirements-twin.in -o requirements-twin.txt
	@uv pip compile -q --generate-hashes --no-emit-index-url --python-version 3.11 requirements.in -o requirements.txt
	@uv pip compile -q --generate-hashes --no-emit-index-url --python-version 3.11 requirements-dev.in -o requirements-dev.txt
