#!/usr/bin/env bash
# Make or update a virtual environment with this checkout in it, editable: tools/venv.sh DIRECTORY [EXTRA]
set -euo pipefail

directory=$1
extra=${2:-}
checkout=$(dirname "$(dirname "$(readlink -f "$0")")")

# The machine's own Python first: one below a home directory is out of other users' reach.
for python in /usr/bin/python3 python3 ""; do
    if "${python:-false}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11 or newer is needed, as /usr/bin/python3 or the first python3 on PATH" >&2
    exit 1
elif ! "$python" -c 'import ensurepip' 2>/dev/null; then
    echo "$python cannot make .venv: \`sudo apt-get install python3-venv\`, then the same again" >&2
    exit 1
fi

echo "Making $directory${extra:+ for $extra}"
[ -x "$directory/bin/pip" ] || "$python" -m venv "$directory"
"$directory/bin/pip" install -qq --disable-pip-version-check --no-input \
    --constraint "$checkout/constraints.txt" --editable "$checkout${extra:+[$extra]}"
