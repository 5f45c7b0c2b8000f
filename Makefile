# Every command of the project. `make` lists them; each sets up what it needs first.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

python := .venv/bin/python

.PHONY: help setup demo up test test-crash check lock screenshots clean

help: ## list these commands
	@printf 'Lapwing. Commands:\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## make .venv from the locked, hashed requirements, and .env with fresh secrets (quick when nothing changed)
	@scripts/setup.sh

demo: setup ## run a campaign day on real purchases, through Airflow, into the local inbox; says where to look
	@bin/lapwing demo

up: setup ## start Airflow, MLflow, tracking, console and local inbox on this machine; Ctrl-C stops them all
	@bin/lapwing up

test: setup ## install what the tests need (system-packages.txt), then run all of them
	@scripts/system_packages.sh
	@$(python) -m pytest

test-crash: setup ## kill the whole demo at 12 random moments and while it sends; run it again; compare (an hour)
	@TEST_KILLS=12 $(python) -m pytest tests/journeys/test_killed_demo.py

check: setup ## lint, type-check, and compare code, docs and settings with each other
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@$(python) -m mypy
	@$(python) -m sqlfluff lint dbt_project/models
	@$(python) -m pytest tests/arch tests/docs

lock: ## resolve requirements.in into requirements.txt, with hashes, for Python 3.11 to 3.13
	@scripts/setup.sh tools
	@.tools/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		requirements.in --output-file requirements.txt

screenshots: setup ## take the pictures in docs/ anew (needs chromium)
	@scripts/system_packages.sh
	@PYTHONPATH=. $(python) scripts/screenshots.py

clean: ## remove data/: warehouse, published tables, inbox, ledger, Airflow's and MLflow's stores
	@rm -rf data
