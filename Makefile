# Two commands: `make run` shows the whole graph on the sample clip, `make test` runs the whole test suite.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# TrackEval scores `eval mot`, supervision takes our records in tests. Both ask for opencv-python, which would overwrite
# opencv-python-headless: they are installed without it, with what else they need.
NO_DEPS := 'trackeval>=1.3' tabulate 'supervision>=0.26' defusedxml pydeprecate

.PHONY: setup run test check clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] + "; try: make setup PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@set -e; if command -v uv >/dev/null 2>&1; then \
		test -x $(BIN)/python || uv venv --python $(PYTHON) .venv; \
		uv pip install --python $(BIN)/python -e '.[text,dev]'; \
		uv pip install --python $(BIN)/python --no-deps $(NO_DEPS); \
	else \
		test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
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
