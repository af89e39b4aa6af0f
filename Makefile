# Every target does its own set-up. Needs: python3 (3.11 or newer) with venv, make, and either internet or a Go toolchain.

.PHONY: help demo test test-all bench lint format docs lock setup clean

help:
	@echo 'make demo      shares created, snapshotted, reverted, deleted and restored while workers are killed'
	@echo 'make test      the tests, without the slow ones: about 20 minutes on two processors'
	@echo 'make test-all  all tests: also real backends at length, and kill -9 of every process'
	@echo 'make bench     the measurements, printed as ratios'
	@echo 'make lint      linter, formatter, type checker, import directions'
	@echo 'make format    put the code into the form that lint wants'
	@echo 'make docs      the documentation as HTML in site/'
	@echo 'make setup     only the set-up: .venv from requirements.lock, and the Temporal server'
	@echo 'make lock      write requirements.lock anew from pyproject.toml'
	@echo 'make clean     remove what make has made in this directory'

demo: setup
	@.venv/bin/shareflow demo

test:
	@sh scripts/test.sh -m 'not slow' $(ARGS)

test-all:
	@SHAREFLOW_HYPOTHESIS=searching JOBS=$${JOBS:-1} sh scripts/test.sh

bench: setup
	@.venv/bin/python -m benchmarks

lint:
	@sh scripts/lint.sh

format:
	@sh scripts/setup.sh
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format .

docs:
	@sh scripts/docs.sh

setup:
	@sh scripts/setup.sh
	@.venv/bin/python -m shareflow.server --link .venv/bin/temporal

lock:
	@sh scripts/lock.sh

clean:
	@rm -rf .venv .venv.lock build site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean: the Temporal server stays in $${XDG_CACHE_HOME:-$$HOME/.cache}/shareflow; remove it by hand to get it anew"
