#!/usr/bin/env bash
# Installs packages of Debian, as root. One call after another: environments are made at the same time, and apt-get is locked.
set -euo pipefail

exec 9<"${BASH_SOURCE[0]}"
flock 9
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
