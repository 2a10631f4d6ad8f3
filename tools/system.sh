#!/usr/bin/env bash
# Install the packages of these lists that the machine lacks: tools/system.sh LIST...
# An ordinary user is told which they are, in one line, and things go on without them.
set -euo pipefail

lacking=()
while read -r package; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    # A command of that name will do: node may come from elsewhere, with npm in it.
    [ "$status" = installed ] || command -v "$package" >/dev/null || lacking+=("$package")
done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@")
[ ${#lacking[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Going on without what other machines than Debian's may call: ${lacking[*]}" >&2
    exit 0
elif [ "$(id -u)" -ne 0 ]; then
    echo "Going on without: ${lacking[*]} (\`sudo apt-get install ${lacking[*]}\` adds what they are for)" >&2
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
offered=()
for package in "${lacking[@]}"; do
    if apt-get install --simulate "$package" >/dev/null 2>&1; then
        offered+=("$package")
    else
        echo "Going on without $package: it is not to be had for this machine" >&2
    fi
done

# What is installed must not be started: a Docker daemon of the machine's own is none of our business.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
apt-get install --yes --no-install-recommends "${offered[@]}"
