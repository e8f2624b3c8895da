# What takes one command; everything else is in CONTRIBUTING.md.

PYTHON ?= .venv/bin/python

# The models that come with the package, each from its recipe: make models ARGS='--only shakespeare'
.PHONY: models
models:
	$(PYTHON) recipes/build.py $(ARGS)
