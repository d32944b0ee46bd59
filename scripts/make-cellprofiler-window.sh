#!/usr/bin/env bash
# Adds wxPython to .venv-cellprofiler, for tests/cellprofiler/window: CellProfiler's real window on a virtual screen.
# Takes the wheel that MICROSNOOP_WX_WHEEL names, or one of ../shared/wheels; otherwise builds it (about 25 minutes), or,
# with --if-wheel, does without (the tests then say so). Where it cannot be had: one line on stderr, and exit 1, or 0 with
# --if-wheel.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=4.2.1
python=.venv-cellprofiler/bin/python
only_wheel=false
if [ "${1:-}" = --if-wheel ]; then only_wheel=true; fi

give_up() {
    echo "*** NO WINDOW, tests/cellprofiler/window will not run: $1" >&2
    if "$only_wheel"; then exit 0; else exit 1; fi
}
need() {
    local package missing=()
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" != "install ok installed" ]; then missing+=("$package"); fi
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    if [ "$(id -u)" != 0 ]; then
        give_up "run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    scripts/install-packages.sh "${missing[@]}" ||
        give_up "these packages cannot be installed: ${missing[*]}"
}

if [ ! -f .venv-cellprofiler/complete ]; then give_up "there is no CellProfiler environment (make cellprofiler-env)"; fi
tag="$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')"
wheel="${MICROSNOOP_WX_WHEEL:-$(ls ../shared/wheels/wxPython-"$version"-"$tag"-*.whl 2>/dev/null | head -1 || true)}"

if [ -z "$wheel" ] && "$python" -c "import wx" 2>/dev/null && command -v xvfb-run xauth >/dev/null; then exit 0; fi
if [ -z "$wheel" ] && "$only_wheel"; then exit 0; fi
if ! command -v apt-get >/dev/null; then give_up "wxWidgets 3.2 and Xvfb are installed on Debian only"; fi
need libwxbase3.2-1 libwxgtk3.2-1 libwxgtk-gl3.2-1 libwxgtk-media3.2-1 libwxgtk-webview3.2-1 xvfb xauth
if "$python" -c "import wx" 2>/dev/null; then exit 0; fi

if [ -z "$wheel" ]; then
    need build-essential libgtk-3-dev libwxgtk3.2-dev libwxgtk-media3.2-dev libwxgtk-webview3.2-dev
    WXPYTHON_BUILD_ARGS=--use_syswx "$python" -m pip wheel --no-deps --no-build-isolation --no-binary wxPython \
        --wheel-dir .venv-cellprofiler/wheels "wxPython==$version"
    wheel="$(ls .venv-cellprofiler/wheels/wxPython-"$version"-*.whl)"
fi
"$python" -m pip install --quiet --no-deps "$wheel"
"$python" -c "import wx; print('wxPython', wx.version())"
