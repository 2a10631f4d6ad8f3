"""One more process in a container that runs: the same however it came there, first or later, attended or forked."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container.container import Container
from nbcontainer.container.execute import ExecResult
from nbcontainer.errors import Conflict, StartFailed
from nbcontainer.runtime import Lab

#: What a process is: who, with what, where. Its own numbers are left out.
WHAT = """
grep -E 'Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:' /proc/self/status
for name in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$name; done
cat /proc/self/cgroup; pwd; umask; ls /proc/self/fd; tr '\\0' '\\n' < /proc/self/environ
"""


@pytest.fixture(autouse=True)
def _image(busybox: Any) -> None:
    pass


def idle(lab: Any, **options: Any) -> Container:
    return lab.containers.run("busybox", ["sleep", "1000"], detach=True, **options)  # type: ignore[no-any-return]


def wait_for_attendant(lab: Any) -> None:
    deadline = time.monotonic() + 10
    while lab.containers.attendants._waiting is None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_exec(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sleep", "100"], detach=True, env=["A=1"], memory=None)
    result = c.exec(["sh", "-c", "echo $A; cat; exit 4"], stdin=b"in")
    assert (result.exit_code, result.stdout) == (4, b"1\nin")
    assert b"pts" in c.exec(["tty"], tty=True).stdout
    with pytest.raises(StartFailed) as caught:
        c.exec(["nosuch"])
    assert caught.value.exit_code == 127
    c.remove(force=True)
    with pytest.raises(Conflict):
        c.exec(["true"])


def until_it_fails(c: Container) -> None:
    for _ in range(1000):
        c.exec(["true"])


@pytest.mark.needs("ids")
def test_it_is_the_same_however_it_came_there(lab: Any, tmp_path: Path) -> None:
    profile = tmp_path / "allow.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}')
    c = idle(lab, env=["A=1"], workdir="/tmp", user="daemon")
    first = c.exec(["sh", "-c", WHAT]).stdout
    wait_for_attendant(lab)
    assert c.exec(["sh", "-c", WHAT]).stdout == first
    privileged = c.exec(["sh", "-c", "grep Seccomp: /proc/self/status"], privileged=True).stdout
    assert privileged.split() == [b"Seccomp:", b"0"]
    # With a profile of one's own it is forked: it differs in nothing but the filter.
    other = idle(
        lab, hostname=c.id[:12], env=["A=1"], workdir="/tmp", user="daemon", security_opt=[f"seccomp={profile}"]
    )
    ours, theirs = (
        {line for line in container.exec(["sh", "-c", WHAT]).stdout.splitlines() if not {*b"[/"} & {*line}}
        for container in (c, other)
    )
    assert ours == theirs


def test_it_leads_a_session_below_nobody(lab: Any) -> None:
    c = idle(lab)
    for _ in range(2):
        pid, _, _, parent, group, session = c.exec(["cat", "/proc/self/stat"]).stdout.split()[:6]
        assert (group, session, parent) == (pid, pid, b"0")
        wait_for_attendant(lab)


def test_calls_that_the_profile_refuses_are_not_needed(lab: Any, tmp_path: Path) -> None:
    profile = tmp_path / "no-clone.json"
    refused = '["clone", "clone3", "fork", "vfork", "pidfd_open", "sendmsg", "recvfrom"]'
    profile.write_text(
        f'{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{{"names": {refused}, "action": "SCMP_ACT_ERRNO"}}]}}'
    )
    c = idle(lab, security_opt=[f"seccomp={profile}"])
    assert c.exec(["echo", "hello"]).stdout == b"hello\n"
    assert c.exec(["sh", "-c", "ls | cat"]).exit_code != 0


@pytest.mark.needs("ids")
def test_it_needs_no_more_processes_than_its_own(lab: Any) -> None:
    c = idle(lab, user="daemon", ulimit=["nproc=2:2", "nofile=8:8"])
    assert c.exec(["echo", "hello"]).stdout == b"hello\n"


@pytest.mark.needs("cgroup.pids")
@pytest.mark.parametrize("limit", [1, 2])
def test_a_container_at_its_pids_limit_can_be_looked_into(lab: Any, limit: int) -> None:
    c = idle(lab, pids_limit=limit)
    for _ in range(3):
        assert c.exec(["cat", "/proc/1/cmdline"]).stdout == b"sleep\x001000\x00"
        wait_for_attendant(lab)


def test_signals_timeouts_and_exit_codes_of_one_that_was_attended(lab: Any) -> None:
    c = idle(lab)
    c.exec(["true"])
    wait_for_attendant(lab)
    with pytest.raises(TimeoutError, match=r"did not end within 0\.3 seconds"):
        c.exec(["sleep", "1000"], timeout=0.3)
    wait_for_attendant(lab)
    assert c.exec(["sh", "-c", "kill -TERM $$"]).exit_code == 128 + signal.SIGTERM
    for name, code in (("nosuch", 127), ("/etc/passwd", 126)):
        wait_for_attendant(lab)
        with pytest.raises(StartFailed) as caught:
            c.exec([name])
        assert caught.value.exit_code == code
    c.exec(["sleep", "1000"], detach=True)
    assert [row["CMD"] for row in c.top()] == ["sleep 1000", "sleep 1000"]


def test_what_a_short_one_leaves_behind_ends_with_the_wait_for_it(lab: Any) -> None:
    c = idle(lab, init=True)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            c.exec(["sh", "-c", "sleep 2000 & exit 3"], timeout=0.3)
        wait_for_attendant(lab)
    assert [row["CMD"] for row in c.top()] == ["sleep 1000"]
    assert c.exec(["sh", "-c", "(sleep 0.1; echo late) & exit 3"]) == ExecResult(3, b"late\n", b"")


def test_an_attendant_that_was_killed_is_not_missed(lab: Any) -> None:
    c = idle(lab)
    c.exec(["true"])
    wait_for_attendant(lab)
    process = lab.containers.attendants._waiting.process
    process.kill()
    process.wait(10)
    assert c.exec(["echo", "hello"]).stdout == b"hello\n"


def test_a_container_that_ends_meanwhile(lab: Any) -> None:
    for _ in range(5):
        c = idle(lab)
        c.exec(["true"])
        wait_for_attendant(lab)
        assert c.process is not None
        c.process.kill()
        with pytest.raises(Conflict, match="is not running"):
            until_it_fails(c)


def test_pids_do_not_depend_on_time() -> None:
    seen = []
    for pause in (0.0, 0.05):
        with Lab() as lab:
            c = idle(lab)
            pids = []
            for _ in range(4):
                time.sleep(pause)
                c.exec(["sleep", "1000"], detach=True)
                pids.append(c.exec(["sh", "-c", "echo $$"]).stdout)
            seen.append((pids, [row["PID"] for row in c.top()]))
    assert seen[0] == seen[1]
