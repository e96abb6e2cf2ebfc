# Two commands: `make run` shows the whole graph on the sample clip, `make test` runs the whole test suite.
# TORCH=cpu takes builds of torch without CUDA, a third of the size; uv knows where PyTorch offers them.
PYTHON ?= python3
TORCH ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
# TrackEval scores `eval mot`, trackers links its baselines, supervision takes their records and ours. All three ask for
# opencv-python, which would overwrite opencv-python-headless: they are installed without it, with what else they need.
NO_DEPS := 'trackeval>=1.3' tabulate 'trackers>=2.6' 'supervision>=0.26' defusedxml pydeprecate

.PHONY: setup run test check clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] + "; try: make setup PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@case "$(TORCH)" in ""|cpu) ;; *) echo 'TORCH: expected cpu, or nothing for the ordinary builds, got "$(TORCH)"' >&2; exit 2;; esac
	@test -n "$(TORCH)" || test -x $(BIN)/python || test "$$(uname -sm)" != "Linux x86_64" || \
		command -v nvidia-smi >/dev/null 2>&1 || \
		echo 'No NVIDIA GPU is seen here, and torch brings 5 GB for one: make run TORCH=cpu sets up without them.'
	@set -e; if command -v uv >/dev/null 2>&1; then \
		test -x $(BIN)/python || uv venv --python $(PYTHON) .venv; \
		test -z "$(TORCH)" || uv pip install --python $(BIN)/python --torch-backend $(TORCH) torch torchvision; \
		uv pip install --python $(BIN)/python -e '.[text,dev]'; \
		uv pip install --python $(BIN)/python --no-deps $(NO_DEPS); \
	else \
		test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
		test -z "$(TORCH)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
		test -z "$(TORCH)" || $(BIN)/uv pip install --python $(BIN)/python --torch-backend $(TORCH) torch torchvision; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[text,dev]'; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(NO_DEPS); \
	fi
	@touch $(INSTALLED)

run: setup
	$(BIN)/streamvos run sample:bikes --classes person,bicycle,car --out out --resume
	$(BIN)/streamvos ask out/bikes "when did the first bicycle appear?"
	$(BIN)/streamvos ask out/bikes "how many cars were there at once?"

test: setup check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

clean:
	rm -rf out .pytest_cache .ruff_cache .import_linter_cache
