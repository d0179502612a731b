# One command each. PYTHON is an interpreter with litecast and its extras: `pip install -e '.[dev]'`.
PYTHON ?= python
WORKERS ?= auto
export TF_CPP_MIN_LOG_LEVEL ?= 3
export CUDA_VISIBLE_DEVICES ?= -1
export TF_ENABLE_ONEDNN_OPTS ?= 0

.PHONY: check test bench models docs format

check: ## format, lint, types and the quick tests: under two minutes
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	LITECAST_QUICK=1 $(PYTHON) -m pytest -q -n $(WORKERS) --maxprocesses 4 -m "not slow"

test: ## every test
	$(PYTHON) -m pytest -q -n $(WORKERS) --maxprocesses 4

bench: ## both converters side by side; see benchmarks/convert.py for the interpreters it takes
	$(PYTHON) -m benchmarks.convert

models: ## build the hard models into the test cache ahead of the tests
	$(PYTHON) -m tests.models

docs: ## write the pages that are made from the source
	$(PYTHON) docs/operations.py
	$(PYTHON) docs/keras.py

format: ## put every file in the house's format
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .
