# What a fresh machine needs is git, make and Python 3.11 or newer; each target sets up the rest by itself.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench pictures lock
export PYTHON
# Programs that tests start would be compiled anew each time, which is half of a start.
unexport PYTHONDONTWRITEBYTECODE
# Tests wait for servers, browsers and clocks half of their time: two workers a core.
WORKERS = $(shell echo $$(($$(nproc) * 2)))

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: ## programs, .venv and locked packages; instant when all is there
	@tools/setup.sh test

demo: ## a whole simulated region on this machine
	@tools/setup.sh
	@.venv/bin/kraj demo

test: ## all tests, on real PostgreSQL, mosquitto and Chromium
	@tools/setup.sh test
	@.venv/bin/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: ## lint, format, types, arrows, tidiness
	@tools/setup.sh test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright
	.venv/bin/lint-imports
	.venv/bin/python -m pytest -q tests/test_tidy.py

bench: ## measure this machine: throughput, then kills with an oracle
	@tools/setup.sh
	@.venv/bin/kraj bench ingest
	@.venv/bin/kraj bench chaos

pictures: ## the README's pictures, of a demo that it starts: three minutes
	@tools/setup.sh test
	@.venv/bin/python tools/photograph.py $(ARGS)

# Needs uv. The locks hold hashes and no addresses, so that a mirror serves as well.
lock: ## write the lock files anew from pyproject.toml
	uv pip compile $(LOCK) pyproject.toml -o requirements.lock
	uv pip compile $(LOCK) pyproject.toml --group dev tools/requirements.in -o requirements-dev.lock
	uv pip compile $(LOCK) tools/typings.in -o tools/typings.lock

LOCK = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --upgrade \
	--custom-compile-command 'make lock'
