# make demo: install into .venv and run the main job on the synthetic set.  make test: the checks CI runs.
# make docs: the documentation as a site, in build/site.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: demo test lint docs bench compiler clean

demo: $(INSTALLED) compiler
	$(BIN)/ppg-nas run configs/demo.yaml
	@echo
	@echo "The commands are in $(BIN); reach them by their names with: . $(BIN)/activate"
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xdg-open >/dev/null 2>&1; then \
	  xdg-open runs/demo/report.html >/dev/null 2>&1 & fi

test: $(INSTALLED) compiler lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

docs: $(INSTALLED)
	$(BIN)/python -m mkdocs build --strict

bench: $(INSTALLED) compiler
	$(BIN)/python -m benchmarks $(NAME) --json

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch numpy
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,export,formats]'
	touch $@

# The Arm compiler: Debian's where it is or can be installed, else clang from PyPI.
compiler: $(INSTALLED)
	@command -v arm-none-eabi-gcc >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && apt-get update -qq >/dev/null 2>&1 \
	    && apt-get install -y -qq --no-install-recommends gcc-arm-none-eabi >/dev/null 2>&1; then :; \
	  else echo "arm-none-eabi-gcc is not installed (sudo apt-get install gcc-arm-none-eabi); using clang from PyPI"; \
	    $(BIN)/pip install --quiet --constraint constraints.txt ziglang; fi; }

clean:
	rm -rf $(VENV) build *.egg-info
