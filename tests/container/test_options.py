"""Options and specs: whatever is typed is an option or one clear line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcontainer.container import mount_options, security, spec, users, values
from nbcontainer.container.options import RunOptions
from nbcontainer.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "size"), [("64m", 64 << 20), ("1.5g", 3 << 29), ("10", 10), ("2kb", 2048), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert values.size(text, "--memory") == size


@pytest.mark.parametrize(("text", "seconds"), [("1m30s", 90), ("500ms", 0.5), ("0", 0), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert values.duration(text, "--health-interval") == seconds


@pytest.mark.parametrize(("text", "number"), [("KILL", 9), ("SIGTERM", 15), ("2", 2), ("rtmin+1", 35)])
def test_signals(text: str, number: int) -> None:
    assert values.parse_signal(text) == number


PARSERS: list[Any] = [
    lambda text: values.size(text, "-m"),
    lambda text: values.duration(text, "--x"),
    values.parse_signal,
    values.cpus,
    lambda text: values.cpu_list(text, "--cpuset-cpus"),
    values.ulimit,
    values.sysctl,
    values.restart_policy,
    lambda text: values.security_options([text]),
    lambda text: values.environment([text], []),
    mount_options.volume,
    mount_options.mount,
    mount_options.tmpfs,
    mount_options.device,
    lambda text: RunOptions.parse("busybox", [text], name=text),
    lambda text: RunOptions.parse("busybox", [], hostname=text, network=text, add_host=[text], dns=[text]),
    lambda text: users.resolve(text, "root:x:0:0::/root:/bin/sh\n", "root:x:0:\n"),
    lambda text: users.resolve("root", text, text),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PARSERS), st.one_of(st.text(max_size=40), st.from_regex(r"[a-z0-9=:,./+-]{0,40}", fullmatch=True))
)
def test_any_text_is_a_value_or_one_line(parser: Any, text: str) -> None:
    try:
        parser(text)
    except InvalidArgument as error:
        assert str(error)  # noqa: PT017


def test_users() -> None:
    passwd = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/var/www:/bin/false\n"
    group = "root:x:0:\nweb:x:80:www\n"
    found = users.resolve("www", passwd, group)
    assert (found.uid, found.gid, found.groups, found.home) == (33, 34, (80,), "/var/www")
    found = users.resolve("1000:web", passwd, group)
    assert (found.uid, found.gid, found.groups, found.home) == (1000, 80, (), "/")
    with pytest.raises(InvalidArgument, match="no matching entries in passwd file"):
        users.resolve("nobody", passwd, group)


def test_capabilities() -> None:
    assert security.capabilities([], [], privileged=False) == sorted(security.CAPABILITIES, key=security.NAMES.index)
    assert security.capabilities(["NET_ADMIN"], ["ALL"], privileged=False) == ["CAP_NET_ADMIN"]
    assert len(security.capabilities([], [], privileged=True)) == 41


def test_the_default_filter_allows_no_more_than_docker(dockerd: Any, tmp_path: Any) -> None:
    """Compared with what runc was given by a real dockerd, for a container with the same capabilities."""
    from nbcontainer.container import seccomp_profile

    ours = {name for rule in security.seccomp(security.CAPABILITIES)["syscalls"] for name in rule["names"]}
    theirs: set[str] = set()
    dockerd.docker("run", "-d", "--name", "filtered", "busybox", "sleep", "60")
    try:
        for path in dockerd.directory.rglob("config.json"):
            found = json.loads(path.read_text())
            if "ociVersion" in found and "seccomp" in found.get("linux", {}):
                theirs |= {name for rule in found["linux"]["seccomp"]["syscalls"] for name in rule["names"]}
    finally:
        dockerd.docker("rm", "-f", "filtered")
    # What Docker's own profile has gained since the version at hand.
    newer = set(
        "cachestat fchmodat2 futex_waitv futex_wake futex_wait futex_requeue map_shadow_stack memfd_secret "
        "process_mrelease landlock_create_ruleset landlock_add_rule landlock_restrict_self epoll_pwait2 "
        "pkey_alloc pkey_free pkey_mprotect process_vm_readv process_vm_writev name_to_handle_at".split()
    )
    assert theirs
    assert ours - theirs <= newer
    assert not {name for name in ours if name.startswith("io_uring")}
    assert "io_uring_setup" not in seccomp_profile.ALWAYS


def test_a_spec_has_what_the_runtime_spec_asks_for() -> None:
    options = RunOptions.parse(
        "busybox", ["true"], memory="64m", cpus=0.5, tty=True, env={"A": "1"}, volume=["v:/data:ro"]
    )
    made = spec.build(options, {"Env": ["A=0", "B=2"], "Cmd": ["sh"]}, hostname="h", cgroups_path="/x")
    assert made["ociVersion"] == "1.1.0"
    assert made["process"]["env"] == [spec.PATH, "HOSTNAME=h", "TERM=xterm", "A=1", "B=2"]
    assert made["linux"]["resources"]["cpu"] == {"quota": 50000, "period": 100000}
    assert made["linux"]["resources"]["memory"]["limit"] == 64 << 20
    assert {entry["type"] for entry in made["linux"]["namespaces"]} == {
        "mount",
        "cgroup",
        "pid",
        "ipc",
        "uts",
        "network",
    }
    assert made["mounts"][-1] == {"destination": "/data", "type": "volume", "source": "v", "options": ["rbind", "ro"]}
