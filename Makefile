# Everything a person or CI runs. Works as root and not, on bare Debian 12 / Ubuntu 24.04 with Python 3.11+ and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup demo test lint bench clean
.DELETE_ON_ERROR:

setup: $(READY)

$(READY): pyproject.toml constraints.txt tools/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh
	@touch $@

demo: setup
	$(BIN)/marketwatch demo $(if $(ONCE),--once)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/marketwatch rules lint
	$(BIN)/marketwatch rules test
	$(BIN)/pytest -n auto --dist worksteal

bench: setup
	$(BIN)/python -m bench

clean:
	-$(BIN)/marketwatch db stop
	rm -rf $(VENV) data/var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
