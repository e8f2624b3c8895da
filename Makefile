# What people type; CONTRIBUTING.md says more. Everything runs in .venv, which `make setup` makes.

PYTHON ?= .venv/bin/python
BIN := $(dir $(PYTHON))

.PHONY: setup test slow lint types models wheels check-wheels

setup:  ## an environment with all that the tests need
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev]'

test:  ## the fast tier; one file: make test ARGS=tests/engine
	$(BIN)pytest -m 'not slow' $(ARGS)

slow:  ## the rest: real kills, a browser, toolkits; .ci/run installs what they need
	$(BIN)pytest -m slow $(ARGS)

lint:
	$(BIN)ruff check && $(BIN)ruff format --check

types:
	$(BIN)mypy

models:  ## those that come with the package, each from its recipe: make models ARGS='--only shakespeare'
	$(PYTHON) recipes/build.py $(ARGS)

wheels:  ## all that is published, in dist/; wants pip install -e '.[release]'
	rm -rf dist && $(PYTHON) release/wheels.py dist && $(PYTHON) release/check.py dist

check-wheels:  ## once more, built anew elsewhere; and the one for this machine, installed and run
	$(PYTHON) release/check.py --again dist && $(PYTHON) release/install.py dist
