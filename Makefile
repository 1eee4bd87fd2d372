# Two commands do everything: `make demo` shows upres at work, `make test` checks all of it.
PYTHON ?= python3
LIGHT := .venv/light
LAB := .venv/lab

.PHONY: demo test lint lab clean

demo: $(LIGHT)/.done
	$(LIGHT)/bin/python examples/demo.py

test: $(LAB)/.done lint
	OMP_NUM_THREADS=1 $(LAB)/bin/pytest --numprocesses=auto --maxprocesses=8 --dist=worksteal

lint: $(LAB)/.done
	$(LAB)/bin/ruff check .
	$(LAB)/bin/ruff format --check .
	$(LAB)/bin/mypy
	$(LAB)/bin/lint-imports

lab: $(LAB)/.done

# The upscaler alone: no torch.
$(LIGHT)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/pip install --quiet --constraint constraints.txt --editable .
	touch $@

# The workbench and what checks it.
$(LAB)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(LAB)
	$(LAB)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(LAB)/bin/pip install --quiet --constraint constraints.txt --editable ".[lab,ort,ray]" --group dev
	touch $@

clean:
	rm -rf .venv out
