#!/usr/bin/env bash
# Builds .venv-napari: napari with Qt, for tests/napari (Python 3.11 or newer, Debian's libraries of Qt and a virtual screen).
# Does nothing when it is complete. With --libraries, it only names these libraries. Where it cannot be built: one line on
# stderr, exit 0 (exit 1 with CI=true).
set -euo pipefail

libraries=(libdbus-1-3 libegl1 libfontconfig1 libgl1 libgl1-mesa-dri libglib2.0-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
    libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libxkbcommon-x11-0 xauth xvfb)
if [ "${1:-}" = --libraries ]; then
    echo "${libraries[@]}"
    exit 0
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
env_dir=.venv-napari
stamp="$env_dir/complete"
recipe="$(cat setup.cfg "scripts/$(basename "${BASH_SOURCE[0]}")" | cksum)"

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
    echo "$env_dir is complete"
    exit 0
fi

give_up() {
    echo "*** NO NAPARI, tests/napari will not run: $1" >&2
    if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}

python="$(scripts/find-python.sh)"
if [ -z "$python" ]; then give_up "Python 3.11 to 3.13 with its venv module is needed"; fi

if command -v dpkg-query >/dev/null; then
    missing=()
    for library in "${libraries[@]}"; do
        dpkg-query -W -f '${Status}' "$library" 2>/dev/null | grep -q "ok installed" || missing+=("$library")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$(id -u)" != 0 ]; then
            give_up "run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
        fi
        scripts/install-packages.sh "${missing[@]}" ||
            give_up "apt-get could not install ${missing[*]}"
    fi
elif ! command -v xvfb-run >/dev/null; then
    give_up "xvfb-run and the libraries of Qt are needed"
fi

unset PYTHONPATH PYTHONHOME
rm -rf "$env_dir"
if ! "$python" -m venv "$env_dir" ||
    ! timeout "${NAPARI_TIMEOUT:-600}" "$env_dir/bin/python" -m pip install --quiet --no-compile --constraint constraints.txt \
        --editable ".[napari]" "pyqt6>=6.5" "pytest>=8" "pytest-qt>=4.4"; then
    give_up "pip could not install napari (see above)"
fi
echo "$recipe" >"$stamp"
echo "$env_dir is complete"
