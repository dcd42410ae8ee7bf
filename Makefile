# Sluice: everything a person or CI does with this repository. `make` lists the targets.

PY := .venv/bin/python
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice
ARGS ?=
export PYTHON

# An environment is complete when its stamp exists: the stamp is written last. It is made again when
# what it was made from has changed.
SETUP := .venv/.sluice-local
SETUP_DEV := .venv/.sluice-dev
SETUP_PULUMI := pulumi/.venv/.sluice-pulumi
PY_PULUMI := pulumi/.venv/bin/python
MADE_FROM := scripts/bootstrap requirements/uv.txt $(wildcard libs/*/pyproject.toml \
	services/*/pyproject.toml engine/pyproject.toml local/pyproject.toml testbed/pyproject.toml)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# There is one testbed.
.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@echo 'make TARGET [ARGS="..."] [PYTHON=python3.12]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

ENGINE ?= local
.PHONY: run
run: $(SETUP) ## Start Sluice on this machine (ENGINE=testbed, ARGS="--http-port 9000", ARGS=--help)
	@$(RUN_ON_$(ENGINE)) $(ARGS)
RUN_ON_local = $(PY) -m sluice_local run
RUN_ON_testbed = kubeconfig=$$($(PY) -m testbed kubeconfig) && \
	$(PY) -m sluice_local run --data-dir .data/testbed --kubeconfig "$$kubeconfig"
$(if $(RUN_ON_$(ENGINE)),,$(error There is no ENGINE=$(ENGINE); there are local and testbed))

.PHONY: demo
demo: $(SETUP) ## Count the words of a book with the running Sluice (ARGS=--help)
	@$(PY) -m sluice_local demo $(ARGS)

.PHONY: setup
setup: $(SETUP) ## Create .venv for `make run`

.PHONY: setup-dev
setup-dev: $(SETUP_DEV) ## Create .venv for tests and checks

$(SETUP): $(MADE_FROM) requirements/local.txt
	@scripts/bootstrap local
	@touch $@

$(SETUP_DEV): $(MADE_FROM) requirements/dev.txt
	@scripts/bootstrap dev
	@touch $(SETUP) $@

.PHONY: setup-pulumi
setup-pulumi: $(SETUP_PULUMI) ## Create pulumi/.venv for `pulumi up` and its tests

# An environment of its own, because it is larger than everything else.
$(SETUP_PULUMI): $(SETUP) requirements/pulumi.txt
	$(PY) -m uv venv --quiet --clear --python $(PY) pulumi/.venv
	$(PY) -m uv pip install --python $(PY_PULUMI) --no-deps --require-hashes -r requirements/pulumi.txt
	@touch $@

.PHONY: test
test: $(SETUP_DEV) ## Run the tests on the local engine (ARGS="-k name", ARGS=--cov)
	$(PY) -m pytest -n 3 --dist worksteal \
		-m "not cluster and not docker and not testbed and not charts and not bounds and not examples and not browser" $(ARGS)

.PHONY: test-unit
test-unit: $(SETUP_DEV) ## Run the tests that need neither Kafka nor an engine (seconds)
	$(PY) -m pytest -m "not integration and not e2e and not docker and not cluster and not testbed and not charts and not bounds and not contract and not browser" $(ARGS)

.PHONY: test-conformance
test-conformance: $(SETUP_DEV) ## Compare 5,000 requests with the OpenAPI document (ARGS="--cases 20000 --seed 7")
	@$(PY) -m tests.contract.conformance $(ARGS)

.PHONY: test-dashboard
test-dashboard: $(SETUP_DEV) ## Test the dashboard in Chromium, over a whole Sluice (needs chromium, npm)
	$(PY) -m pytest tests/dashboard $(ARGS)

.PHONY: pictures
pictures: $(SETUP_DEV) ## Take the pictures of dashboard and command, docs/pictures (needs chromium, kcat)
	$(PY) -m tests.dashboard.pictures docs/pictures

.PHONY: test-examples
test-examples: $(SETUP_DEV) ## Run Argo's own examples on the local engine, directly and through Sluice (needs Go)
	$(PY) -m pytest tests/e2e -m "examples and not cluster" $(ARGS)

.PHONY: test-bounds
test-bounds: $(SETUP_DEV) ## Attack each service in its chart's memory limit (needs root, or ARGS=--memory-limit=peak)
	$(PY) -m pytest tests/bounds -m bounds $(ARGS)

.PHONY: mutants
mutants: $(SETUP_DEV) ## Check that tests notice faults put into the code (ARGS=--help)
	@$(PY) -m tests.mutants $(ARGS)

.PHONY: bench
bench: $(SETUP_DEV) ## Measure what docs/benchmarks.md says (minutes; needs wrk, and an idle machine)
	for each in compiling starting latency gateway; do \
		printf '\n== %s\n' "$$each" && $(PY) -m bench.$$each || exit 1; \
	done

# By processor time, which depends less on the machine than the rate: 0.10 to 0.12 were measured.
.PHONY: bench-guard
bench-guard: $(SETUP_DEV) ## Check that a run takes the gateway no more processor time than it did (needs wrk)
	$(PY) -m bench.gateway --rounds 4 --seconds 3 --at-least 0.08

ARGO ?= 4.0 3.7
PARTS ?=
.PHONY: test-cluster
test-cluster: $(ARGO:%=test-cluster-%) ## Run the tests on real Kubernetes and Argo (needs root, Go; ARGO=3.7, PARTS=suite)

test-cluster-%: $(SETUP_DEV)
	$(PY) -m testbed build --argo $*
	$(PY) -m testbed run --argo $* scripts/test-cluster $(PARTS) -- --engine=argo-$* $(ARGS)

.PHONY: test-testbed
test-testbed: $(SETUP_DEV) ## Check that the testbed leaves no trace on this machine (needs root, Go)
	$(PY) -m testbed build
	$(PY) -m pytest testbed/tests/machine $(ARGS)

.PHONY: test-images
test-images: $(SETUP_DEV) ## Build the images and test them in containers (needs root)
	$(PY) -m pytest tests/containers $(ARGS)

.PHONY: test-containers
test-containers: $(SETUP_DEV) ## Run the integration tests on a Kafka of testcontainers (needs root)
	$(PY) -m testbed docker $(PY) -m pytest tests/integration --kafka=testcontainers $(ARGS)

.PHONY: test-charts
test-charts: $(SETUP_DEV) ## Test the Helm charts, and the contracts by tools of others (needs Go, npm)
	$(PY) -m testbed build
	$(PY) -m pytest tests/charts tests/gitops tests/platform tests/contract -m "not platform and not contract" $(ARGS)

CHARTS ?=
.PHONY: test-platform
test-platform: $(SETUP_DEV) ## Test all that a cluster gets, with the charts of others (needs Go; CHARTS=folder of them)
	$(PY) -m testbed build
	CHARTS="$(CHARTS)" $(PY) -m pytest tests/platform $(ARGS)

.PHONY: test-pulumi
test-pulumi: $(SETUP_DEV) $(SETUP_PULUMI) ## Test the infrastructure on Pulumi's engine (needs Go)
	$(PY) -m testbed build
	$(PY_PULUMI) -m pytest -c tests/pulumi/pytest.ini -n 2 --dist loadgroup \
		--pulumi "$$($(PY) -m testbed program pulumi)" \
		--helm "$$($(PY) -m testbed program helm)" tests/pulumi $(ARGS)

.PHONY: ci-all
ci-all: ## Run all that .ci/run ever runs, in one go (two hours and a quarter cold, on 2 cores)
	CI_SHARES='faults release lines upgrades' .ci/run

.PHONY: ci-round
ci-round: ## Raise .ci/round, which names the share of the next .ci/run: once per submission
	@echo $$(( $$(cat .ci/round) + 1 )) >.ci/round && echo "Round $$(cat .ci/round). Commit .ci/round."

.PHONY: testbed
testbed: $(SETUP_DEV) ## Build and start a real Kubernetes with Argo Workflows (ARGS="--argo 3.7")
	@$(PY) -m testbed build $(ARGS)
	@$(PY) -m testbed up $(ARGS)

.PHONY: lint
lint: $(SETUP_DEV) $(SETUP_PULUMI) ## Check style, types, import rules and prose
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY_PULUMI) -m mypy --config-file pulumi/mypy.ini
	.venv/bin/lint-imports
	.venv/bin/pymarkdown scan $$(git ls-files '*.md' ':!argocd/environments/*/charts/*')
	$(PY) scripts/check_prose.py

.PHONY: format
format: $(SETUP_DEV) ## Format the code and apply automatic fixes
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.PHONY: schemas
schemas: $(SETUP) ## Write docs/schemas, docs/openapi.json, docs/asyncapi.json and the reference of sluice from the code
	$(PY) -m sluice_contracts.schemas docs/schemas
	$(PY) scripts/api_documents.py docs
	$(PY) scripts/cli_reference.py docs/cli.md

.PHONY: graphs
graphs: $(SETUP) ## Write the graphs of the built-in workflows, which the gateway shows
	$(PY) -m sluice_workflows.built_in_graphs libs/workflows/src/sluice_workflows/builtin/graphs.json

.PHONY: versions
versions: $(SETUP) ## Write docs/versions.md from the files that have the versions
	$(PY) scripts/versions.py

.PHONY: chart
chart: $(SETUP) ## Copy the descriptions of each values.yaml to its chart's schema and README
	$(PY) scripts/chart_docs.py

# Leaves out what Couler needs only to submit. The tests' environment keeps it, because other packages need some of it.
WITHOUT = --excludes requirements/unused.txt
COMPILE = $(PY) -m uv pip compile --universal --generate-hashes --python-version 3.11 \
	--no-header --quiet $(ARGS)
.PHONY: lock
lock: $(SETUP) ## Lock the dependencies (ARGS=--upgrade, ARGS="--upgrade-package NAME")
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --override requirements/overrides.txt $(WITHOUT) \
		requirements/local.in -o requirements/local.txt
	$(COMPILE) --override requirements/overrides.txt -c requirements/local.txt \
		requirements/dev.in -o requirements/dev.txt
	$(COMPILE) requirements/audit.in -o requirements/audit.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/pulumi.in -o requirements/pulumi.txt
	for image in gateway dispatcher status-watcher log-relay engine; do \
		$(COMPILE) --override requirements/overrides.txt $(WITHOUT) -c requirements/local.txt \
			requirements/$$image.in -o requirements/$$image.txt || exit 1; \
	done

.PHONY: lock-kafka
lock-kafka: $(SETUP) ## Lock Apache Kafka's jars (ARGS="--version 3.8.1")
	$(PY) -m sluice_local.kafka lock $(ARGS)

.PHONY: clean
clean: ## Remove the data of `make run`
	@if [ -f $(SETUP) ]; then $(PY) -m sluice_local clean $(ARGS); else rm -rf .data; fi

.PHONY: distclean
distclean: clean ## Remove the data, .venv, and everything fetched or cached
	@if [ -f $(SETUP_DEV) ]; then $(PY) -m testbed down; fi
	rm -rf .venv pulumi/.venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache \
		.coverage* "$(CACHE)"
