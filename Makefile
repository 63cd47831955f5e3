# Two commands on a fresh machine: `make demo` and `make test`. VENV=DIR puts the environment elsewhere.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
DEMO_OPTIONS ?=
BIN = $(VENV)/bin
READY = $(VENV)/.ready

.PHONY: demo test lint bench clean

# The folder demo/ is made anew each time.
demo: $(READY)
	rm -rf demo
	$(BIN)/rainsynth demo --out demo $(DEMO_OPTIONS)

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	for benchmark in benchmarks/*.py; do $(BIN)/python $$benchmark || exit 1; done

# constraints.txt pins the versions that were tested, on Python 3.11.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade-strategy only-if-needed -c constraints.txt -e '.[dev]'
	touch $(READY)

clean:
	rm -rf demo build *.egg-info
