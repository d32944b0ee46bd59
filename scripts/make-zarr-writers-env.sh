#!/usr/bin/env bash
# Builds .venv-zarr-writers: other writers of OME-Zarr for tests/engine/images/test_zarr_writers.py (Python 3.11 or newer).
# Does nothing when it is complete. Where it cannot be built: one line on stderr, exit 0 (exit 1 with CI=true).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
env_dir=.venv-zarr-writers
stamp="$env_dir/complete"
recipe="$(cat scripts/zarr-writers.txt "scripts/$(basename "${BASH_SOURCE[0]}")" | cksum)"

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
    echo "$env_dir is complete"
    exit 0
fi

give_up() {
    rm -rf "$env_dir"
    echo "*** NO WRITERS OF OME-ZARR, test_zarr_writers.py will not run: $1" >&2
    if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}

python="$(scripts/find-python.sh)"
if [ -z "$python" ]; then give_up "Python 3.11 to 3.13 with its venv module is needed"; fi

unset PYTHONPATH PYTHONHOME
rm -rf "$env_dir"
if ! "$python" -m venv "$env_dir" ||
    ! timeout "${ZARR_WRITERS_TIMEOUT:-600}" "$env_dir/bin/python" -m pip install --quiet --no-compile -r scripts/zarr-writers.txt; then
    give_up "pip could not install scripts/zarr-writers.txt (see above)"
fi
echo "$recipe" >"$stamp"
echo "$env_dir is complete"
