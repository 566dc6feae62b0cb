# Every target works from a plain shell: the virtual environment need not be activated. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
# The tests that run the engine mostly wait: one process for each core, and who is done first takes from the others.
PARALLEL := -n auto --dist worksteal
# Before another target a finished set-up has nothing to say.
QUIET := $(if $(filter setup,$(MAKECMDGOALS)),,--quiet)

.DEFAULT_GOAL := help
.PHONY: help setup up preview down status test test-all test-floor bench docs screenshots browser lint format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Prepare .venv (package, extras, test tools) and .tools (the Pulumi CLI), and nothing else
	@$(PYTHON) tools/setup.py $(QUIET)
	@$(PYTHON) tools/pulumi-cli/install.py $(QUIET)

up: setup ## Start the agents of __main__.py: on the local emulator, or on the service where credentials are set
	@$(BIN)/python -m tools.dev up

preview: setup ## Show what `make up` would change; sends nothing
	@$(BIN)/python -m tools.dev preview

down: setup ## Stop the agents, then the emulator
	@$(BIN)/python -m tools.dev down

status: setup ## Show the agents that this checkout's stacks know
	@$(BIN)/python -m tools.dev status

test: lint browser ## Check everything: lint, then all tests under the real engine
	$(BIN)/python -m pytest $(PARALLEL)

test-floor: setup ## Check the promised lowest versions of pulumi, pydantic, httpx and the extras, in .tools/floor
	@$(PYTHON) tools/setup.py --floor --quiet
	.tools/floor/bin/python -m pytest $(PARALLEL) tests/plugin tests/unit tests/cli

test-all: lint browser ## The same with the full product of crash tests and the whole model; takes hours
	$(BIN)/python -m pytest $(PARALLEL) -m ""

bench: setup ## Compare what a create and a hundred rooms cost, side by side
	@$(BIN)/python -m tools.bench

screenshots: setup browser ## Take the pictures of docs/images anew, from the tests of the live page
	RTCAI_SCREENSHOTS=1 $(BIN)/python -m pytest tests/page/test_engine.py -k readme

browser: # Chromium for the tests of the live page; installed where that is possible
	@$(PYTHON) tools/chromium.py --quiet

docs: setup ## Write the reference pages anew from the code
	@$(BIN)/python -m tools.reference

lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy rtcai_pulumi pytest_rtcai tests tools __main__.py
	@# One by one: every program is a __main__ of its own.
	set -e; for example in examples/*/; do $(BIN)/mypy $$example; done
	$(BIN)/lint-imports

format: setup ## Put the code into the project's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean: ## Remove .venv, .tools and all caches; never .rtcai, which knows the agents that run
	rm -rf .venv .tools dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find rtcai_pulumi tests examples tools -name __pycache__ -type d -prune -exec rm -rf {} +
