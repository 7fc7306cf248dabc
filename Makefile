# Two commands for a fresh machine: `make demo` and `make test`. Each does its own set-up.
SHELL := /bin/bash
UV_VERSION := 0.13.9

# The first Python 3.12 or 3.11 that runs and has a shared libpython (Triton's Python backend needs one); else any 3.11 or 3.12.
USABLE := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
SHARED := import sys, sysconfig; sys.exit(not sysconfig.get_config_var("Py_ENABLE_SHARED"))
PYTHON ?= $(shell for want in shared any; do for p in python3.12 python3.11 python3; do \
	$$p -c '$(USABLE)' 2>/dev/null && { [ $$want = any ] || $$p -c '$(SHARED)' 2>/dev/null; } && command -v $$p && exit; done; done)

.PHONY: demo test check set-up lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    start everything on this machine, publish sample content, watch the signals come"
	@echo "make check   format, lint, types, import directions, tests without servers"
	@echo "make test    all tests, on a real Kafka, schema registry and Triton"
	@echo "make bench   the two throughput figures"

demo: .venv/ready
	@.venv/bin/signals demo --once

test: .venv/ready
	@.venv/bin/pytest -q

check: .venv/ready
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/pytest -q -n 2 --dist loadfile -m "not slow" --ignore=tests/integration

bench: .venv/ready
	@.venv/bin/python -m bench.end_to_end
	@.venv/bin/python -m bench.source

set-up: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.11 or 3.12 with venv was found; install one (on Debian or Ubuntu: python3-venv), or name it: make PYTHON=/path/to/python3.12 demo"; exit 1; }
	@"$(PYTHON)" embedded/platform_check.py
	@echo "Setting up a virtual environment with $(PYTHON): several minutes the first time (PyTorch is large)."
	@[ -x .venv/bin/uv ] || "$(PYTHON)" -m venv .venv
	@[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
	@touch $@

lock:
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --all-extras \
		pyproject.toml -o requirements.lock
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--constraint requirements.lock pyproject.toml -o requirements-worker.lock

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
