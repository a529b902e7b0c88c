#!/usr/bin/env bash
# Installs Chromium, in which the tests open the page of `interplay report`. Debian and its relatives.
set -euo pipefail

if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
    exit 0
fi
command -v apt-get >/dev/null || { echo "no apt-get here: install Chromium by hand" >&2; exit 1; }
if [ "$(id -u)" -ne 0 ]; then
    echo "run this as root: it installs the package chromium" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
