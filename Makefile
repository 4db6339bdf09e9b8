# One command each; every target sets up what it needs, quickly the second time.

CACHE := $(abspath $(or $(EPASSPORT_CACHE),.cache))
export EPASSPORT_CACHE := $(CACHE)

# Containers are asked for (test-containers): what a run shows and how long it takes must not depend
# on whether an engine happens to answer here.
export EPASSPORT_TEST_STACK ?= embedded

# Processes of ours start by the dozen; where this is set, each compiles all it imports anew: two
# seconds of CPU instead of one for the whole start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PYTHON := $(BIN)/python
PYTEST := $(PYTHON) -m pytest
PACKAGES := $(sort $(dir $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)))
SOURCES := $(wildcard libs/*/src services/*/src) tools

# The system's own Python before another in PATH: distributions build theirs optimised as a whole,
# version managers mostly do not, and a service then takes a third more CPU for the same work.
SYSTEM_PYTHON = $(shell /usr/bin/python3 -c 'import ensurepip, sys, venv; \
  sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3)

ENGINE := services/biometrics/engine
ENGINE_SOURCES := $(shell find $(ENGINE)/src -name '*.java' 2>/dev/null)
KAFKA_POM := libs/sandbox/src/epassport_sandbox/kafka_broker/pom.xml

# Set up for good when these exist and are newer than what they are made from.
VENV := .venv/installed
KAFKA_JARS := $(CACHE)/kafka-libs/pom.sha256
ENGINE_JARS := $(CACHE)/sourceafis-libs/pom.sha256
ENGINE_CLASSES := $(CACHE)/sourceafis-classes/compiled
READY := $(VENV) $(KAFKA_JARS) $(ENGINE_CLASSES)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: images test-containers faults-containers startup-containers demo up pilot check lint types walls pins generated deployment unit tokens browser test conformance fuzz faults simulation bench soak clean help biometrics-2000 report-biometrics screenshots

demo: $(READY) ## watch passports go from application to a checked QR code (CITIZENS=25)
	$(PYTHON) -m epassport_sandbox demo $(if $(CITIZENS),--citizens $(CITIZENS))

up: $(READY) ## the same, then stay up; prints addresses and tokens
	$(PYTHON) -m epassport_sandbox up $(if $(CITIZENS),--citizens $(CITIZENS))

pilot: $(READY) ## throughput run over real services, checks invariants (CITIZENS=1000 IMAGES=on)
	$(PYTHON) -m epassport_sandbox pilot --citizens $(or $(CITIZENS),1000) --images $(or $(IMAGES),on)

biometrics-2000: $(READY) ## 2,000 generated persons, 20 of them twice: all found? (CITIZENS=2000)
	$(PYTHON) -m epassport_sandbox duplicates --citizens $(or $(CITIZENS),2000)

test: check browser $(READY) ## check, then everything that needs real PostgreSQL and Kafka
	$(PYTEST) -m stack libs services
	$(PYTEST) tests/integration tests/conformance
	$(PYTEST) tests/faults

images: $(READY) ## container images of the services, and stand-ins where no registry answers
	@tools/need.sh jlink
	tools/container_engine.sh $(PYTHON) tools/images.py

# Recognition is measured in the test's own process: nothing of it is in a container.
test-containers: $(READY) ## the integration suite on the images, with an engine for the time of it
	@tools/need.sh jlink
	tools/container_engine.sh sh -c '$(PYTHON) tools/images.py && \
		EPASSPORT_TEST_STACK=containers $(PYTEST) tests/containers tests/integration \
			--ignore=tests/integration/test_i_recognition.py'

faults-containers: $(READY) ## containers killed and paused under citizens on the road (ROUNDS=1, PART=, WRITE=1)
	@tools/need.sh jlink
	tools/container_engine.sh sh -c '$(PYTHON) tools/images.py && \
		EPASSPORT_TEST_STACK=containers $(PYTHON) -m tests.containers.faults \
			--rounds $(or $(ROUNDS),1) $(if $(PART),--part $(PART)) $(if $(WRITE),--write)'

startup-containers: $(READY) ## size of each image, seconds until its service is ready
	@tools/need.sh jlink
	tools/container_engine.sh sh -c '$(PYTHON) tools/images.py && \
		EPASSPORT_TEST_STACK=containers $(PYTHON) -m tests.containers.startup'

check: lint types walls pins generated deployment unit ## before every commit: lint, types, walls, pins, generated files, deployment, unit tests

lint: $(VENV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/mypy -p tests.faults -p tests.simulation -p tests.benchmarks

walls: $(VENV)
	$(BIN)/lint-imports --no-logo

pins: $(VENV)
	$(PYTHON) tools/pins.py --check

generated: $(VENV)
	$(PYTHON) -m epassport_contracts.generate --check
	$(PYTHON) tools/configuration_page.py --check
	$(PYTHON) tools/api_documents.py --check
	$(PYTHON) tools/kubernetes_versions.py --check

deployment: $(VENV) ## manifests, compose file and images' build files, without a cluster or an engine
	$(PYTEST) tests/deployment

unit: $(VENV) $(ENGINE_CLASSES) tokens
	$(PYTEST) -m "not stack" libs services tests/simulation

# Without it the tests of tokens are skipped and say so.
tokens:
	-@tools/need.sh softhsm2-util

# Likewise the tests of pages.
browser:
	-@tools/need.sh chromium

conformance: $(VENV) ## our documents read by other people's software, their vectors read by ours
	$(PYTEST) tests/conformance
	$(PYTHON) -m tests.conformance.table

fuzz: $(VENV) ## any bytes end in a value or our own error, 20 s for each decoder (SECONDS=20)
	$(PYTHON) -m tests.fuzz --seconds $(or $(SECONDS),20)

faults: $(READY) ## crash, pause, cut, fill, repeat: do the invariants hold? (MINUTES=, FAULT=, SEED=, WRITE=1)
	-@tools/need.sh faketime
	$(PYTHON) -m tests.faults $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FAULT),--fault "$(FAULT)") \
	  $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write)

simulation: $(VENV) ## seeded interleavings of two services under every fault (SEEDS=20, WRITE=1)
	$(PYTHON) -m tests.simulation --seeds $(or $(SEEDS),20) $(if $(WRITE),--write)

bench: $(READY) ## ours against the bare work nobody can avoid; writes build/bench (ROWS="append relay")
	$(PYTHON) -m tests.benchmarks $(ROWS)

screenshots: browser $(READY) ## the adjudicator's page anew, in docs/ (chromium), others in build/adjudication/
	mkdir -p build/adjudication
	EPASSPORT_SCREENSHOTS=build/adjudication $(PYTEST) services/biometrics/tests/test_pages.py
	cp build/adjudication/adjudication-ru.png build/adjudication/adjudication-en.png docs/

report-biometrics: $(READY) ## scores and errors of generated fingers as pictures, in build/biometrics/
	$(PYTHON) -m tests.benchmarks.recognition_report

soak: $(READY) ## half the load for a while: memory, outbox, lag, dead rows stay flat (MINUTES=15)
	$(PYTHON) -m tests.benchmarks.soak --minutes $(or $(MINUTES),15)

clean: ## remove everything that make has made, downloads too
	test ! -L .env || rm .env
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf $(addprefix $(CACHE)/,engine engine.lock kafka-libs* sourceafis-libs* sourceafis-classes)
	rm -rf $(addprefix $(CACHE)/,*python-readers* *javascript-readers* jmrtd-* fuzz fuzz.lock kustomize kustomize.lock)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV): requirements/bootstrap.txt requirements/all.txt pyproject.toml $(PACKAGES:%=%pyproject.toml)
	@tools/need.sh python3
	test -x $(PYTHON) || $(or $(SYSTEM_PYTHON),python3) -m venv .venv
	$(PYTHON) -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(PYTHON) --require-hashes requirements/all.txt
	$(BIN)/uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation $(PACKAGES:%=-e ./%)
	@touch $@

$(KAFKA_JARS): $(KAFKA_POM) | $(VENV)
	@tools/need.sh java mvn
	$(PYTHON) -m epassport_sandbox.jars
	@touch $@

$(ENGINE_JARS): $(ENGINE)/pom.xml | $(VENV)
	@tools/need.sh java mvn
	$(PYTHON) -m epassport_sandbox.jars $< sourceafis-libs
	@touch $@

$(ENGINE_CLASSES): $(ENGINE_JARS) $(ENGINE_SOURCES)
	@tools/need.sh javac
	rm -rf $(@D)
	javac --release 17 -d $(@D) -cp '$(<D)/*' $(ENGINE_SOURCES)
	@touch $@
