# `make demo` and `make test` need nothing but Python 3.10 or newer: each makes .venv itself.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.10 python3.13 python3; do command -v $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST_FLAGS ?=
# LOCKED=1 installs what requirements.lock names, every file by its hash; PyTorch by its version, since its builds differ.
LOCKED ?=

.PHONY: demo test test-pythons test-lowest check lint site bench reproduce torture fuzz lock sbom audit licenses docs gallery clean

demo: $(READY)
	$(BIN)/fer-lmdb demo

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

# The tests with every other Python that setup.py allows, each in an environment of its own, with the newest packages.
PYTHONS ?= python3.10 python3.12 python3.13
test-pythons:
	for python in $(PYTHONS); do \
	  $(MAKE) test PYTHON=$$python VENV=.venv-$$python || exit 1; \
	done

# The tests with the lowest versions that setup.py allows.
LOWEST := .venv-lowest
test-lowest: $(VENV)/.tools
	$(PYTHON) -m venv $(LOWEST)
	$(VENV)/tools/bin/uv pip compile --quiet --resolution lowest-direct --extra dev --extra onnx \
	  --python $(LOWEST)/bin/python --output-file $(LOWEST)/requirements.txt setup.py
	$(VENV)/tools/bin/uv pip install --quiet --python $(LOWEST)/bin/python --requirement $(LOWEST)/requirements.txt
	$(VENV)/tools/bin/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --editable .
	$(LOWEST)/bin/python -m pytest $(PYTEST_FLAGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint site test

CSV ?= data/fer2013.csv
DATA ?= data/fer2013

# Writes docs/benchmarks.md; takes about an hour on two idle cores. The environments of the others are made once.
bench: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/net_overhead.py --write docs/benchmarks.md
	$(BIN)/python benchmarks/training.py --data $(DATA) --write docs/benchmarks.md
	$(BIN)/python benchmarks/inference.py --write docs/benchmarks.md
	$(BIN)/python benchmarks/loader.py --data $(DATA) --write docs/benchmarks.md
	$(BIN)/python benchmarks/sizes.py --csv $(CSV) --write docs/benchmarks.md
	$(BIN)/python benchmarks/detectors.py --csv $(CSV) --write docs/benchmarks.md
	$(BIN)/python benchmarks/end_to_end.py --write docs/benchmarks.md

# Reproduces the pretrained models with their data sets and teachers, then evaluates old and new on the validation
# split. An interrupted run is resumed by the same command; `tools/reproduce.py --show` prints the steps.
MODEL ?= fer_mini
VOTES ?= data/fer2013new.csv
reproduce: $(READY)
	$(BIN)/python tools/reproduce.py $(MODEL) --csv "$(CSV)" --votes "$(VOTES)"

# Kills builds and trainings N times each, at random moments, and compares what is left; see docs/reliability.md.
N ?= 20
torture: $(READY)
	$(BIN)/python benchmarks/torture_build.py --kills $(N)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/torture_train.py --kills $(N)

# The generated pages of the documentation.
docs: $(READY)
	$(BIN)/python tools/write_docs.py

# The documentation as web pages, in build/site; index.html can be opened from the disk. The variable keeps the theme's
# notice about its successor out of every build.
site: $(READY)
	@# Not --quiet: it keeps warnings from being counted, so that nothing would fail.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo 'The site: build/site/index.html'

# The images of README.md and docs/; those of web pages need chromium.
gallery: $(READY)
	$(BIN)/python docs/gallery.py

$(READY): setup.py constraints.txt
	@echo 'Installing PyTorch, OpenCV and what else fer-lmdb needs into $(VENV): once, a few minutes, 2.3 GB (more with CUDA).'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip setuptools wheel
ifdef LOCKED
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check
else
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs,hdf5,heif,onnx,ssd,web]'
endif
	@# opencv-python needs libGL, which a bare server lacks: the headless wheel does everything but open windows.
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
	  echo 'No libGL here: taking opencv-python-headless (all but live windows).'; \
	  $(BIN)/python -m pip uninstall --quiet --yes opencv-python; \
	  $(BIN)/python -m pip install --quiet 'opencv-python-headless<5'; }
	@touch $(READY)

# Mutates files of every kind and lets every reader meet them; finds land in build/finds.
SECONDS ?= 600
SEED ?= 0
fuzz: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seconds $(SECONDS) --seed $(SEED)

# Dependencies: what they are pinned to, their licenses, a bill of materials, known vulnerabilities.
TOOLS := uv cyclonedx-bom pip-audit
$(VENV)/.tools: $(READY)
	$(PYTHON) -m venv $(VENV)/tools
	$(VENV)/tools/bin/python -m pip install --quiet $(TOOLS)
	touch $@

lock: $(VENV)/.tools
	$(VENV)/tools/bin/python tools/lock.py

sbom: $(VENV)/.tools
	mkdir -p build
	$(VENV)/tools/bin/cyclonedx-py environment --output-reproducible --output-file build/sbom.json $(BIN)/python

audit: $(VENV)/.tools
	$(VENV)/tools/bin/pip-audit --require-hashes --disable-pip -r requirements.lock

licenses: $(READY)
	$(BIN)/python tools/licenses.py

clean:
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache
