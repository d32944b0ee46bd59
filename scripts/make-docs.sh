#!/usr/bin/env bash
# Builds the documentation into site/, in .venv-docs (Python 3.10 or newer, without PyTorch).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-.venv/bin/python}"
if ! command -v "$python" >/dev/null; then python=python3; fi
requirements="$(cksum docs/requirements.txt)"

if [ "$(cat .venv-docs/complete 2>/dev/null)" != "$requirements" ]; then
    rm -rf .venv-docs
    "$python" -m venv .venv-docs
    .venv-docs/bin/python -m pip install --quiet --requirement docs/requirements.txt
    echo "$requirements" >.venv-docs/complete
fi
export NO_MKDOCS_2_WARNING=1
.venv-docs/bin/python -m mkdocs build --strict --quiet --site-dir site
echo "the documentation: $PWD/site/index.html"
