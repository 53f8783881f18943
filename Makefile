# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# torch for a CPU alone is 0.2 GB, with CUDA 5 GB: the small one, where there is no NVIDIA GPU. pip does without an index
# that it cannot reach.
export TORCH_INDEX ?= $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu)
PIP_INSTALL := python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test install lint types model unit newest clean

demo: install
	$(BIN)/python examples/demo.py demo-output

test: install lint types model unit newest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# For the tests against the original's recordings; where it cannot be had they are skipped.
model: install
	-$(BIN)/spleeter models download 2stems

unit: install
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# The audio, command and separator tests on newer Pythons, where they are, with the newest releases of the dependencies.
newest: install
	.ci/newest

install: $(VENV)/installed

# torch comes first, with pip: a version that is there already is then kept by everything that needs it. What it needs itself comes
# with the rest, from the usual index.
$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py $(wildcard spleeter/backends/native/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP_INSTALL) --no-deps torch $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	$(BIN)/$(PIP_INSTALL) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .venv-3.* demo-output .mypy_cache .pytest_cache .ruff_cache
