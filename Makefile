# One verb a target; `make` alone tells them.
PYTHON ?= python3
BIN := .venv/bin
TOOLS := .venv/.complete

.PHONY: help demo workflow local test lint tools install lock clean
.DEFAULT_GOAL := help

help: ## tell what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(TOOLS) ## watch a rollout succeed and a bad one roll back, on this machine alone
	@$(BIN)/python -m local.demo

workflow: $(TOOLS) ## the same demo through the state machine
	@$(BIN)/python -m local.demo workflow

local: $(TOOLS) ## keep an AWS on this machine up, to type commands against
	@$(BIN)/python -m local.up

test: $(TOOLS) lint ## run all tests
	$(BIN)/python -m pytest

lint: $(TOOLS) ## style, types, and the template
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint

install: ## build, and deploy to the AWS account of your credentials
	./install.sh

tools: $(TOOLS)

$(TOOLS): requirements/tools.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo "Setting up the tools in .venv (once, about a minute) …"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/tools.lock
	@touch $(TOOLS)

# What `sam build` calls: the function's code and its dependencies, pure Python only.
build-%: $(TOOLS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --no-compile \
		--only-binary :all: --platform any --python-version 3.13 --target "$(ARTIFACTS_DIR)" -r requirements/lambda.lock
	@mkdir -p "$(ARTIFACTS_DIR)/deployer" && cp deployer/*.py "$(ARTIFACTS_DIR)/deployer/"

lock: ## pin the newest versions that fit together (needs uv)
	cd requirements && for part in lambda tools; do \
		uv pip compile --quiet --upgrade --universal --no-strip-extras --python-version 3.11 --generate-hashes \
			--no-emit-index-url --custom-compile-command "make lock" $$part.in -o $$part.lock; done

clean: ## remove what was built and installed here
	rm -rf .venv .aws-sam .hypothesis .mypy_cache .ruff_cache
