# Needs Python 3.11+ and PyPI; no database, broker, Docker or root.
# A Python that was compiled without profiles, as version managers do, is slower than a distribution's: that one is taken then.
WITH_PROFILES = import sys, sysconfig; sys.exit("--enable-optimizations" not in (sysconfig.get_config_var("CONFIG_ARGS") or ""))
WILL_DO = import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell if ! python3 -c '$(WITH_PROFILES)' 2>/dev/null && /usr/bin/python3 -c '$(WILL_DO)' 2>/dev/null; then echo /usr/bin/; fi)python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
ARGS ?=
# What `check --deploy` looks at: a production environment, with secrets that guard nothing.
KEY = 1:$(shell head -c 32 /dev/urandom | base64 | tr -d '\n')
PRODUCTION = FLEXGATE_DEBUG=0 FLEXGATE_ALLOWED_HOSTS=gateway.example FLEXGATE_SECRET_KEY=check-only-1234567890-abcdefghijklmnopqrstuvwxyz-0987654321 \
  FLEXGATE_TOKEN_PEPPERS=$(KEY) FLEXGATE_CREDENTIAL_KEYS=$(KEY) FLEXGATE_AUDIT_KEYS=$(KEY) FLEXGATE_TAG_KEY=$(KEY) FLEXGATE_SELLER_NAME=Check FLEXGATE_SECOND_FACTOR=1

.PHONY: install lock demo test gates bench soak clean
.DEFAULT_GOAL := install

install: $(STAMP)

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "flexgate needs Python 3.11 or newer; set PYTHON=…")'
	@test -x "$(BIN)/python" || $(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch "$(STAMP)"

lock: install
	"$(BIN)/uv" pip compile --universal --generate-hashes --group dev pyproject.toml -o requirements.lock --no-annotate --quiet --custom-compile-command "make lock"

demo: install
	@FLEXGATE_DEBUG=1 "$(BIN)/python" manage.py demo $(ARGS)

test: install gates
	@echo "== tests"
	FLEXGATE_DEBUG=1 "$(BIN)/python" -m pytest -n 2 --dist loadgroup -q -m "not soak" --ignore tests/benchmarks

gates: install
	@echo "== format"
	"$(BIN)/ruff" format --check .
	@echo "== lint"
	"$(BIN)/ruff" check .
	@echo "== types"
	FLEXGATE_DEBUG=1 "$(BIN)/mypy"
	@echo "== import contracts"
	"$(BIN)/lint-imports"
	@echo "== known vulnerabilities"
	"$(BIN)/python" tests/audit_dependencies.py
	@echo "== deployment checks"
	$(PRODUCTION) "$(BIN)/python" manage.py check --deploy --fail-level WARNING
	@echo "== missing migrations"
	FLEXGATE_DEBUG=1 "$(BIN)/python" -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run  # no server is asked: the code alone is compared

bench: install
	FLEXGATE_DEBUG=1 "$(BIN)/python" -m pytest -q -s tests/benchmarks

soak: install
	FLEXGATE_DEBUG=1 "$(BIN)/python" -m pytest -n 2 -q -m soak tests/gateway/test_write_machine.py
	FLEXGATE_DEBUG=1 "$(BIN)/python" -m pytest -n 2 -q -m soak --ignore tests/gateway/test_write_machine.py

clean:
	rm -rf "$(VENV)" .data build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
