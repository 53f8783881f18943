# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test install lint types model unit clean

demo: install
	$(BIN)/python examples/demo.py demo-output

test: install lint types model unit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# For the tests against the original's recordings; where it cannot be had they are skipped.
model: install
	-$(BIN)/spleeter models download 2stems

unit: install
	$(BIN)/python -m pytest

install: $(VENV)/installed

# torch comes first, with pip: a version that is there already is then kept by everything that needs it.
$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py $(wildcard spleeter/backends/native/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-output .mypy_cache .pytest_cache .ruff_cache
