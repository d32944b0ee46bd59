#!/usr/bin/env bash
# Builds fiji_bridge/Microsnoop_.jar from fiji_bridge/java (a JDK, and ij.jar from IJ_JAR=path or Debian's libij-java).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target="${1:-fiji_bridge/Microsnoop_.jar}"
ij_jar="${IJ_JAR:-/usr/share/java/ij.jar}"

give_up() {
    echo "*** The ImageJ plugin was not built: $1" >&2
    exit 1
}

[ -f "$ij_jar" ] || give_up "there is no '$ij_jar'; run: sudo apt-get install -y --no-install-recommends libij-java, or give IJ_JAR=path/to/ij.jar (Fiji.app/jars/ij-*.jar)"
javac="${JAVA_HOME:+$JAVA_HOME/bin/}javac"
command -v "$javac" >/dev/null || give_up "javac is missing; run: sudo apt-get install -y --no-install-recommends openjdk-17-jdk-headless, or set JAVA_HOME"

classes="$(mktemp -d)"
trap 'rm -rf "$classes"' EXIT
"$javac" --release 8 -Xlint:all,-options -Werror -g:none -encoding UTF-8 -cp "$ij_jar" -d "$classes" fiji_bridge/java/microsnoop/*.java

python=.venv/bin/python
[ -x "$python" ] || python=python3
"$python" scripts/make_fiji_jar.py "$classes" fiji_bridge/java "$target" "$("$javac" -version 2>&1)"
