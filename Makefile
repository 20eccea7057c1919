# Two commands: `make run` opens the studio, `make test` proves it. Both make their own .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off

.PHONY: run test lint screenshots clean

run: .venv/.runtime
	$(BIN)/python app.py $(ARGS)

test: .venv/.development .venv/.browser
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.lint
	$(BIN)/ruff check .

# The pictures in README.md and docs/, taken from the running studio.
screenshots: .venv/.development .venv/.browser
	$(BIN)/python docs/make_screenshots.py

clean:
	rm -rf .venv test-output

# A stamp file per set of packages: pip is asked again only when the requirements change.
$(BIN)/python:
	$(PYTHON) -m venv .venv || { echo "The venv module is missing: on Debian, apt-get install python3-venv." >&2; exit 1; }

.venv/.runtime: requirements.txt | $(BIN)/python
	@echo "Installing what the studio needs; this happens once and takes a few minutes."
	$(PIP) -r requirements.txt
	touch $@

.venv/.development: requirements.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing what the tests need; this happens once and takes a few minutes."
	$(PIP) -r requirements-dev.txt
	touch $@ .venv/.runtime

.venv/.lint: | $(BIN)/python
	$(PIP) "ruff>=0.8"
	touch $@

# The browser of the tests: the system's, else from its packages, else playwright's own.
.venv/.browser: | .venv/.development
	@if command -v chromium >/dev/null 2>&1; then echo "Using the system's Chromium."; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
	     apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	then echo "Installed Chromium."; \
	else $(BIN)/playwright install chromium; fi
	touch $@
