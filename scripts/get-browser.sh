#!/usr/bin/env bash
# Installs headless Chromium and its driver, which the tests of the report open pages in. Says so where it cannot.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null &&
    command -v chromedriver >/dev/null; then
    exit 0
fi
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    scripts/install-packages.sh chromium chromium-driver
    exit 0
fi
echo "*** No Chromium, the report's pages will not be opened in tests; run: sudo apt-get install chromium chromium-driver" >&2
if [ "${CI:-}" = true ]; then exit 1; fi
