#!/usr/bin/env bash
# The tests and the notebooks; by root also as two ordinary users, one with subordinate ids and one without.
#
# Those users need a checkout and a virtual environment they can read: both are kept in one directory of
# /var/tmp, so that the next run is quick, but on CI.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
summaries=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# suite LABEL [COMMAND...]: both runs of pytest in the current directory, through COMMAND.
suite() {
    local label=$1
    shift
    for run in "" "--nbval --nbval-current-env notebooks"; do
        printf '\n%s: pytest %s\n' "$label" "$run"
        # shellcheck disable=SC2086
        "$@" python -m pytest $run </dev/null 2>&1 | tee "$log" || failed=1
        summaries+=("$label: pytest $run" "$(tail -n 1 "$log")")
    done
}

ordinary_users() {
    local user
    touch /etc/subuid /etc/subgid
    if ! id nbcontainer-many >/dev/null 2>&1; then
        useradd --no-create-home --comment 'tests of nbcontainer: with subordinate ids' nbcontainer-many
    fi
    if ! id nbcontainer-one >/dev/null 2>&1; then
        useradd --no-create-home --comment 'tests of nbcontainer: without them' nbcontainer-one
        sed -i '/^nbcontainer-one:/d' /etc/subuid /etc/subgid
    fi

    place=/var/tmp/nbcontainer-tests-$(pwd | cksum | cut -d' ' -f1)
    [ -z "${CI:-}" ] || trap 'rm -rf "$log" "$place"' EXIT
    rm -rf "$place/tree"
    mkdir -p "$place/tree"
    chmod 755 "$place" "$place/tree"
    tar --create --exclude=./.venv --exclude=./.git --exclude=__pycache__ . |
        tar --extract --no-same-owner --directory "$place/tree"
    pins=$(cat pyproject.toml constraints.txt tools/venv.sh | cksum)
    if [ "$(cat "$place/pins" 2>/dev/null)" != "$pins" ]; then
        "$place/tree/tools/venv.sh" "$place/venv" test
        echo "$pins" >"$place/pins"
    fi

    for user in nbcontainer-many nbcontainer-one; do
        chown -R "$user" "$place/tree"
        mkdir -p "$place/$user"
        chown "$user" "$place/$user"
        as=(runuser --user "$user" -- env --ignore-environment --chdir "$place/tree" CI="${CI:-}"
            HOME="$place/$user" USER="$user" LANG=C.UTF-8 PATH="$place/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        "${as[@]}" python -m nbcontainer image bootstrap busybox
        suite "as $user" "${as[@]}"
    done
}

PATH=$PWD/.venv/bin:$PATH suite "as $(id -un)"
if [ "$(id -u)" -eq 0 ]; then
    ordinary_users
else
    echo "Run by root, this also sets Docker and runc beside it, limits with cgroups, and other users' runs."
fi

echo
printf '%s\n' "${summaries[@]}"
exit "$failed"
