# Every target works on a fresh machine with CPython >= 3.11, pip and make.
comma := ,
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
# In CI a part that is absent is a failure, so the extras come too; on a user's machine their tests skip.
EXTRAS := $(if $(filter true,$(CI)),test$(comma)train$(comma)transformers,test)

# What is deployed: the steps of the Dockerfile, with the matcher compiled. In an environment of its own, because a compiled
# module beside its source would hide every later change of it.
DEPLOYED := build/deployed
DEPLOYED_TESTS := tests/filters tests/gateway/relay
PARTS := setup.py pyproject.toml README.md LICENSE deploy/build-steps.sh requirements/base.txt \
    $(shell find filters models gateway -type f -not -path '*/__pycache__/*')

.PHONY: run test lint format load quality clean

$(BIN)/.run: pyproject.toml requirements/base.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements/base.txt -e .
	touch $@

$(BIN)/.test: pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements/base.txt -c requirements/test.txt -c requirements/train.txt -e '.[$(EXTRAS)]'
	touch $@ $(BIN)/.run

# LiteLLM's pins contradict ours, so the proxy that the tests guard has an environment of its own.
$(VENV)/litellm/.done: requirements/litellm.txt | $(BIN)/.test
	$(PYTHON) -m venv $(VENV)/litellm
	$(VENV)/litellm/bin/pip install --quiet --disable-pip-version-check -r requirements/litellm.txt
	touch $@

$(DEPLOYED)/.done: $(PARTS)
	rm -rf $(DEPLOYED)
	PYTHON=$(PYTHON) bash deploy/build-steps.sh $(CURDIR)/$(DEPLOYED)
	touch $@

run: $(BIN)/.run
	$(BIN)/sluice serve

lint: $(BIN)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Two at once: one core installs and checks while the other installs and compiles.
test:
	$(MAKE) -j2 lint $(VENV)/litellm/.done $(DEPLOYED)/.done
	$(BIN)/python -m pytest -n auto --cov --cov-report=term --ignore=tests/filters $(PYTEST_ARGS)
	$(BIN)/python -m pytest -n auto -q tests/filters  # tracing would take longer than the tests
	PYTHONPATH=$$(echo $(CURDIR)/$(DEPLOYED)/lib/python3*/site-packages) $(BIN)/pytest -n auto -q -p no:cacheprovider $(DEPLOYED_TESTS)

load: $(BIN)/.test $(DEPLOYED)/.done
	$(BIN)/python load_tests/run.py --product $(DEPLOYED)/bin/python

quality: $(BIN)/.test
	$(BIN)/python tests/quality/run.py --failures

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
