# make demo   builds the default flow for a ZCU104, in .venv, from the lock files
# make test   lints, type-checks and tests, in .venv
# make docker-test   builds the Dockerfile with buildah on a Debian of debootstrap's, builds and tests
#                    in it, and makes that build again outside; takes 14 GiB in TMPDIR meanwhile;
#                    DOCKER_TESTS="tests/test_board.py" runs some of the tests only
# make coverage   writes docs/coverage.md: what the tests of the RTL reach of it

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check

.PHONY: demo test docker-test lint coverage schemas clean

demo: .venv/installed
	$(BIN)/sdq-fpga build --board zcu104

test: lint
	$(BIN)/pytest

docker-test: .venv/installed
	$(BIN)/python tests/container/check.py $(DOCKER_TESTS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The same seed, the same cases, the same coverage.
coverage: .venv/installed
	rm -rf build/coverage
	$(BIN)/pytest tests/hw --hypothesis-seed=1 --hw-coverage build/coverage
	$(BIN)/python -m sdq_fpga.sim.coverage build/coverage hw tests/hw/coverage.toml docs/coverage.md

schemas: .venv/installed
	$(BIN)/python -m sdq_fpga.schemas.write

.venv/installed: requirements.lock requirements-no-deps.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; give one with: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python has no venv module; install it, for example with: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into .venv; this takes one to five minutes."
	$(PYTHON) -m venv --clear .venv
	$(PIP) install -r requirements.lock
	$(PIP) install --quiet --no-deps -r requirements-no-deps.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv runs build
