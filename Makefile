# Everything is made from here: `make lab` opens the tour, `make tour` prints it, `make test` tests it all.
.DELETE_ON_ERROR:
.PHONY: help setup lab tour test course-v2 check frontend docs bench clean

PYTHON := .venv/bin/python
PINS := pyproject.toml constraints.txt tools/venv.sh
LISTS := tools/packages.txt tools/system.sh
TEST_LISTS := $(LISTS) tools/packages-test.txt

help:
	@echo "make setup   .venv with nbcontainer, and the busybox image"
	@echo "make lab     JupyterLab on notebooks/00-tour.ipynb"
	@echo "make tour    the same notebook without a browser: its outputs, as text"
	@echo "make test    ruff, mypy, pytest and the notebooks; as root also as ordinary users"
	@echo "make course-v2  all lessons on a virtual host with cgroup v2, as root and as an ordinary user; takes root"
	@echo "make frontend  the widgets' scripts: types, tests, and that those committed are what their sources give"
	@echo "make docs    the documentation, in site/"
	@echo "make bench   speed and size, beside Docker, Podman and runc"
	@echo "make clean   remove .venv"

setup: .venv/setup

.venv/system: $(LISTS)
	@tools/system.sh tools/packages.txt
	@mkdir -p .venv && touch $@

.venv/setup: $(PINS) .venv/system
	@tools/venv.sh .venv
	@$(PYTHON) -m nbcontainer image bootstrap busybox
	@touch $@

.venv/notebook: .venv/setup
	@tools/venv.sh .venv notebook
	@touch $@

.venv/test-system: $(TEST_LISTS)
	@tools/system.sh tools/packages.txt tools/packages-test.txt
	@mkdir -p .venv && touch $@

.venv/test: .venv/test-system .venv/setup
	@tools/venv.sh .venv test,browser
	@touch $@

.venv/docs: .venv/setup
	@tools/venv.sh .venv docs
	@touch $@

# Jupyter refuses root unless told; the notebook's containers are no more root than anybody's.
# What it prints is the address of the tour, for who opens it by hand.
lab: .venv/notebook
	.venv/bin/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) \
		--ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/00-tour.ipynb

tour: .venv/notebook
	@$(PYTHON) tools/tour.py notebooks/00-tour.ipynb

check: .venv/test
	.venv/bin/ruff check .
	.venv/bin/mypy

# What pages are sent is committed, so that only who changes it needs node.
frontend: .venv/test-system
	tools/frontend.sh

# Warnings are errors: a page that nothing links to, a link that leads nowhere. Nothing is fetched.
docs: .venv/docs
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --quiet --strict
	@$(PYTHON) tools/docs/links.py site

test: check frontend docs
	tools/suite.sh

# `make test` runs there the lessons that have most to do with control groups.
course-v2: .venv/test
	NBCONTAINER_WHOLE_COURSE=1 $(PYTHON) -m pytest -v $(wildcard tests/virtual_host/test_course_as_*.py)

bench: .venv/test
	$(PYTHON) -m benchmarks.run
	$(PYTHON) -m benchmarks.networks
	$(PYTHON) -m benchmarks.usage
	$(PYTHON) -m benchmarks.widgets

clean:
	rm -rf .venv site
