# Two commands from a clone: `make demo` and `make test`. Everything happens in .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
READY_DEV := .venv/.ready-dev
LOCK := requirements/dev.lock
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# LOCKED=1 installs exactly what the lock file names, by its hashes, instead of the newest that pyproject.toml allows.
LOCKED ?=
ifeq ($(LOCKED),1)
READY := .venv/.ready-locked
READY_DEV := $(READY)
endif

.PHONY: help demo test reliability check docs bench audit lock sbom clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    train a U-Net on real pictures in two minutes, and look at the result"
	@echo "make test    run the tests"
	@echo "make reliability   the long tests: kills, faults, fuzzing (hours); writes docs/reliability.md"
	@echo "make check   style, types, import rules, known advisories"
	@echo "make docs    build the documentation into site/"
	@echo "make bench   time a training step on this machine, beside tutorials and peers"
	@echo "make audit   ask for known advisories of the locked libraries"
	@echo "make lock    lock the newest libraries that pyproject.toml allows, with their hashes"
	@echo "make sbom    list the libraries of the run-time environment in dist/sbom.cdx.json"
	@echo "make clean   remove what these commands have made"

# Made again when the requirements change, and only then.
$(READY): pyproject.toml $(if $(filter 1,$(LOCKED)),$(LOCK))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "masksmith needs Python 3.10 or later: make PYTHON=python3.12 ..." >&2; exit 3; }
	@echo "Setting up .venv (once; PyTorch is several GB) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
ifeq ($(LOCKED),1)
	@$(PIP_INSTALL) --require-hashes --requirement $(LOCK)
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
else
	@$(PIP_INSTALL) --editable .
endif
	@touch $@

ifneq ($(LOCKED),1)
$(READY_DEV): pyproject.toml $(READY)
	@echo "Adding what the tests and checks need ..."
	@$(PIP_INSTALL) --editable ".[dev]"
	@touch $@
endif

demo: $(READY)
	@test ! -e demo/test/samples.png || { echo "demo: an earlier demo is there; look at demo/test/samples.png, or make it anew with $(BIN)/masksmith demo --overwrite" >&2; exit 2; }
	@test ! -e demo/demo.json || { echo "demo: an unfinished demo is there; make it anew with $(BIN)/masksmith demo --overwrite" >&2; exit 2; }
	@$(BIN)/masksmith demo --output demo

test: $(READY_DEV)
	@$(BIN)/python -m pytest --quiet

reliability: $(READY_DEV)
	@PYTHONPATH=tests $(BIN)/python -m reliability.harness

check: $(READY_DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tests/structure/lengths.py
	@$(BIN)/python tests/structure/supply.py audit

docs: $(READY_DEV)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

bench: $(READY_DEV)
	@$(BIN)/python benchmarks/train_step.py

audit lock sbom: $(READY_DEV)
	@$(BIN)/python tests/structure/supply.py $@

clean:
	rm -rf .venv demo runs site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
