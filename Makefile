# Two commands from a clone: `make demo` and `make test`. Everything happens in .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
READY_DEV := .venv/.ready-dev

.PHONY: help demo test check docs bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    train a U-Net on real pictures in two minutes, and look at the result"
	@echo "make test    run the tests"
	@echo "make check   style, types, import rules"
	@echo "make docs    build the documentation into site/"
	@echo "make bench   time a training step on this machine, beside tutorials and peers"
	@echo "make clean   remove what these commands have made"

# Made again when the requirements change, and only then.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "masksmith needs Python 3.10 or later: make PYTHON=python3.12 ..." >&2; exit 3; }
	@echo "Setting up .venv (once; PyTorch is several GB) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(READY_DEV): pyproject.toml $(READY)
	@echo "Adding what the tests and checks need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: $(READY)
	@$(BIN)/masksmith demo --output demo --overwrite

test: $(READY_DEV)
	@$(BIN)/python -m pytest --quiet

check: $(READY_DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tests/structure/lengths.py

docs: $(READY_DEV)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

bench: $(READY_DEV)
	@$(BIN)/python benchmarks/train_step.py

clean:
	rm -rf .venv demo runs site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
