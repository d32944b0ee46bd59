#!/usr/bin/env bash
# What tests/fiji needs beside .venv: ImageJ (Debian's package), a JDK with windows, a virtual screen; where Maven Central can
# be reached, also the jars of fiji-jars.xml (ImageJ as Fiji has it, Appose's Java client), in .fiji-jars.
# Exit 0: it is there. Where it cannot be: one line on stderr, exit 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

get_jars() {
    local recipe
    recipe="$(cksum <scripts/fiji-jars.xml)"
    if [ "$(cat .fiji-jars/complete 2>/dev/null)" = "$recipe" ]; then return; fi
    rm -rf .fiji-jars
    if timeout 300 mvn -q -B -f scripts/fiji-jars.xml dependency:copy-dependencies -DoutputDirectory="$PWD/.fiji-jars" >/dev/null 2>&1; then
        echo "$recipe" >.fiji-jars/complete
    else
        rm -rf .fiji-jars
        echo "*** tests/fiji run with Debian's ImageJ alone, and without Appose's client: Maven (mvn) got no jars" >&2
    fi
}

missing=()
if [ ! -f "${IJ_JAR:-/usr/share/java/ij.jar}" ]; then missing+=(imagej); fi
if ! command -v javac >/dev/null; then missing+=(openjdk-17-jdk); fi
if ! command -v Xvfb >/dev/null || ! command -v xvfb-run >/dev/null; then missing+=(xvfb); fi
if ! command -v xauth >/dev/null; then missing+=(xauth); fi
if ! command -v mvn >/dev/null; then missing+=(maven); fi
# A headless Java has no windows.
java_home="$(dirname "$(dirname "$(readlink -f "$(command -v java || echo /)")")")"
if command -v java >/dev/null && [ ! -f "$java_home/lib/libawt_xawt.so" ]; then missing+=(openjdk-17-jre); fi
if [ ${#missing[@]} -eq 0 ]; then
    get_jars
    exit 0
fi

give_up() {
    echo "*** NO IMAGEJ, tests/fiji cannot run: $1" >&2
    exit 1
}
if ! command -v apt-get >/dev/null; then
    give_up "missing: ${missing[*]} (Debian's names)"
elif [ "$(id -u)" != 0 ]; then
    give_up "run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
fi
scripts/install-packages.sh "${missing[@]}"
get_jars
