#!/usr/bin/env bash
# Builds .venv-cellprofiler: headless CellProfiler 4.2.8.1 for tests/cellprofiler (Python 3.9 or 3.8, a JDK, a C compiler).
# Does nothing when the environment is complete. Where it cannot be built: one line on stderr, exit 0 (exit 1 with CI=true).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
env_dir=.venv-cellprofiler
stamp="$env_dir/complete"
recipe="$(cksum <"scripts/$(basename "${BASH_SOURCE[0]}")")"

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ] && "$env_dir/bin/python" -c "import cellprofiler" 2>/dev/null; then
    echo "$env_dir is complete"
    exit 0
fi

give_up() {
    echo "*** NO CELLPROFILER ENVIRONMENT, tests/cellprofiler will not run: $1" >&2
    if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}

# A pyenv shim can be on PATH without a Python behind it, so every candidate has to run.
find_python() {
    local version root candidate
    for version in 3.9 3.8; do
        for candidate in "$(command -v "python$version" || true)" \
            $(for root in "${PYENV_ROOT:-}" "$HOME/.pyenv"; do ls -d "$root/versions/$version".*/bin/python 2>/dev/null || true; done); do
            if [ -n "$candidate" ] && "$candidate" -c "import ensurepip, sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
                echo "$candidate"
                return
            fi
        done
    done
}

find_java_home() {
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/javac" ]; then
        echo "$JAVA_HOME"
    elif [ -x /usr/libexec/java_home ]; then
        /usr/libexec/java_home 2>/dev/null || true
    elif command -v javac >/dev/null; then
        dirname "$(dirname "$(readlink -f "$(command -v javac)")")"
    fi
}

python="$(find_python)"
if [ -z "$python" ]; then
    give_up "CellProfiler 4.2 needs Python 3.9 or 3.8 and neither was found (for example: pyenv install 3.9)"
fi

missing=()
if [ -z "$(find_java_home)" ]; then missing+=(openjdk-17-jdk-headless); fi
if ! command -v g++ >/dev/null || ! command -v make >/dev/null; then missing+=(build-essential); fi
if ! command -v mysql_config >/dev/null && ! command -v mariadb_config >/dev/null; then missing+=(default-libmysqlclient-dev); fi
if ! command -v pkg-config >/dev/null; then missing+=(pkg-config); fi
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        give_up "a JDK, a C++ compiler, pkg-config and the MySQL client headers are needed; missing: ${missing[*]} (Debian's names)"
    elif [ "$(id -u)" != 0 ]; then
        give_up "system packages are missing; run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    scripts/install-packages.sh "${missing[@]}"
fi
JAVA_HOME="$(find_java_home)"
export JAVA_HOME

rm -rf "$env_dir"
"$python" -m venv "$env_dir"
unset PYTHONPATH PYTHONHOME
install() { "$env_dir/bin/python" -m pip install --quiet --no-compile "$@"; }

# Old packages that build against what is already there: the order and the pins matter.
install "pip<25" "setuptools<65" wheel numpy==1.24.4 "Cython<3"
install --no-build-isolation python-javabridge==4.0.3
install --no-build-isolation centrosome==1.2.3 scipy==1.9.0 scikit-image==0.18.3 "scikit-learn<1" "tifffile<2022.4.22" numpy==1.24.4
install "h5py>=3.7,<3.8" "pyzmq>=22.3,<23" psutil docutils==0.15.2 "imageio>=2.5" "inflect>=2.1,<7" Jinja2 joblib "mahotas>=1.4" requests six \
    sentry-sdk==0.18.0 boto3 "matplotlib<4" "future>=0.18.2" "pytest~=7.4.1" numpy==1.24.4
install --no-build-isolation mysqlclient==1.4.6
install --no-deps prokaryote==2.4.4 python-bioformats==4.0.7 cellprofiler-core==4.2.8.1 cellprofiler==4.2.8.1

"$env_dir/bin/python" -c "import cellprofiler.modules, MySQLdb, bioformats"
echo "$recipe" >"$stamp"
echo "$env_dir is complete ($("$env_dir/bin/python" --version), JAVA_HOME $JAVA_HOME)"
