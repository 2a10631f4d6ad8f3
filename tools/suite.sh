#!/usr/bin/env bash
# The tests and the notebooks; by root also as two ordinary users: one with subordinate ids and control groups,
# one with neither.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d /var/tmp/nbcontainer-suite-XXXXXX)
group=${place##*/}
failed=0
summaries=()
left_out=()

# What does not depend on who runs it: a browser, a virtual host, parsers. Once is enough.
same=(tests/browser tests/virtual_host tests/view tests/image/dockerfile tests/kernel/test_lines.py
    tests/kernel/test_protocol.py tests/harness/test_notebooks.py)

# suite WHO HOME COMMAND...: the tests, then the notebooks compared to the letter, each through COMMAND. Two processes
# share the tests, a file's in one of them; what fails beside others is run once more, by itself. The notebooks have a
# new store in HOME, and go one after the other.
suite() {
    local who=$1 home=$2
    shift 2
    "$@" env NBCONTAINER_HOME="$home" python -m nbcontainer image bootstrap busybox
    # shellcheck disable=SC2086
    run "$who: tests" "$@" python -m pytest --numprocesses 2 --dist loadfile tests ${left_out[*]/#/--ignore=} ||
        run "$who: what failed, by itself" "$@" python -m pytest --last-failed --last-failed-no-failures none tests \
            ${left_out[*]/#/--ignore=} || failed=1
    run "$who: notebooks" "$@" env NBCONTAINER_HOME="$home" python -m pytest --nbval --nbval-current-env notebooks ||
        run "$who: notebooks, again" \
            "$@" env NBCONTAINER_HOME="$home" python -m pytest --nbval --nbval-current-env notebooks || failed=1
}

# run WHAT COMMAND...: run it, show and keep what it says last.
run() {
    local what=$1 status=0
    shift
    printf '\n%s\n' "$what"
    "$@" </dev/null 2>&1 | tee "$place/log" || status=1
    summaries+=("$what" "$(tail -n 1 "$place/log")")
    return "$status"
}

make_users() {
    touch /etc/subuid /etc/subgid
    id nbcontainer-many >/dev/null 2>&1 || useradd --no-create-home nbcontainer-many
    if ! id nbcontainer-one >/dev/null 2>&1; then
        useradd --no-create-home nbcontainer-one
        sed -i '/^nbcontainer-one:/d' /etc/subuid /etc/subgid
    fi
}

# Control groups that one of the users may write. On a v2 machine its manager gives them to it.
delegate() {
    local mount file
    for mount in $(findmnt --noheadings --raw --output TARGET --types cgroup); do
        mkdir "$mount/$group" 2>/dev/null || continue
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$mount/$file" ] || cat "$mount/$file" >"$mount/$group/$file"
        done
        chown "$1" "$mount/$group"
    done
}

clean_up() {
    # An ordinary user's store has files of ids that only a user namespace gives them.
    rm -rf "$place" 2>/dev/null || unshare --user --map-root-user --map-auto rm -rf "$place"
    find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} +
}
trap clean_up EXIT

# A copy of the checkout, and an environment, that other users can read wherever the checkout is.
make_copy() {
    mkdir "$place/tree"
    chmod 755 "$place" "$place/tree"
    tar --create --exclude=./.venv --exclude=./.git --exclude=./frontend/node_modules --exclude=__pycache__ . |
        tar --extract --no-same-owner --directory "$place/tree"
    "$place/tree/tools/venv.sh" "$place/venv" test
}

chmod 755 "$place"
PATH=$PWD/.venv/bin:$PATH suite "as $(id -un)" "$place/home" env
if [ "$(id -u)" -eq 0 ]; then
    left_out=("${same[@]}")
    make_users
    make_copy
    delegate nbcontainer-many
    for user in nbcontainer-many nbcontainer-one; do
        chown -R "$user" "$place/tree"
        install --directory --owner "$user" "$place/$user"
        as=(runuser --user "$user" -- env --ignore-environment --chdir "$place/tree" ${CI:+CI="$CI"}
            HOME="$place/$user" USER="$user" LANG=C.UTF-8 PATH="$place/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        [ "$user" = nbcontainer-one ] || as+=(NBCONTAINER_CGROUP="$group")
        suite "as $user" "$place/$user/home" "${as[@]}"
    done
fi

echo
[ "$(id -u)" -eq 0 ] || echo "What needs root was left out: limits by cgroups, Docker and runc beside us, other users."
printf '%s\n' "${summaries[@]}"
exit "$failed"
