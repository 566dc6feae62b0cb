# Every target works from a plain shell: the virtual environment need not be activated. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
# The engine's tests wait for processes, for the disk and for time to pass: with three workers, two cores were idle for
# two fifths of the time.
CORES := $(shell getconf _NPROCESSORS_ONLN)
PARALLEL = -n $(shell expr $(CORES) + 1) --dist worksteal
PARALLEL_ENGINE = -n $(shell expr $(CORES) + $(CORES) + 1) --dist worksteal
WITHOUT_ENGINE := tests/plugin tests/unit tests/cli
FLOOR := .tools/floor/bin/python
# Those that are on PATH; pyenv's are, if its shims are.
PYTHONS := 3.11 3.12 3.13 3.14

.DEFAULT_GOAL := help
.PHONY: help setup up preview down status test test-full test-rest test-floor test-engines test-pythons test-all bench docs screenshots programs lint format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Prepare .venv (package, extras, test tools) and .tools (the Pulumi CLI), and nothing else
	@$(PYTHON) tools/setup.py
	@$(BIN)/python -m tools.pulumi_cli

up: setup ## Start the agents of __main__.py: on the local emulator, or on the service if credentials are set
	@$(BIN)/python -m tools.dev up

preview: setup ## Show what `make up` would change; sends nothing
	@$(BIN)/python -m tools.dev preview

down: setup ## Stop the agents, then the emulator
	@$(BIN)/python -m tools.dev down

status: setup ## Show the agents in this checkout's stacks
	@$(BIN)/python -m tools.dev status

# One by one, because every example is a separate __main__.
lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy rtcai_pulumi pytest_rtcai tests tools __main__.py
	for example in examples/*/; do $(BIN)/mypy $$example || exit; done
	$(BIN)/lint-imports

# The markers are explained in pyproject.toml; tests/tiers.py says which target runs which test.
test: lint programs ## Check what a change can break: lint, types, all tests without the engine, some with it (minutes)
	$(BIN)/python -m pytest $(PARALLEL) -m "not exhaustive and (everyday or not full)"

test-full: test test-rest ## Check everything: `test`, all tests of the real engine, the lowest versions of dependencies

test-rest: setup programs ## Run the checks of `test-full` that `test` does not run
	$(BIN)/python -m pytest $(PARALLEL_ENGINE) -m "full and not everyday and not exhaustive"
	@$(MAKE) --no-print-directory test-floor

test-floor: setup ## Check the lowest versions of pulumi, pydantic, httpx and the extras; a part of `test-rest`
	@$(PYTHON) tools/setup.py --floor
	$(FLOOR) -m pytest $(PARALLEL) $(WITHOUT_ENGINE)

test-engines: setup ## Run the engine tests of `make test` with the oldest engine and SDK; part of `test-all`
	@$(PYTHON) tools/setup.py --floor
	@$(BIN)/python -m tools.pulumi_cli --oldest
	TESTED_ENGINE=$(CURDIR)/.tools/oldest/bin $(FLOOR) -m pytest $(PARALLEL_ENGINE) -m "full and everyday" tests/engine

test-pythons: setup ## Check each Python of this machine: the tests without the engine, README's program with it
	@for version in $(PYTHONS); do \
	    python="env PYENV_VERSION=$$version python$$version"; \
	    $$python -V || { echo "Python $$version is not on this machine: not tested"; continue; }; \
	    $$python tools/setup.py --by-version \
	        && .tools/python$$version/bin/python -m pytest $(PARALLEL) $(WITHOUT_ENGINE) \
	        && $$python tools/try_wheel.py || exit 1; \
	done

test-all: test-full test-engines ## Check every crash at every moment, and the whole model; takes hours
	$(BIN)/python -m pytest $(PARALLEL_ENGINE) -m exhaustive

bench: setup ## Measure what up to a thousand rooms cost, and write docs/operations.md; ARGS="--quick" only prints
	@$(BIN)/python -m tools.bench $(or $(ARGS),--write)

screenshots: setup programs ## Take the pictures of docs/images again, from the tests of the live page
	RTCAI_SCREENSHOTS=1 $(BIN)/python -m pytest tests/page/test_engine.py -k readme

programs: # Chromium and PgBouncer for the tests; installed where that is possible
	@$(PYTHON) tools/programs.py

docs: setup ## Write the reference pages again from the code
	@$(BIN)/python -m tools.reference

format: setup ## Put the code into the project's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean: ## Remove .venv, .tools and all caches; keeps .rtcai, which records running agents
	rm -rf .venv .tools dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find rtcai_pulumi tests examples tools -name __pycache__ -type d -prune -exec rm -rf {} +
