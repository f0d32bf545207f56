# Each command makes the environment that it needs; a second run reuses it. PYTHON=/path/to/python chooses the Python,
# JOBS=4 the number of tests that run at the same time.

.PHONY: help notebooks lab outputs student grade check test test-portable test-jax test-torch test-backends test-colab tables bench lock clean .venv .venv-jax .venv-torch .venv-colab
python := .venv/bin/python
JOBS ?= 2
pytest = -m pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder  # a lesson's cells stay together

help:
	@echo "make notebooks      run every notebook; executed copies and HTML pages go to build/notebooks/"
	@echo "make lab            open JupyterLab on the notebooks"
	@echo "make check          lint, types and tests: two cases of each, none that is slow: after each change"
	@echo "make test           everything: also the slow tests, and every notebook against its stored outputs"
	@echo "make test-portable  the notebooks again, with the instructions of older processors"
	@echo "make test-backends  the unit tests on JAX and on PyTorch (or one of them: test-jax, test-torch)"
	@echo "make test-colab     the notebooks in a twin of Colab's environment (needs a Python 3.13)"
	@echo "make bench          the benchmarks of speed: recurrent, crf, decoding, word2vec, columns, gpu"
	@echo "make tables         write docs/benchmarks.md from benchmarks/results/"
	@echo "make student        the lessons with tasks instead of solutions, in student/: the badges open these"
	@echo "make grade          grade notebooks: SUBMISSIONS=folder [LESSON=notebook HIDDEN=folder OUT=folder ISOLATION=namespaces]"
	@echo "make outputs        run every notebook, store its outputs in notebooks/ and its copy in student/"
	@echo "make lock           pin the dependencies again (needs uv)"
	@echo "make clean          remove the environments and build/"

notebooks: .venv
	@$(python) tools/notebooks.py

outputs: .venv
	@$(python) tools/notebooks.py --in-place
	@$(python) tools/student.py

student: .venv
	@$(python) tools/student.py

grade: .venv
	@$(python) -m rnnkit.course grade $(SUBMISSIONS) $(if $(LESSON),--lesson $(LESSON)) $(if $(HIDDEN),--hidden $(HIDDEN)) \
		$(if $(OUT),--out $(OUT)) $(if $(ISOLATION),--isolation $(ISOLATION))

lab: .venv
	@$(python) -m jupyterlab --notebook-dir=notebooks

check: .venv
	@$(python) $(pytest) -m "not slow" --cases 2 rnnkit tests

test: .venv
	@$(python) $(pytest)

test-portable: .venv
	ONEDNN_MAX_CPU_ISA=AVX2 $(python) $(pytest) notebooks tests/test_notebooks.py
	ONEDNN_MAX_CPU_ISA=SSE41 $(python) $(pytest) notebooks tests/test_notebooks.py

test-backends: test-jax test-torch

test-jax: .venv-jax
	KERAS_BACKEND=jax .venv-jax/bin/python $(pytest) tests

test-torch: .venv-torch
	KERAS_BACKEND=torch .venv-torch/bin/python $(pytest) tests

test-colab: .venv .venv-colab
	@sh tools/test_colab.sh

bench: .venv-torch
	@for question in recurrent padded_batches crf decoding word2vec columns; do .venv-torch/bin/python benchmarks/$$question.py || exit 1; done
	@KERAS_BACKEND=torch .venv-torch/bin/python benchmarks/gpu.py

tables: .venv
	@$(python) benchmarks/tables.py

lock:
	uv pip compile pyproject.toml --extra notebooks --extra test --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock

clean:
	rm -rf build .venv .venv-jax .venv-torch .venv-colab

.venv .venv-jax .venv-torch .venv-colab:
	@sh tools/environment.sh $@
