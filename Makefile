# make recover [INPUT=picture or folder] [OUTPUT=folder]   recover faces; without INPUT, of a sample portrait
# make serve [PORT=8500] [REST_PORT=8501]                  serve saved_models/ifrp on this machine
# make demo [DEMO_PORT=7860] [SERVER=grpc://host:8500]      a web page for this machine
# make demo-browser                                        the page's test in Chromium; installs what it needs
# make site-demo [SITE=site]                               a page without a server, for any static host; needs npm
# make docs                                                the site of the documentation, into build/docs
# make figures                                             its figures, into docs/figures
# make test                                                run the tests
# make check                                               lint, format, types, imports
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= recovered
PORT ?= 8500
REST_PORT ?= 8501
DEMO_PORT ?= 7860
SITE ?= site
ORT_WEB := onnxruntime-web@1.30.0

.PHONY: recover serve demo demo-browser site-demo docs figures test test-slow check install-check clean
.DEFAULT_GOAL := recover

# The stamp is remade whenever a file that names dependencies is newer.
$(VENV)/.runtime: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the runtime packages into $(VENV) (about 700 MB, once) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.serve: pyproject.toml $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[serve]'
	@touch $@

$(VENV)/.development: pyproject.toml $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[serve,docs,test,check]'
	@touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.runtime
	@echo "Installing Gradio into $(VENV) (about 250 MB, once) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.browser: $(VENV)/.demo $(VENV)/.development
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,browser]'
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	  $$(command -v sudo) apt-get install -y --no-install-recommends chromium chromium-driver
	@touch $@

$(VENV)/.onnx: pyproject.toml $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[onnx]'
	@touch $@

# Beside the environment, and ignored as it is.
$(VENV)/npm/.$(ORT_WEB): $(VENV)/.runtime
	@command -v npm >/dev/null || { echo "npm is needed: it comes with Node.js." >&2; exit 2; }
	@npm install --prefix $(VENV)/npm --ignore-scripts --no-audit --no-fund --no-save --silent $(ORT_WEB)
	@touch $@

recover: $(VENV)/.runtime
ifdef INPUT
	@$(BIN)/python tools/recover.py --input="$(INPUT)" --output="$(OUTPUT)" --side_by_side
else
	@$(BIN)/python tools/sample_portrait.py --output="$(OUTPUT)/portrait/sample.png"
	@$(BIN)/python tools/recover.py --input="$(OUTPUT)/portrait/sample.png" --output="$(OUTPUT)" --side_by_side --overwrite
	@echo "Look at $(OUTPUT)/sample_side_by_side.png: portrait | recovered face"
endif

serve: $(VENV)/.serve
	@exec $(BIN)/python tools/serve.py --model_name=ifrp --model_base_path=saved_models/ifrp --port=$(PORT) --rest_api_port=$(REST_PORT)

demo: $(VENV)/.demo
	@exec $(BIN)/python tools/demo.py --port=$(DEMO_PORT) $(if $(SERVER),--server=$(SERVER))

demo-browser: $(VENV)/.browser $(VENV)/npm/.$(ORT_WEB)
	@$(BIN)/python -m pytest tests/demo/test_page.py tests/demo/test_site.py

site-demo: $(VENV)/.onnx $(VENV)/npm/.$(ORT_WEB)
	@$(BIN)/python tools/site_demo.py --output="$(SITE)" --runtime=$(VENV)/npm/node_modules/onnxruntime-web

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build
	@echo "Open build/docs/index.html, or run: python -m http.server --directory=build/docs"

figures: $(VENV)/.runtime
	@PYTHONPATH=. $(BIN)/python docs/draw_figures.py

test: $(VENV)/.development
	@$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(VENV)/.development
	@$(BIN)/python -m pytest -n 2 -m slow $(if $(ONLY),-k "$(ONLY)")

check: $(VENV)/.development
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

install-check:
	@bash hardening/install_check.sh

clean:
	rm -rf $(VENV) recovered build dist *.egg-info
