# Sourced by every script here: a temporary folder $T that goes away at the end, and
# `environment NAME PACKAGE==VERSION ...`, which makes the virtual environment $T/NAME.
# Python 3.12 or PYTHON=/path/to/python; uv does the installing where it is there.
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
environment() {
    local folder="$T/$1"
    shift
    "${PYTHON:-python3.12}" -m venv "$folder"
    if command -v uv >/dev/null; then
        uv pip install -q --python "$folder/bin/python" "$@"
    else
        "$folder/bin/pip" install -q --no-compile --disable-pip-version-check "$@"
    fi
}
