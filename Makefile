# The words of this repository. Each sets up what it needs first; a second time costs nothing.
#
#   make run          the gateway with a demo key, on 127.0.0.1:8080
#   make test         all tests
#   make conformance-clients   other people's clients: LangChain, Pydantic AI, Instructor, Google's, Vercel's
#   make compatibility   write docs/compatibility.md anew
#   make check        format, lint, types, imports, house rules
#   make bench        the figures of benchmarks/RESULTS.md; bench-quick and bench-long: less and more
#   make bench-peers  LiteLLM and Portkey's gateway beside ours: installs both in benchmarks/.peers
#   make lock         write both lock files anew

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
COMPILE := env -u PIP_FIND_LINKS CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/python -m piptools compile --quiet \
	--generate-hashes --no-emit-index-url --no-emit-find-links --strip-extras --allow-unsafe
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: setup run test unit conformance conformance-clients compatibility check bench bench-quick bench-long bench-peers lock

setup: $(READY)

$(READY): requirements.lock requirements-dev.lock pyproject.toml hatch_prices.py src/deeptoken/catalog/pricedata.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "deeptoken needs Python 3.11 or newer; \"$(PYTHON)\" is `$(PYTHON) --version 2>&1`." \
			"Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --require-hashes --requirement requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY)
	@$(BIN)/deeptoken demo

test: unit conformance

unit: $(READY)
	@$(BIN)/python -m pytest --numprocesses auto

conformance: $(READY)
	@$(BIN)/python -m pytest tests/conformance/vendor.py
	@if command -v npm >/dev/null; then $(BIN)/python -m pytest tests/conformance/node_sdk.py; \
		else echo "Left out: the Node SDK's tests, since npm is not on this machine."; fi

conformance-clients: $(READY)
	@$(BIN)/python -m pytest tests/conformance/clients.py

compatibility: $(READY)
	@PYTHONPATH=tests:tests/conformance $(BIN)/python tests/conformance/compatibility.py >.compatibility.md
	@mv .compatibility.md docs/compatibility.md

check: $(READY)
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest tests/test_house.py

bench: $(READY)
	@$(BIN)/python benchmarks/run.py

bench-quick: $(READY)
	@$(BIN)/python benchmarks/run.py --quick

bench-long: $(READY)
	@$(BIN)/python benchmarks/run.py --long

bench-peers: $(READY)
	@$(BIN)/python benchmarks/peers.py
	@$(BIN)/python benchmarks/run.py --peers

lock: $(READY)
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
		print(*p["dependency-groups"]["dev"], *p["build-system"]["requires"], sep="\n")' \
		| $(COMPILE) --output-file requirements-dev.lock pyproject.toml -
	cd tests/conformance/clients && for group in agents google instructor; do \
		$(subst $(BIN),../../../$(BIN),$(COMPILE)) --no-annotate --output-file $$group.lock $$group.in || exit 1; done
