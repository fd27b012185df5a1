# The commands a person types. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all fmt lint types imports synth scan check local bootstrap deploy docs fuzz bench

RUN := .venv/bin
export PATH := $(CURDIR)/$(RUN):$(CURDIR)/.tools/bin:$(PATH)
# Where Python may not keep what it compiled, each of the hundred processes of a test run compiles torch anew.
unexport PYTHONDONTWRITEBYTECODE

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup:  ## install what is missing into this checkout
	@sh scripts/bootstrap.sh

demo: setup  ## watch a model get better at a task, on this machine, end to end
	@$(RUN)/outcrop demo $(ARGS)

local: setup  ## the whole loop on loopback, until Ctrl-C
	@$(RUN)/outcrop local $(ARGS)

test: setup  ## the fast suite
	@$(RUN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-all: setup  ## every test, the slow ones too
	@$(RUN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "" $(ARGS)

fmt: setup  ## format the code
	@$(RUN)/ruff format . && $(RUN)/ruff check --fix .

lint: setup
	@$(RUN)/ruff format --check . && $(RUN)/ruff check .

# node gives up at 4 GB by itself, which has not always been enough.
types: setup
	@NODE_OPTIONS=--max-old-space-size=8192 $(RUN)/pyright

imports: setup
	@$(RUN)/lint-imports

synth: setup  ## the CloudFormation templates, into cdk.out
	@CDK_OUTDIR=cdk.out $(RUN)/python app.py

scan: setup  ## checkov and cloudsplaining over the templates (a test runs cdk-nag and cfn-lint)
	@sh scripts/scan.sh

check: lint types imports test synth  ## what CI runs

bootstrap: setup  ## once for each AWS account and Region, before the first deployment
	@$(RUN)/npx --yes aws-cdk@2.1148.1 bootstrap $(ARGS)

deploy: setup  ## into your AWS account: `make deploy ARGS='--all'`, with settings `ARGS='--all -c dev=true'`
	@$(RUN)/npx --yes aws-cdk@2.1148.1 deploy --app '$(RUN)/python app.py' $(ARGS)

docs: setup  ## what is made of the code: settings, roles, cost, the diagram
	@$(RUN)/python -m scripts.settings_table && $(RUN)/python -m scripts.roles_table && $(RUN)/python -m scripts.cost_page && $(RUN)/python -m scripts.diagram

fuzz: setup  ## half an hour of hostile requests: `make fuzz ARGS="--minutes 5"`
	@$(RUN)/python -m benchmarks.api_fuzz $(ARGS)

bench: setup  ## the benchmarks behind benchmarks/RESULTS.md (about 30 minutes)
	@$(RUN)/python -m benchmarks.reward_phase && $(RUN)/python -m benchmarks.aws_calls && $(RUN)/python -m benchmarks.lost_replies && $(RUN)/python -m benchmarks.against_plain_trl
