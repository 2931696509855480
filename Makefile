# Every target sets itself up from a fresh clone; only python3 (3.11 or later) and make are needed.
VENV := .venv
BIN := $(VENV)/bin
TRAIN_VENV := .venvs/train

.PHONY: help demo test test-slow test-matrix check lint types bench eval train train-venv jaeger redis postgres chromium node-clients locks clean venv bench-relay

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

venv:
	@scripts/venv.sh $(VENV) locks/dev.txt

demo: venv ## a real SDK call inspected, one blocked, both as spans
	@$(BIN)/llmtrace demo

test: venv ## the core suite, with a few SDKs
	$(BIN)/pytest -m "not slow and not matrix"

test-slow: venv ## the long tests of the core suite (10,000 aborted streams, big bodies, Jaeger)
	$(BIN)/pytest -m slow

test-matrix: venv ## every SDK, in environments of their own
	scripts/matrix.sh

lint: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: venv
	$(BIN)/mypy

check: lint types test ## ruff, mypy strict, the core suite

bench: venv ## what llmtrace adds to a call, and the detection engine by itself
	$(BIN)/python -m benchmarks

bench-relay: venv ## the relay beside a bare proxy; LITELLM=1 beside LiteLLM's as well (600 MB, outside the tree)
	$(BIN)/python -m benchmarks.relay $(if $(LITELLM),--litellm)

train-venv:
	@test -n "$(LLMTRACE_DATA)" || { echo "LLMTRACE_DATA is not set: it names the folder of the labelled rows" >&2; exit 2; }
	@scripts/venv.sh $(TRAIN_VENV) locks/train.txt

eval: train-venv ## every figure of the detectors that has a target, from the rows in LLMTRACE_DATA
	@$(TRAIN_VENV)/bin/python -m tools.evaluate

train: train-venv ## the classifier's weights anew, from the corpus and the rows in LLMTRACE_DATA
	@$(TRAIN_VENV)/bin/python -m tools.train

jaeger: ## find or build Jaeger, outside the tree
	scripts/jaeger.sh

redis: ## find Redis, else get it with apt
	scripts/redis.sh

postgres: ## find PostgreSQL, else get it with apt
	scripts/postgres.sh

node-clients: ## find the Node clients that the relay is tested with, else get them with npm
	scripts/node_clients.sh

chromium: ## find Chromium, else get it with apt
	scripts/chromium.sh

locks: venv ## resolve the lock files anew
	scripts/lock.sh

clean:
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis
