# Every task of the project. `make help` lists them; ENV=local unless given.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

# `make down up` and `make plan apply` are sequences, also where MAKEFLAGS holds -j
.NOTPARALLEL:

PYTHON ?= python3

# Options come from the command line of make alone. In the shell's environment they are another
# program's, as ENV is of sh itself; and `value` keeps each $ in them.
OPTIONS := FILE NAME REASON CACHES_EXPIRE KEEP_USER TO STEPS PATHS WHO DIRECT YES ALLOW_DRIFT ALL AFTER UNTIL INVENTORY DRY_RUN DOWN VERBOSE LOCK_TIMEOUT STATEMENT_TIMEOUT CONCURRENT_TIMEOUT ATTEMPTS WAIT JSON SINCE CAUSE CODE FIND RATE STOP JOB FOLLOW FORCE KEY VERSION LOCK FUNCTION PERCENT HOLD TUNNEL ARGS
ifneq ($(origin ENV),command line)
override ENV := local
endif
$(foreach option,ENV $(OPTIONS),$(eval override $(option) := $(if $(filter command override,$(firstword $(origin $(option)))),$$(value $(option)))))
export ENV $(OPTIONS)

# What su or a container leaves behind: a HOME that is another account's, a TMPDIR that is gone
UNUSABLE := $(shell test -r "$$HOME" -a -x "$$HOME" -a -d "$$HOME" || echo HOME; test -w "$$HOME" || echo CACHE; test -w "$${TMPDIR:-/tmp}" -a -d "$${TMPDIR:-/tmp}" || echo TMPDIR)
ifneq ($(filter HOME,$(UNUSABLE)),)
export HOME := $(CURDIR)/.local/home
endif
ifneq ($(filter CACHE,$(UNUSABLE)),)
export XDG_CACHE_HOME := $(CURDIR)/.local/cache
endif
ifneq ($(filter TMPDIR,$(UNUSABLE)),)
unexport TMPDIR
endif

# Each command would compile all that it imports again: a container's setting, 1.6 s of processor time
unexport PYTHONDONTWRITEBYTECODE

# Another database too is asked for on the command line; one that the shell holds is refused
DATABASE_URL_ORIGIN := $(origin DATABASE_URL)
export DATABASE_URL_ORIGIN

# The local system is reached directly, whatever proxy leads to the rest of the world
COMMA := ,
PROXY_EXCEPTIONS := $(or $(NO_PROXY),$(no_proxy))
ifneq ($(PROXY_EXCEPTIONS),*)
override NO_PROXY := $(if $(PROXY_EXCEPTIONS),$(PROXY_EXCEPTIONS)$(COMMA))localhost,127.0.0.1
override no_proxy := $(NO_PROXY)
export NO_PROXY no_proxy
endif

OPS := .venv/bin/python -m console.cli
LOCAL := .venv/bin/python -m local

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ The local system
.PHONY: up down reset status doctor accept logs
up: .venv/product ## Start everything here: emulated AWS, Postgres, Terraform, demo users, console
	@$(LOCAL) up

down: .venv/product ## Stop it, keeping everything that is in it
	@$(LOCAL) down

reset: .venv/product ## Stop it and delete everything that is in it (asks first; YES=1 doesn't)
	@$(LOCAL) reset

status: .venv/product ## Show what runs, where, and how much is queued
	@$(OPS) status

doctor: .venv/product ## Check every setting and probe everything [JSON=1]
	@$(OPS) doctor

accept: .venv/product ## Try the whole contract as a test user of its own, then delete it [JSON=1]
	@$(OPS) accept

logs: .venv/product ## Show logs [FUNCTION=resize|…|emulator|postgres|console SINCE=15m FOLLOW=1 JSON=1]
	@$(if $(filter emulator postgres console,$(FUNCTION)),$(LOCAL),$(OPS)) logs

##@ Development
.PHONY: test test-long test-machines test-deployer lint format docs screenshots bench lock
test: .venv/development ## Run every test, on a system of its own [ARGS="-k name"]
	@.venv/bin/python -m tests.browser.chromium
	@.venv/bin/python -m tests.debian pgbouncer
	@.venv/bin/python -m pytest --numprocesses 3 --dist loadgroup $(ARGS)

test-long: .venv/development ## Run the tests that take minutes each: more crossings, regions, a burst of 1,000 (half an hour)
	@.venv/bin/python -m tests.debian nginx
	@.venv/bin/python -m pytest tests/integration tests/faults tests/terraform tests/unit tests/browser -m long --numprocesses 2 --dist loadgroup $(ARGS)

test-machines: .venv/development ## Try the two commands on machines of every kind (an hour; all of it as root)
	@.venv/bin/python -m pytest tests/machines -m "long or not long" --timeout 1800 $(ARGS)
	@.venv/bin/python -m tests.machines.first_starts

test-deployer: .venv/development ## Deploy, run and destroy on an emulator, with the deployer's policies and no other right (3 minutes)
	@.venv/bin/python -m pytest tests/deployer -m "long or not long" $(ARGS)

lint: .venv/development ## Check style, types, arrows, Terraform and security
	@.venv/bin/python -m local.lint

format: .venv/development ## Format Python and Terraform
	@.venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format .
	@"$$(.venv/bin/python -c 'from console.operations.environments import terraform_program as it; print(it.find().path)')" fmt -recursive terraform

docs: .venv/development ## Write the tables that are made from the code
	@.venv/bin/python -m tests.unit.docs.generated

screenshots: .venv/development ## Renew docs/screenshots, on a system of its own (five minutes)
	@.venv/bin/python -m tests.browser.chromium
	@.venv/bin/python -m tests.browser.screenshots

bench: .venv/development ## Measure against named peers (needs Node.js)
	@.venv/bin/python -m tests.bench

COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade
# Of python-jose's dependencies, those of the backends that the authorizer doesn't use
NOT_IN_ZIPS := ecdsa rsa pyasn1 six pycparser
lock: .venv/product ## Renew every hashed requirements file
	$(COMPILE) pyproject.toml -o requirements/product.txt
	$(COMPILE) pyproject.toml --extra development -c requirements/product.txt -o requirements/development.txt
	@for name in uv emulator emulator-signing terraform checkov; do $(COMPILE) requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	@for name in resize authorizer profiles; do $(COMPILE) lambdas/$$name/requirements.in -c requirements/product.txt $(addprefix --no-emit-package ,$(NOT_IN_ZIPS)) -o lambdas/$$name/requirements.txt || exit 1; done

##@ Front end (needs Node.js)
.PHONY: front-end demo test-front-end
NPM := npm --prefix front-end
NODE_MODULES := front-end/node_modules/.package-lock.json
front-end: $(NODE_MODULES) ## Build the packages, the demo and the console's browser upload
	@$(NPM) run --silent build
	@mkdir -p build && cd front-end && npm pack --silent --workspace client --workspace react --pack-destination ../build

demo: .venv/product $(NODE_MODULES) ## Serve a profile page with all of the front end beside the running system [DEMO_PORT=3000]
	@$(NPM) run --silent build --workspace demo -- --logLevel warn
	@.venv/bin/python -m local.demo

test-front-end: .venv/development front-end ## Check the front end's types, units and sizes, then use it in a browser on a system of its own (5 minutes) [ARGS="-k name"]
	@$(NPM) run --silent check
	@$(NPM) test --silent
	@.venv/bin/python -m tests.browser.chromium
	@.venv/bin/python -m pytest tests/front_end -m "long or not long" $(ARGS)

$(NODE_MODULES): front-end/package-lock.json
	@command -v npm >/dev/null || { echo "error: There is no npm here.\n  → Install Node.js 20.19 or newer: https://nodejs.org/" >&2; exit 1; }
	@$(NPM) ci --silent --no-audit --no-fund
	@touch $@

##@ Terraform (ENV=<name> reads terraform/envs/<name>.tfvars)
.PHONY: build bootstrap preflight plan apply destroy unlock outputs env deployer-policy
build: .venv/product ## Build the functions' zips
	@$(LOCAL) build

bootstrap: .venv/product ## Make the bucket for Terraform's state
	@$(OPS) bootstrap

preflight: .venv/product ## Say what would stop an apply minutes later [JSON=1]
	@$(OPS) preflight

plan: .venv/product build ## Show what apply would change, and what would stop it [FORCE=1]
	@$(OPS) plan

apply: .venv/product build ## Change the infrastructure (asks first; YES=1 doesn't)
	@$(OPS) apply

destroy: .venv/product build ## Delete the infrastructure (asks; buckets with objects need FORCE=1)
	@$(OPS) destroy

unlock: .venv/product ## Remove the lock that a killed run of Terraform left (asks first)
	@$(OPS) unlock

outputs: .venv/product ## Print Terraform's outputs [JSON=1]
	@$(OPS) outputs

env: .venv/product ## Write .env.<ENV> and the front end's settings from the outputs
	@$(OPS) env

deployer-policy: .venv/product ## Print the IAM policies that deploying an environment needs, as JSON
	@$(OPS) deployer-policy

##@ Console
.PHONY: console
console: .venv/product ## Run the console until Ctrl-C [CONSOLE_ADDRESS=127.0.0.1 CONSOLE_PORT=8501 CONSOLE_URL=]
	@.venv/bin/python -m console.serve

##@ Releases
.PHONY: releases release promote back
releases: .venv/product ## Show which version of each function is called, and how it does [FUNCTION= SINCE=1h JSON=1]
	@$(OPS) releases

release: .venv/product ## Have a function's newest version called for a share of the calls FUNCTION= [PERCENT=10 YES=1]
	@$(OPS) release

promote: .venv/product ## Have it called by everybody FUNCTION= [YES=1]
	@$(OPS) promote

back: .venv/product ## End a release, or have the version before called again FUNCTION= [YES=1]
	@$(OPS) back

##@ Avatars
.PHONY: upload clear lock-user unlock-user review approve refuse invalidate redrive discard reconcile reprocess
upload: .venv/product ## Send a picture as a user does and watch it arrive FILE= [WHO=ada] [CROP=x,y,side] [DIRECT=1 KEY=]
	@$(OPS) upload

clear: .venv/product ## Take an avatar down, with its variants and originals NAME= [YES=1]
	@$(OPS) clear

lock-user: .venv/product ## Let a user send no more pictures NAME=<sub>
	@$(OPS) lock-user

unlock-user: .venv/product ## Let a locked user send pictures again NAME=<sub>
	@$(OPS) unlock-user

review: .venv/product ## List the pictures that are held or reported, oldest first [JSON=1]
	@$(OPS) review

approve: .venv/product ## Show a held picture, or keep a reported one KEY= [VERSION=]
	@$(OPS) approve

refuse: .venv/product ## Reject a held picture, or take a reported one down KEY= [VERSION= LOCK=1 YES=1]
	@$(OPS) refuse

invalidate: .venv/product ## Drop paths from CloudFront's caches and wait PATHS="/avatars/*"
	@$(OPS) invalidate

redrive: .venv/product ## Put dead-letter messages back on the queue [CAUSE= FIND= SINCE= RATE=50 CODE= STOP=1 DRY_RUN=1]
	@$(OPS) redrive

discard: .venv/product ## Delete dead-letter messages, after listing them; originals stay [CAUSE= FIND= SINCE= RATE= CODE= YES=1]
	@$(OPS) discard

reconcile: .venv/product ## Queue originals that were never processed, update profiles [DRY_RUN=1 ALL=1 AFTER=key UNTIL=key INVENTORY=1]
	@$(OPS) reconcile

reprocess: .venv/product ## Process every original again, priced first, followed, resumable [DRY_RUN=1 STOP=1 JOB=]
	@$(OPS) reprocess

##@ Accounts
.PHONY: export erase legal-hold release-legal-hold
export: .venv/product ## Write all that is stored of a user into a zip NAME= [FILE= JSON=1]
	@$(OPS) export

erase: .venv/product ## Erase an account, and all that is stored of it NAME= [CACHES_EXPIRE=1 KEEP_USER=1 YES=1 JSON=1]
	@$(OPS) erase

legal-hold: .venv/product ## Keep what is stored of a user as the law demands, and refuse to erase it NAME= REASON=
	@$(OPS) legal-hold

release-legal-hold: .venv/product ## Delete what was kept so, and allow to erase the account NAME= [YES=1]
	@$(OPS) release-legal-hold

##@ Database
.PHONY: migrate rollback migration migrations preview rehearse adopt drift rotate-login
migrate: .venv/product ## Apply pending migrations [TO=] [VERBOSE=1]
	@$(OPS) migrate

rollback: .venv/product ## Roll migrations back TO= or STEPS= [YES=1 VERBOSE=1]
	@$(OPS) rollback

migration: .venv/product ## Write a new, empty migration NAME=add_bio_column
	@$(OPS) migration

migrations: .venv/product ## List the migrations: state, when, by whom, how long, drift [JSON=1]
	@$(OPS) migrations

preview: .venv/product ## Show the SQL of a run, squawk's findings and its locks [TO= STEPS= DOWN=1]
	@$(OPS) preview

rehearse: .venv/product ## Try pending migrations and their rollback on a copy of the schema
	@$(OPS) rehearse

drift: .venv/product ## Compare the live schema with what its migrations make
	@$(OPS) drift

rotate-login: .venv/product ## Give the profiles function a new password
	@$(OPS) rotate-login

adopt: .venv/product ## Take a database with the tables but no history as it is [YES=1]
	@$(OPS) adopt

# An environment that was moved, or whose Python is another by now or gone, is made again
ifneq ($(shell cat .venv/place 2>/dev/null),$(CURDIR) $(realpath .venv/bin/python))
.venv/product .venv/development: made-again
made-again:
endif

.venv/product: requirements/uv.txt requirements/product.txt
	@$(PYTHON) local/virtual_environment.py product
	@touch $@

.venv/development: requirements/uv.txt requirements/development.txt
	@$(PYTHON) local/virtual_environment.py development
	@touch $@ .venv/product
