#!/usr/bin/env bash
# Prints a Python 3.11 to 3.13 with its venv module, first the one that PYTHON names; nothing where there is none.
set -euo pipefail

# A pyenv shim can be on PATH without a Python behind it, so every candidate has to run.
for name in "${PYTHON:-python3.11}" python3.11 python3.12 python3.13 python3; do
    if "$name" -c "import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" 2>/dev/null; then
        echo "$name"
        exit 0
    fi
done
