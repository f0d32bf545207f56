# Each command makes the environment that it needs; a second run reuses it. PYTHON=/path/to/python chooses the Python.

.PHONY: help notebooks lab outputs student grade test test-portable test-backends test-colab bench lock clean .venv .venv-jax .venv-torch .venv-colab
python := .venv/bin/python

help:
	@echo "make notebooks      run every notebook; executed copies and HTML pages go to build/notebooks/"
	@echo "make lab            open JupyterLab on the notebooks"
	@echo "make test           lint, unit tests, docstring examples, every notebook against its stored outputs"
	@echo "make test-portable  the notebooks again, with the instructions of older processors"
	@echo "make test-backends  the unit tests on JAX and on PyTorch"
	@echo "make test-colab     the notebooks in a twin of Colab's environment (needs a Python 3.13)"
	@echo "make bench          the benchmarks of speed: recurrent, crf, decoding, word2vec, gpu"
	@echo "make student        the lessons with tasks instead of solutions, in build/student/"
	@echo "make grade          grade notebooks: SUBMISSIONS=folder [LESSON=notebook HIDDEN=folder OUT=folder ISOLATION=namespaces]"
	@echo "make outputs        run every notebook and store its outputs in notebooks/"
	@echo "make lock           pin the dependencies again (needs uv)"
	@echo "make clean          remove the environments and build/"

notebooks: .venv
	@$(python) tools/notebooks.py

outputs: .venv
	@$(python) tools/notebooks.py --in-place

student: .venv
	@$(python) tools/student.py

grade: .venv
	@$(python) -m rnnkit.course grade $(SUBMISSIONS) $(if $(LESSON),--lesson $(LESSON)) $(if $(HIDDEN),--hidden $(HIDDEN)) \
		$(if $(OUT),--out $(OUT)) $(if $(ISOLATION),--isolation $(ISOLATION))

lab: .venv
	@$(python) -m jupyterlab --notebook-dir=notebooks

test: .venv
	@$(python) -m pytest

test-portable: .venv
	ONEDNN_MAX_CPU_ISA=AVX2 $(python) -m pytest notebooks tests/test_notebooks.py
	ONEDNN_MAX_CPU_ISA=SSE41 $(python) -m pytest notebooks tests/test_notebooks.py

test-backends: .venv-jax .venv-torch
	KERAS_BACKEND=jax .venv-jax/bin/python -m pytest tests
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest tests

test-colab: .venv .venv-colab
	@sh tools/test_colab.sh

bench: .venv-torch
	@for question in recurrent crf decoding word2vec; do .venv-torch/bin/python benchmarks/$$question.py || exit 1; done
	@KERAS_BACKEND=torch .venv-torch/bin/python benchmarks/gpu.py

lock:
	uv pip compile pyproject.toml --extra notebooks --extra test --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock

clean:
	rm -rf build .venv .venv-jax .venv-torch .venv-colab

.venv .venv-jax .venv-torch .venv-colab:
	@sh tools/environment.sh $@
