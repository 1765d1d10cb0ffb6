# Two commands, each of which does all its own set-up: `make run` and `make test`.

PYTHON ?= python3
BIN = .venv/bin

.PHONY: run test faults bench lint lock

run: .venv/run
	@FLASK_SKIP_DOTENV=1 $(BIN)/flask url
	@[ -n "$$WEB_CONCURRENCY" ] || unset WEB_CONCURRENCY; exec $(BIN)/gunicorn

# three processes: many tests wait for something, but more processes get in one another's way. Each
# begins with a third, so that the slow ones come early and one after another, and then takes from others.
# The processes that tests start load compiled files, whatever the environment says: it saves half of a start
test: .venv/dev
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest --numprocesses 3 --dist worksteal

# the fault tests at full scale, with their table: half an hour or more, on a quiet machine
faults: .venv/dev
	FAULT_SCALE=full $(BIN)/pytest tests/faults --timeout 1500

# how fast, against what, with its table
bench: .venv/dev
	$(BIN)/python -m benchmarks

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

# After a change of setup.cfg: the exact versions that are deployed, and that are tested.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

lock: .venv/dev
	$(LOCK) setup.cfg --output-file requirements.txt
	$(LOCK) setup.cfg --extra dev --constraint requirements.txt --output-file tests/requirements.txt

.venv/run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	@touch $@

.venv/dev: tests/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes --requirement tests/requirements.txt
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
