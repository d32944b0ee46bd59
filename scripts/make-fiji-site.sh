#!/usr/bin/env bash
# Lays out what an update site of Fiji holds, in the folder that is named (default: dist/fiji-site): the plugin and the macros,
# where they belong in Fiji. examples/fiji/update-site.md says how a maintainer publishes it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
site="${1:-dist/fiji-site}"
[ -f fiji_bridge/Microsnoop_.jar ] || { echo "*** there is no fiji_bridge/Microsnoop_.jar: run 'make fiji'" >&2; exit 1; }
rm -rf "$site"
mkdir -p "$site/plugins" "$site/macros/microsnoop"
cp fiji_bridge/Microsnoop_.jar "$site/plugins/"
cp examples/fiji/measure_folder.ijm examples/fiji/classify_folder.ijm "$site/macros/microsnoop/"
echo "$site holds what belongs into Fiji's folder"
