#!/usr/bin/env bash
# The widgets' scripts: types, unit tests, and whether nbcontainer/view/static is what frontend/ gives.
set -euo pipefail
cd "$(dirname "$0")/../frontend"

if ! command -v npm >/dev/null; then
    echo "Going on without: npm (\`sudo apt-get install nodejs npm\` lets this check the widgets' scripts)" >&2
    exit 0
fi
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund
npm run --silent check
npm run --silent test
npm run --silent build -- --check
