# Everything the README names. Each target sets up what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: train study test lint ui federation-demo bench bench-peers bench-scale setup clean

train: setup  ## the main job: prepare, partition, train over four hospitals, report
	dvc repro --quiet
	wardround report

study: setup  ## a study, if it or what it depends on changed: make study NAME=heart_disease
	dvc repro --quiet studies/dvc.yaml:study@$(NAME)
	wardround compare $(NAME)

test: setup  ## the whole suite, two files at a time
	pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup  ## style and types
	ruff check .
	ruff format --check .
	mypy

federation-demo: setup  ## a federation on this machine, every part a process of its own
	dvc repro --quiet partition
	python -m wardround.demo

ui: setup  ## MLflow's page over this project's runs
	wardround ui

bench: setup  ## the product and a plain loop in turn, then where a round's time goes
	python -m benchmarks.bench $(ARGS)
	python -m benchmarks.round

bench-peers: setup  ## other frameworks on the same cases, each in its own environment
	python -m benchmarks.peers $(ARGS)

bench-scale: setup  ## how a round grows with hospitals and with the model
	python -m benchmarks.scale $(ARGS)

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,dask,servers]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
