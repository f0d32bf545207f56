#!/bin/sh
# Runs the notebooks in the twin of Colab's environment. The first one finds no rnnkit: its Colab cell installs it, as on
# Colab, from the project's address, which git takes from a snapshot of this folder. Nothing of Colab's may be replaced,
# and no cell may write to stderr, which Colab shows in red.
set -eu
cd "$(dirname "$0")/.."
twin=.venv-colab/bin/python
snapshot=build/colab/repository

rm -rf build/colab
mkdir -p build/colab
.venv/bin/python -m hatchling build -t sdist -d build/colab
tar -xzf build/colab/rnnkit-*.tar.gz -C build/colab
mv build/colab/rnnkit-*/ "$snapshot"
git -C "$snapshot" init --quiet
git -C "$snapshot" add .
git -C "$snapshot" -c user.name=test -c user.email=test@localhost commit --quiet -m snapshot

address=$(.venv/bin/python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["urls"]["Repository"])')
export PYDEVD_DISABLE_FILE_VALIDATION=1  # no warning from the debugger of this ipykernel
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.$(pwd)/$snapshot.insteadOf" GIT_CONFIG_VALUE_0="$address"

"$twin" -m pip uninstall --quiet --yes rnnkit 2>/dev/null
"$twin" -m pip freeze --disable-pip-version-check | sort >build/colab/before.txt
.venv/bin/python tools/notebooks.py --no-stderr --python "$twin" --output build/colab/notebooks
"$twin" -m pip freeze --disable-pip-version-check | sort >build/colab/after.txt

replaced=$(comm -23 build/colab/before.txt build/colab/after.txt)
if [ -n "$replaced" ]; then
    echo "Installing rnnkit replaced what Colab ships:" "$replaced" >&2
    exit 1
fi
echo "Added to Colab's environment:" $(comm -13 build/colab/before.txt build/colab/after.txt | sed 's/ @ .*//')
