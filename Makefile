# Every target sets the virtual environment up first; scripts/bootstrap.sh does nothing when it is already right.
# Another interpreter: make PYTHON=/path/to/python3.12 demo
PYTHON ?=
DATA_DIR ?= .rebalance
PORT ?= 8000
SEEDS ?= 3
PY := .venv/bin/python
BIN := .venv/bin
# Tests start some hundred Pythons: compiled files are kept, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo serve check lint test golden bench campaign images push secrets deploy-test \
	deploy-campaign clean distclean

help:
	@echo "make demo       three experiments on the built-in data, and their comparison"
	@echo "make serve      Ray, MLflow and the API on DATA_DIR=$(DATA_DIR) PORT=$(PORT), until Ctrl-C"
	@echo "make check      format, lint, types, import contracts, unit tests: before every commit"
	@echo "make test       check, and the contract, integration and end-to-end tests"
	@echo "make golden     rewrites tests/golden/ and trainer/spec/catalogue/ from the code as it is; then read the difference"
	@echo "make bench      every benchmark in benchmarks/"
	@echo "make campaign   CAMVID=DIR SEEDS=$(SEEDS) DATA_DIR=$(DATA_DIR): docs/results/{faults,kills}.json, recipes.md, table1-camvid.md again"
	@echo "make images     the container images; REGISTRY=HOST/PATH before their names, CUDA=1 the trainer for GPUs, too; make push also pushes"
	@echo "make secrets    secrets/ and .env for docker compose; what is there is kept"
	@echo "make deploy-test      images and docker-compose.yml in an engine of its own: up, smoke test, kills, down; needs root"
	@echo "make deploy-campaign  the same with more faults: docs/results/deploy.json again"
	@echo "make clean      caches and build outputs; distclean also .venv; neither touches DATA_DIR"

setup:
	@PYTHON="$(PYTHON)" sh scripts/bootstrap.sh

demo: setup
	@$(BIN)/rebalance demo --data-dir "$(DATA_DIR)"

serve: setup
	@$(BIN)/rebalance serve --data-dir "$(DATA_DIR)" --port $(PORT)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.toml

check: lint
	$(PY) -m pytest -q -n 2 --dist loadfile -m "not slow" tests/unit

# The unit tests come first: what they find needs no cluster to be seen. The contract's are shared out by number:
# Schemathesis gives all operations of a test one id, and of one id --dist loadfile runs a single one.
test: check
	$(PY) -m pytest -q -n 2 --dist loadfile -m slow tests/unit
	$(PY) -m pytest -q -n 2 --dist loadfile --database postgres tests/unit/service/reconcile -m "not slow"
	$(PY) -m pytest -q -n 2 --dist load tests/contract
	$(PY) -m pytest -q tests --ignore=tests/unit --ignore=tests/contract -m "not deploy"

golden: setup
	$(PY) -m trainer.mmseg_adapter.shipped
	$(PY) -m trainer.mmseg_adapter.shipped.recipes
	UPDATE_GOLDEN=1 $(PY) -m pytest -q tests/unit tests/integration -k golden

bench: setup
	@sh scripts/bench.sh

campaign: setup
	@test -n "$(CAMVID)" || { echo "make campaign: say where CamVid lies: make campaign CAMVID=DIR (docs/datasets.md)" >&2; exit 2; }
	FAULT_ROUNDS=3 FAULTS_WRITE=docs/results/faults.json $(PY) -m pytest -q -s tests/e2e/test_sweep_faults.py
	FAULTS_ROUNDS=4 FAULTS_WRITE=docs/results/faults.json $(PY) -m pytest -q -s tests/faults
	PARITY=all RECIPES=all $(PY) -m pytest -q tests/integration/parity
	RECIPES=all RECIPES_WRITE=docs/results/recipes.md $(PY) -m pytest -q tests/integration/test_recipe_rows.py
	EXPORTS=all EXPORTS_WRITE=docs/results/exports.md $(PY) -m pytest -q tests/integration/test_export_catalogue.py
	CATALOGUE=all $(PY) -m pytest -q tests/unit/trainer/mmseg_adapter/shipped/test_catalogue.py
	KILLS=20 KILLS_WRITE=docs/results/kills.json $(PY) -m pytest -q -s tests/integration/test_kills.py
	$(PY) scripts/campaign.py --camvid "$(CAMVID)" --seeds $(SEEDS) --data-dir "$(DATA_DIR)" --write docs/results/table1-camvid.md

images:
	@sh scripts/images.sh

push:
	@sh scripts/images.sh push

secrets:
	@sh scripts/secrets.sh

deploy-test: setup
	$(PY) -m pytest -q -s -m deploy tests/deploy/containers/test_containers.py

deploy-campaign: setup
	HOSTS=all HOSTS_WRITE=docs/results/deploy.json $(PY) -m pytest -q -s tests/deploy/hosts
	DEPLOY_WRITE=docs/results/deploy.json $(PY) -m pytest -q -s -m deploy tests/deploy/containers

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -path "./$(DATA_DIR)" -prune -o -name __pycache__ -type d -print | xargs rm -rf

distclean: clean
	rm -rf .venv
