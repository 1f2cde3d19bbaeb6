# Needs Python 3.11 or later, make and a package index. `make` alone lists the targets.
PYTHON ?= python3
# Where torch comes from: empty for pip's own index; an address for another build, such as CPU only.
TORCH_INDEX ?=
# What is installed beside the base; CI adds ray.
EXTRAS ?= train,serve,dev
# For `make quickstart` and `make bench-organic`: UCI's online_retail_II.xlsx; for the former also a
# directory with logs, or empty for a made-up shop.
SHOP ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
PACKAGES := mdp policies ingestion generation simulator envs agents evaluation serving scripts
# Small networks and two busy cores: more than one thread made the tests eight times slower.
export OMP_NUM_THREADS ?= 1

.PHONY: help install quickstart serve test test-all clean-env lint audit proof proof-crashes proof-connections bench bench-offline bench-agents bench-serving bench-simulator bench-fidelity bench-organic bench-scale bench-ope bench-evaluation

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with everything in it (the other targets do so by themselves)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"pushwise needs Python 3.11 or later, and $(PYTHON) is {v.major}.{v.minor}: make install PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch -c constraints.txt
	$(BIN)/pip install -q -e '.[$(EXTRAS)]' -c constraints.txt
	@touch $@

quickstart: $(INSTALLED) ## a demo shop (or SHOP=FILE) from logs to a policy and what it is worth
	$(BIN)/python -m scripts.quickstart $(if $(SHOP),--shop $(SHOP))

serve: $(INSTALLED) ## serve the policy that `make quickstart` trained
	@test -d runs/quickstart/ppo || { echo "no policy in runs/quickstart/ppo: run 'make quickstart' first" >&2; exit 1; }
	$(BIN)/pushwise serve runs/quickstart/ppo --store sqlite:///runs/quickstart/store.db

# A worker takes neighbouring tests, so that what they share is made once, and helps when it is done.
test: $(INSTALLED) ## the fast tests; says how many slow ones it leaves out
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

test-all: test ## the fast tests, then the slow ones
	$(BIN)/python -m pytest -m slow || test $$? -eq 5 # 5: there is no slow test

clean-env: $(INSTALLED) ## of the slow tests, those that install the wheel into environments of their own
	$(BIN)/python -m pytest tests/contracts/test_clean_environments.py

lint: $(INSTALLED) ## ruff, the layers, bandit and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/bandit -q -r -ll $(PACKAGES)
	$(BIN)/mypy

audit: ## known vulnerabilities of the versions that are pinned; needs the network
	test -x .venv/audit/bin/pip-audit || { $(PYTHON) -m venv .venv/audit && .venv/audit/bin/pip install -q pip-audit; }
	.venv/audit/bin/pip-audit -r constraints.txt --no-deps --disable-pip --strict

proof: $(INSTALLED) ## reproduce the figures that the README claims
	$(BIN)/python -m benchmarks.proof

bench-offline: $(INSTALLED) ## compare agents that learn from logs alone with the baselines, in truth
	$(BIN)/python -m benchmarks.offline

bench-agents: $(INSTALLED) ## what every policy earns in truth, in four worlds; resumable, hours
	$(BIN)/python -m benchmarks.agents

proof-crashes: $(INSTALLED) ## kill -9 the server under load, 50 times, on SQLite and on PostgreSQL
	$(BIN)/python -m benchmarks.crashes --store sqlite
	$(BIN)/python -m benchmarks.crashes --store postgresql

proof-connections: $(INSTALLED) ## the server under 10,000 connections, a tenth of them slow
	$(BIN)/python -m benchmarks.connections

bench: $(INSTALLED) ## measure the speed of the hot paths
	$(BIN)/python -m benchmarks.run

bench-simulator: $(INSTALLED) ## measure environment steps a second beside CartPole's
	$(BIN)/python -m benchmarks.simulator

bench-fidelity: $(INSTALLED) ## measure simulated against true values, and what fidelity cards say
	$(BIN)/python -m benchmarks.agents --out runs/fidelity --algos dqn ppo --shops 2
	$(BIN)/python -m benchmarks.fidelity runs/fidelity

bench-organic: $(INSTALLED) ## measure how real customers' later purchases are simulated; SHOP=FILE
	@test -n "$(SHOP)" || { echo "say whose purchases: make bench-organic SHOP=online_retail_II.xlsx" >&2; exit 1; }
	$(BIN)/python -m benchmarks.organic --shop $(SHOP)

bench-serving: $(INSTALLED) ## measure the server beside a bare FastAPI endpoint
	$(BIN)/python -m benchmarks.serving

bench-evaluation: $(INSTALLED) ## measure time and memory of off-policy evaluation by number of rows
	$(BIN)/python -m benchmarks.evaluation speed
	$(BIN)/python -m benchmarks.evaluation memory

bench-ope: $(INSTALLED) ## measure bias, error and coverage of every off-policy estimator
	$(BIN)/python -m benchmarks.ope

bench-scale: $(INSTALLED) ## measure time and memory of clean and check, fit and simulate by size
	$(BIN)/python -m benchmarks.cleaning
	$(BIN)/python -m benchmarks.scale
