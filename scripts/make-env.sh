#!/usr/bin/env bash
# Builds .venv: the engine, with 'test' also what its tests need (Python 3.10 to 3.13). Does nothing when it is complete.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
extra="${1:-}"
package=".${extra:+[$extra]}"
stamp=".venv/complete$extra"
recipe="$(cat setup.cfg pyproject.toml constraints.txt "scripts/$(basename "${BASH_SOURCE[0]}")" | cksum)"

# an environment for the tests is one for users too
if [ -z "$extra" ] && [ -f .venv/completetest ]; then
    stamp=.venv/completetest
fi
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ] && .venv/bin/python -c "import microsnoop_engine" 2>/dev/null; then
    exit 0
fi

# A pyenv shim can be on PATH without a Python behind it, so every candidate has to run.
find_python() {
    local name candidate
    for name in "${PYTHON:-python3.11}" python3.12 python3.13 python3.10 python3; do
        candidate="$(command -v "$name" || true)"
        if [ -n "$candidate" ] && "$candidate" -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

python="$(find_python)"
if [ -z "$python" ] || ! "$python" -c "import ensurepip, venv" 2>/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        scripts/install-packages.sh python3 python3-venv
        python="$(find_python)"
    fi
fi
if [ -z "$python" ] || ! "$python" -c "import ensurepip, venv" 2>/dev/null; then
    echo "*** Python 3.10 to 3.13 with its venv module is needed (Debian: sudo apt-get install python3 python3-venv)" >&2
    exit 1
fi

rm -rf .venv # with a smaller or an older environment in it
"$python" -m venv .venv
unset PYTHONPATH PYTHONHOME
.venv/bin/python -m pip install --quiet --upgrade pip
.venv/bin/python -m pip install --quiet --no-compile --constraint constraints.txt --editable "$package"
echo "$recipe" >"$stamp"
echo ".venv is complete ($(.venv/bin/python --version))"
