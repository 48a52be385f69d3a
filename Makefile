# The two commands of the README, and the checks. Needs Python 3.11 or newer; everything else is
# installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The native engine is written in C: where there is no compiler, all is done without it.
NATIVE := plugins/skopt-dl-native
COMPILER := $(shell for each in $$CC cc gcc clang cl; do command -v $$each && break; done)
PLUGINS := $(filter-out $(if $(COMPILER),,$(NATIVE)),$(wildcard plugins/*))
PURE := $(filter-out $(NATIVE),$(PLUGINS))
# Packages come uncompiled: Python compiles what is imported, once, and not anew in each process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: example claims test lint

example: $(VENV)/.installed
	$(BIN)/python examples/grid_search_over_optimizers.py

# Writes docs/claims.md and its pictures.
claims: $(VENV)/.installed
	$(BIN)/python examples/claims

# One process runs all tests of a file: what they share is made once. The longest files come first.
# They run on the engine that is always there; those of another run what trains on it, too.
test: export SKOPT_DL_ENGINE ?= numpy
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests $(PLUGINS)

lint: $(VENV)/.pure
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

# Plugins are installed as packages, never imported by path: reinstall them when they change.
$(VENV)/.installed: $(VENV)/.pure $(shell find $(NATIVE) -name '*.py' -o -name '*.toml' -o \
		-name '*.[ch]' -o -name 'meson.build')
	$(if $(COMPILER),$(BIN)/python -m pip install --quiet --no-compile ./$(NATIVE))
	@$(if $(COMPILER),,echo "There is no C compiler: the native engine was not built, NumPy trains.")
	touch $@

# Those without C are built here, not each in an environment of its own, which takes seconds.
$(VENV)/.pure: pyproject.toml $(shell find $(PURE) -name '*.py' -o -name '*.toml')
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -e '.[dev]' hatchling
	$(BIN)/python -m pip install --quiet --no-compile --no-build-isolation $(PURE:%=./%)
	touch $@
