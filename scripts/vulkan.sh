#!/usr/bin/env bash
# Installs Vulkan in software (Mesa's lavapipe), on which the GPU's tests run where there is no GPU. Debian and its relatives.
set -euo pipefail

if ls /usr/share/vulkan/icd.d/*.json >/dev/null 2>&1; then
    exit 0
fi
command -v apt-get >/dev/null || { echo "no apt-get here: install a Vulkan driver by hand" >&2; exit 1; }
if [ "$(id -u)" -ne 0 ]; then
    echo "run this as root: it installs the packages mesa-vulkan-drivers and libvulkan1" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1
