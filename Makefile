# Every target regenerates something; `make` alone lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKSPACE ?= workspace
CONFIG ?= configs/dev.toml
POSEBANK := $(BIN)/posebank

.DEFAULT_GOAL := help
.PHONY: help setup demo data bank annotations match labels anchors shards train evaluate report \
	test check bench docs clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/\1|\2/' \
		| awk -F'|' '{printf "  %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@echo "Installing 8 GB of packages into $(VENV): 3 to 10 minutes, without a word."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m posebank.warm_up  # else the first match waits for it
	touch $(STAMP)

setup: $(STAMP) ## make .venv and install posebank into it

demo: setup ## generate data and do everything with it (4 to 9 minutes)
	$(POSEBANK) demo --workspace demo-workspace

data: setup ## every stage of CONFIG that is out of date, into WORKSPACE
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE)

bank: setup ## the MoCap bank of CONFIG
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE) --until ingest

annotations: setup ## the 2D annotations of CONFIG
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE) --until annotate

match: setup ## the matches of CONFIG
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE) --until match

labels: setup ## the labels of CONFIG
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE) --until label

anchors: setup ## the anchor-poses of CONFIG
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE) --until anchors

shards: setup ## the Parquet shards of CONFIG
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE) --until shards

train: setup ## the network of CONFIG
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE) --until train

evaluate: setup ## the network of CONFIG, scored
	$(POSEBANK) run $(CONFIG) --workspace $(WORKSPACE)

report: setup ## an HTML report of WORKSPACE
	$(POSEBANK) report --workspace $(WORKSPACE)

test: setup ## the tests, with their coverage
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

check: setup ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## the benchmarks, as JSON in benchmarks/results
	@for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

docs: setup ## the documentation site, in site/
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_api.py
	$(BIN)/python docs/make_notebook.py
	$(BIN)/mkdocs build --quiet

clean: ## remove everything that is made, except .venv
	rm -rf site workspace demo-workspace benchmarks/results .pytest_cache .mypy_cache .ruff_cache
