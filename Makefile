# Everything a contributor runs. Each target sets up the virtual environment first if it is missing or out of date.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Test processes (tests/loop/schedule.py): one per core, and two that begin with the tests that wait for phones. One that
# computes takes up to 3 GB.
JOBS ?= 4

# If this is set, every process recompiles torch, pandas and so on, which takes longer than most tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: swift swift-test swift-format docs notebooks pictures quick apks simulate soak sbom audit fuzz help setup bench test check format lint types benchmark lock clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

bench: $(READY) ## Build the digits model in 4 formats and 4 variants, run it on this computer, write a report.
	$(BIN)/phonebench run $(ARGS)

test: $(READY) ## Run the tests.
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

quick: $(READY) ## Run the tests that a change touches, in under two minutes; says what it leaves out.
	$(BIN)/python -m tests.loop.quick $(ARGS)

check: format lint types test ## Format, lint, type-check and test.

format: $(READY) ## Check the formatting.
	$(BIN)/ruff format --check .

lint: $(READY) ## Lint.
	$(BIN)/ruff check .

types: $(READY) ## Check the types.
	$(BIN)/mypy

benchmark: $(READY) ## Measure phonebench itself: overhead, start-up, build time. Prints ratios.
	$(BIN)/python -m tests.benchmarks $(ARGS)

pictures: $(READY) ## Draw the charts of README.md again, from the run in docs/example.
	$(BIN)/python -m docs.pictures

setup: $(READY) ## Make the virtual environment from requirements.lock.

# pip installs only uv, by the version and hashes in the lock; uv then installs the rest many times faster.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] < (3, 14) else "phonebench needs Python 3.11 to 3.13, PYTHON=$(PYTHON) is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	awk '/^uv==/ {on = 1} on {print; if (!/\\$$/) exit}' requirements.lock > $(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(READY)

apks: $(READY) ## Build, sign and verify the Android runner's APKs, and print their sizes (needs a JDK, Maven, aapt2).
	$(BIN)/phonebench runner build android $(ARGS)

swift: $(READY) ## Build the iOS runner for Linux (makes a Swift toolchain in a folder the first time, as root).
	$(BIN)/python -m tests.ios_runner.swift

swift-test: swift ## Run the tests of the iOS runner that are written in Swift.
	cd ios_runner && ../.ci/swift-toolchain swift test

swift-format: ## Check the formatting of the Swift sources.
	cd ios_runner && ../.ci/swift-toolchain swift format lint --strict --recursive Sources Tests Package.swift

docs: $(READY) ## Build the documentation as a site in build/docs; a link that leads nowhere fails.
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html $(ARGS) docs build/docs

notebooks: $(READY) ## Run the notebooks in docs/notebooks and store their outputs.
	$(BIN)/python -m tests.docs.notebooks

lock: ## Make requirements.lock again from pyproject.toml (needs a network).
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --output-file requirements.lock
	$(BIN)/uv pip compile --quiet harness/devices/ios/driver.in --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --output-file harness/devices/ios/driver.lock

simulate: $(READY) ## Check the statistics against a known truth, at length (a few minutes).
	$(BIN)/python -m tests.simulation $(ARGS)

sbom: $(READY) ## Write the bill of materials of a release to dist/phonebench.cdx.json.
	$(BIN)/python .ci/sbom dist/phonebench.cdx.json

audit: $(READY) ## Look the locked packages up in the advisories of the Python package index (needs a network).
	$(BIN)/uv tool run pip-audit==2.10.1 --requirement requirements.lock --require-hashes --disable-pip

fuzz: $(READY) ## Feed damaged files to every reader of what others wrote, for an hour.
	$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(READY) ## Run virtual phones with cables pulled at random (half an hour); ARGS=farm or run: what is killed.
	$(BIN)/python -m tests.loop.soak $(ARGS)

clean: ## Remove the environment and the tools' caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
