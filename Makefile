# make run    everything local, with a demo booth
# make test   all tests, with what they need
# make soak   kill it 2,000 times, and the shadow service alone 1,000 times, and tell 100,000 steps of any history;
#             and attack every port for 20 minutes; and cut a screen off 1,000 times;
#             SOAK="--kills 200 --seed 7", SOAK_STORE="--kills 200" and SOAK_HOSTILE="--minutes 5",
#             SOAK_KIOSK="--cuts 50 --transitions 500" for less
# make pictures  those of the README, taken anew of the real thing
# make check  formatter, linter, types, import rules, the pages' checks
# make audit  known holes in what is installed; needs the internet
# make bench  the package for Lambda: how large, how quick; what AWS costs, and where its walls are
#             shadows and gateway beside other programs'; BENCH=--write puts that into docs/benchmarks.md

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test check fix spa

run: .venv/.made
	@exec $(BIN)/staffcall run --demo

# A stamp, and not the folder, is the target: an install that was interrupted is done again.
.PHONY: .venv .venv-ministack
.venv: .venv/.made
.venv/.made: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Staff Call needs Python 3.11 or newer; set PYTHON=python3.x")'
	@$(PYTHON) -m venv .venv || { command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv .venv; }
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	@touch $@

# What tests and checks need on top: linters, real clients, Node for the kiosk's build.
.venv/.dev: .venv/.made
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch .venv/.dev

spa/node_modules: spa/package.json spa/package-lock.json .venv/.dev
	cd spa && npm ci --no-audit --no-fund --loglevel=error
	@touch spa/node_modules

.PHONY: browser
browser:
	@echo ",$$STAFFCALL_SKIP," | grep -q ",browser," || command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  if command -v apt-get >/dev/null; \
	  then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; \
	  else echo "The kiosk's tests need Chromium: install it with your package manager, so that 'chromium' is on the PATH." >&2; exit 1; fi; }

# AWS acted out on this machine, in an environment of its own: Lambdas run under its Python.
.venv-ministack: .venv-ministack/.made
.venv-ministack/.made:
	@$(PYTHON) -m venv .venv-ministack
	.venv-ministack/bin/pip install --quiet --disable-pip-version-check ministack==1.5.33 aws-sam-translator==1.115.0
	@touch $@

# Five files at a time, the longest first: most tests wait for a clock, a browser or a disk.
test: .venv/.dev spa/node_modules .venv-ministack/.made browser mosquitto
	cd spa && npm test
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

.PHONY: soak
soak: .venv/.dev
	$(BIN)/python -c "import tests.soak_crash as soak; soak.main()" $(SOAK)
	$(BIN)/python -c "import tests.soak_store as soak; soak.main()" $(SOAK_STORE)
	$(BIN)/python -c "import tests.soak_hostile as soak; soak.main()" $(SOAK_HOSTILE)
	$(BIN)/python -c "import tests.soak_kiosk as soak; soak.main()" $(SOAK_KIOSK)
	$(BIN)/python -m pytest tests/test_repeats.py tests/test_at_once.py --hypothesis-profile=soak --timeout=0

check: .venv/.dev spa/node_modules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd spa && npm run check
	$(BIN)/python -m tests.built

.PHONY: pictures
pictures: .venv/.dev browser
	$(BIN)/python -m tests.draw_pictures

.PHONY: audit
audit: .venv/.dev
	@$(BIN)/python -m tests.holes

# An external broker, and a peer in the measurements. Debian would start it, on the port that is ours. Where it cannot be
# installed, its tests say so, and the other peers are measured.
.PHONY: mosquitto
mosquitto:
	@echo ",$$STAFFCALL_SKIP," | grep -q ",mosquitto," || command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || { \
	  command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq --no-install-recommends mosquitto >/dev/null \
	  && { systemctl disable --now mosquitto >/dev/null 2>&1; true; }; } \
	  || echo "No external broker is tried: install mosquitto, so that it is on the PATH." >&2

.PHONY: bench
bench: .venv/.dev .venv-ministack/.made mosquitto
	$(BIN)/python -m tests.bench_package
	$(BIN)/python -m tests.bench_scaling
	$(BIN)/python -m tests.bench_shadows $(BENCH)

fix: .venv/.dev spa/node_modules
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd spa && npm run fix

# The built kiosk is committed: who runs Staff Call needs no Node.
spa: spa/node_modules
	cd spa && npm run build
