#!/bin/sh
# Makes one of the project's environments, unless it is there, complete and up to date:
#     tools/environment.sh .venv | .venv-jax | .venv-torch | .venv-colab
# Uses uv where it is installed, else pip. Needs the network; a finished environment does not.
set -eu
cd "$(dirname "$0")/.."
folder=$1
stamp=$folder/complete                # written last: an interrupted installation has none
state=$(pwd && cat requirements.lock pyproject.toml tools/environment.sh tools/colab.txt | cksum)

fail() {
    echo "$@" >&2
    exit 1
}

have_uv() { uv --version >/dev/null 2>&1; }

find_python() {  # prints the path of the first Python whose version is among the arguments
    wanted=" $* "
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python python3.13 python3.12 python3.11 "$HOME"/.pyenv/versions/3.1[123].*/bin/python
    fi
    for candidate; do
        # The path of the real interpreter, as an active virtual environment may be the one that is made again.
        found=$("$candidate" -c 'import os, sys; print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable))' \
            2>/dev/null) || continue
        case "$wanted" in *" ${found%% *} "*) echo "${found#* }"; return ;; esac
    done
    return 1
}

create() {  # an empty environment with the first Python whose version is among the arguments
    interpreter=$(find_python "$@") ||
        fail "$folder needs a Python among $*${PYTHON:+, and $PYTHON is none}." \
            "Install one, or name it: make PYTHON=/path/to/python"
    have_uv || "$interpreter" -c "import ensurepip, venv" 2>/dev/null ||
        fail "$interpreter has no venv module. On Debian and Ubuntu: apt install python3-venv"
    echo "Making $folder with $("$interpreter" --version): some minutes the first time."
    rm -rf "$folder"
    if have_uv; then uv venv --quiet --seed --python "$interpreter" "$folder"; else "$interpreter" -m venv "$folder"; fi
}

# --use-pep517: old versions of pip run the setup.py of a source package, and that of seqeval fails there.
pip_install() { "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --use-pep517 "$@"; }

install() {
    if have_uv; then uv pip install --quiet --compile-bytecode --python "$folder/bin/python" "$@"; else pip_install "$@"; fi
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ] && "$folder/bin/python" -c "" 2>/dev/null; then
    exit
fi
case $folder in
    .venv)
        create 3.11 3.12 3.13
        install --require-hashes -r requirements.lock
        install --no-deps --no-build-isolation -e .
        ;;
    .venv-jax)
        create 3.11 3.12 3.13
        install -e ".[course,jax,test]"
        ;;
    .venv-torch)
        create 3.11 3.12 3.13
        pip_install torch==2.13.0 -e ".[course,torch,test,bench]"  # the pinned PyTorch; pip alone finds a local CPU build
        ;;
    .venv-colab)
        create 3.13
        install -r tools/colab.txt
        # Every Python of this environment starts with the module by which a notebook knows Colab.
        packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        mkdir -p "$packages/google/colab"
        : >"$packages/google/colab/__init__.py"
        echo "import google.colab" >"$packages/google_colab.pth"
        ;;
    *) fail "No environment is named $folder." ;;
esac
echo "$state" >"$stamp"
