# The targets that people use: venv run test check bench fuzz clean. Each sets up .venv the first time.

# `make PYTHON=python3.12` chooses the interpreter; asked for only when .venv is made.
PYTHON = $(shell scripts/choose_python.sh python3 /usr/bin/python3 python3.13 python3.12 python3.11)
BIN = .venv/bin
PYTEST = $(BIN)/python -m pytest
AT_ONCE = -n auto --dist loadfile
FUZZ_SECONDS ?= 60

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: venv run test test-pure test-compiled peers check compile bench fuzz clean

venv: .venv/installed

# Where there is no uvloop, asyncio's own event loop serves.
.venv/installed: pyproject.toml
	@test -x $(BIN)/python || { python="$(PYTHON)"; \
		test -n "$$python" || { echo "Ringback needs Python 3.11, 3.12 or 3.13, with venv." >&2; exit 1; }; \
		echo "$$python -m venv .venv"; "$$python" -m venv .venv; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[speed,dev]' || $(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

# A SIP domain on the loopback addresses. Compiled where that is possible, interpreted elsewhere; it says which.
run: venv
	@$(BIN)/python scripts/compile.py
	@$(BIN)/ringback run

test: venv peers test-pure test-compiled

# What the interop tests call and be called by. Never fails: a test whose peer is missing is skipped and says so.
peers: venv
	@scripts/install_peers.sh

# On all cores what needs no real peers; one after the other what does.
test-pure: venv
	RINGBACK_PURE=1 $(PYTEST) $(AT_ONCE) -m "not interop"
	RINGBACK_PURE=1 $(PYTEST) -m interop

# The second pass runs what is compiled; without a compiler it would only repeat the first.
test-compiled: venv
	@$(BIN)/python scripts/compile.py --strict
	@set -e; \
	form=$$(RINGBACK_PURE=0 $(BIN)/python -W error -c 'import ringback; print(ringback.compiled())'); \
	if [ "$$form" = True ]; then \
		set -x; RINGBACK_PURE=0 $(PYTEST) $(AT_ONCE) -m "not interop and not slow" tests/test__pure.py tests/sip tests/net; \
	else \
		echo "No second pass of the tests: nothing is compiled here."; \
	fi

check: venv
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -q tests/test_contracts.py

compile: venv
	@$(BIN)/python scripts/compile.py --strict

bench: venv peers
	@$(BIN)/python scripts/compile.py --strict
	$(BIN)/python -m bench

# Atheris steers the mutations by coverage; without it they are blind.
fuzz: venv
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet 'atheris>=2.3' \
		|| echo "No atheris for this interpreter: fuzzing without coverage."
	$(BIN)/python scripts/fuzz.py --seconds $(FUZZ_SECONDS)

clean:
	find src -name '*.so' -delete
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
