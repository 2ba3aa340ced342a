# One verb a target; `make` alone tells them.
PYTHON ?= python3
BIN := .venv/bin
TOOLS := .venv/.complete

.PHONY: help demo workflow local rollout watch stop promote undo history record screens test faults journeys bench lint tools install lock clean
.DEFAULT_GOAL := help

help: ## tell what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(TOOLS) ## watch a rollout succeed and a bad one roll back, on this machine alone
	@$(BIN)/python -m local demo

workflow: $(TOOLS) ## the same demo through the state machine
	@$(BIN)/python -m local workflow

local: $(TOOLS) ## keep an AWS on this machine up, to type commands against
	@$(BIN)/python -m local local

# make hands on what stands on its command line in the environment, whatever quotes it holds.
# A misspelt variable would be passed over without a word.
VARIABLES := FUNCTION ALIAS VERSION STEPS INTERVAL TYPE WEIGHTS HEALTH PAYLOAD DRY_RUN STARTED_BY STACK WAIT LAST SINCE YES PYTHON
UNKNOWN = $(filter-out $(VARIABLES),$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))))
KNOWN = $(if $(UNKNOWN),{ echo "$(UNKNOWN): no such variable; there are $(VARIABLES)." >&2; exit 2; },:)

ON = $${FUNCTION:+--function "$$FUNCTION"} $${ALIAS:+--alias "$$ALIAS"} $${STACK:+--stack "$$STACK"}

rollout: $(TOOLS) ## start a rollout and follow it: FUNCTION= ALIAS= VERSION= [STEPS= INTERVAL= TYPE= WEIGHTS= HEALTH= PAYLOAD= DRY_RUN=1 STARTED_BY=]
	@$(KNOWN); $(BIN)/python -m lambda_rollout start $(ON) \
		$${VERSION:+--version "$$VERSION"} $${STEPS:+--steps "$$STEPS"} $${INTERVAL:+--interval "$$INTERVAL"} \
		$${TYPE:+--type "$$TYPE"} $${WEIGHTS:+--weights "$$WEIGHTS"} $${HEALTH:+--health "$$HEALTH"} \
		$${PAYLOAD:+--payload "$$PAYLOAD"} $${DRY_RUN:+--dry-run "$$DRY_RUN"} $${STARTED_BY:+--started-by "$$STARTED_BY"}

watch: $(TOOLS) ## follow the rollout that runs on an alias, whoever started it: FUNCTION= ALIAS= [WAIT=]
	@$(KNOWN); $(BIN)/python -m lambda_rollout watch $(ON) $${WAIT:+--wait "$$WAIT"}

stop: $(TOOLS) ## end the rollout that runs on an alias, with all users on the original version: FUNCTION= ALIAS=
	@$(KNOWN); $(BIN)/python -m lambda_rollout stop $(ON)

promote: $(TOOLS) ## end it with all users on the new version: FUNCTION= ALIAS=
	@$(KNOWN); $(BIN)/python -m lambda_rollout promote $(ON)

undo: $(TOOLS) ## go back to the version before the last rollout that succeeded: FUNCTION= ALIAS= [YES=1]
	@$(KNOWN); $(BIN)/python -m lambda_rollout undo $(ON) $${YES:+--yes} $${STARTED_BY:+--started-by "$$STARTED_BY"}

history: $(TOOLS) ## tell of the last rollouts: [FUNCTION= ALIAS= LAST= SINCE=7d]
	@$(KNOWN); $(BIN)/python -m lambda_rollout history $(ON) $${LAST:+--last "$$LAST"} $${SINCE:+--since "$$SINCE"}

record: $(TOOLS) ## record both in a terminal, on this machine alone; writes docs/rollout.svg and docs/watch-*.svg
	@$(BIN)/python -m tools.record

screens: $(TOOLS) ## every state that a watch shows, for looking at, from this machine alone: FOLDER=
	@$(BIN)/python -m tools.screens $${FOLDER:+"$$FOLDER"}

# What mostly waits, for the local AWS and for leases to run out, and what takes longest runs beside the others, in rows.
SLOWEST := tests/test_dead_deployers.py tests/test_cli_end_to_end.py
AT_HOME := tests/test_hook_end_to_end.py tests/test_wheel_end_to_end.py tests/test_action_end_to_end.py
DRAWN := tests/test_matrix.py tests/test_publication.py tests/test_likelihood.py tests/test_hook.py
WAITING := $(filter-out $(SLOWEST) $(AT_HOME) $(DRAWN),$(wildcard tests/test_*end_to_end.py tests/test_local_*.py tests/test_alias_contract.py))
BESIDE := $(SLOWEST) $(AT_HOME) $(DRAWN) $(WAITING)

test: $(TOOLS) lint ## run all tests
	@logs=$$(mktemp -d) && \
		{ $(BIN)/python -m pytest $(SLOWEST) > "$$logs/slowest" 2>&1 & slowest=$$!; \
		$(BIN)/python -m pytest $(AT_HOME) > "$$logs/at_home" 2>&1 & at_home=$$!; \
		$(BIN)/python -m pytest $(DRAWN) > "$$logs/drawn" 2>&1 & drawn=$$!; \
		$(BIN)/python -m pytest $(WAITING) > "$$logs/waiting" 2>&1 & waiting=$$!; \
		$(BIN)/python -m pytest $(BESIDE:%=--ignore=%); failed=$$?; \
		for row in $$slowest $$at_home $$drawn $$waiting; do wait $$row || failed=1; done; \
		cat "$$logs"/*; rm -r "$$logs"; exit $$failed; }

bench: $(TOOLS) ## compare the deployer with models of its peers; writes docs/bench.*
	@$(BIN)/python -m bench

faults: $(TOOLS) ## everything that can go wrong, at every call and in every sleep: how many cases held
	$(BIN)/python -m pytest tests/test_matrix.py

journeys: $(TOOLS) ## what takes minutes: thousands of drawn scenarios, and leases as late as on AWS: [SCENARIOS= SEED=]
	SCENARIOS=$${SCENARIOS:-5000} $(BIN)/python -m pytest tests/test_stateful.py
	$(BIN)/python -m pytest tests/journeys

lint: $(TOOLS) ## style, types, and the template
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.schema --check
	$(BIN)/python -m tools.dashboard --check
	SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint

install: ## build, and deploy to the AWS account of your credentials
	./install.sh

tools: $(TOOLS)

# pip writes the interpreter's path into the first line of `aws` as it is, and a line with a space finds none.
AWS := \#!/bin/sh\nexec "$${0%%/*}/python" -m awscli "$$@"\n

$(TOOLS): requirements/tools.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo "Setting up the tools in .venv (once, about a minute) …"
	@exec 3>&2; said=$$(mktemp) || exit 1; trap 'rm -f "$$said"' EXIT; \
		trap 'echo "Stopped while the tools were being set up: the next make sets them up anew." >&3; exit 130' INT; \
		{ $(PYTHON) -m venv --clear .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --require-hashes -r requirements/tools.lock && printf '$(AWS)' > $(BIN)/aws; } 2> "$$said"; \
		status=$$?; cat "$$said" >&2; [ $$status = 0 ] && touch $(TOOLS)

# What `sam build` calls: the function's code and its dependencies, pure Python only.
build-%: $(TOOLS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --no-compile \
		--only-binary :all: --platform any --python-version 3.13 --target "$(ARTIFACTS_DIR)" -r requirements/lambda.lock
	@$(BIN)/python -c 'import shutil, sys; shutil.copytree("deployer", sys.argv[1], dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))' \
		"$(ARTIFACTS_DIR)/deployer"

lock: ## pin the newest versions that fit together (needs uv)
	cd requirements && for part in lambda tools; do \
		uv pip compile --quiet --upgrade --universal --no-strip-extras --python-version 3.11 --generate-hashes \
			--no-emit-index-url --custom-compile-command "make lock" $$part.in -o $$part.lock; done

clean: ## remove what was built and installed here
	rm -rf .venv .aws-sam .hypothesis .mypy_cache .ruff_cache
