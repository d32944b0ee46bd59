#!/usr/bin/env bash
# Builds plotly.min.js in microsnoop_engine/reporting/assets, the part of plotly.js that draws the report (Node 20.11 or newer).
# For another version, change scripts/plotly/package.json and run: npm install --package-lock-only --omit-lockfile-registry-resolved
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
assets="$PWD/microsnoop_engine/reporting/assets"
command -v npm >/dev/null || { echo "*** npm is missing: install Node 20.11 or newer" >&2; exit 1; }

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp scripts/plotly/* "$work"
(cd "$work" && npm ci --silent --no-audit --no-fund && node build.mjs "$work/plotly.min.js")
mv "$work/plotly.min.js" "$assets/plotly.min.js"
cp "$work/node_modules/plotly.js/LICENSE" "$assets/plotly.LICENSE"
ls -l "$assets"
