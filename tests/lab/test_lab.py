"""A lab: it starts, it is like itself every time, it ends with its owner and leaves nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import Conflict, InvalidArgument, LabGone
from nbcontainer.lab import sockets
from nbcontainer.lab.handle import Handle
from nbcontainer.network.wire import Rtnetlink
from nbcontainer.runtime import Lab


def script(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_a_lab_has_its_own_namespaces(lab: Any) -> None:
    from nbcontainer.container.look import namespaces_inside

    inside = lab.call(namespaces_inside, "self")
    for kind in ("ipc", "mnt", "net", "pid", "user", "uts"):
        assert inside[kind] != os.stat(f"/proc/self/ns/{kind}").st_ino, kind


def test_only_a_loopback_is_there_and_the_machine_is_not_touched(lab: Any) -> None:
    before = sorted(os.listdir("/sys/class/net"))
    with lab.netlink() as sock:
        assert [link["name"] for link in Rtnetlink(sock).links()] == ["lo"]
        Rtnetlink(sock).link_add("bridge", "br0")
        assert {link["name"] for link in Rtnetlink(sock).links()} == {"lo", "br0"}
    assert sorted(os.listdir("/sys/class/net")) == before


def test_ids_repeat_and_instances_do_not() -> None:
    with Lab() as one, Lab() as two:
        assert one.id == two.id
        assert one.instance != two.instance


def test_closing_is_final_and_may_be_repeated() -> None:
    lab = Lab()
    lab.close()
    lab.close()
    with pytest.raises(LabGone):
        lab.call(sockets.netlink)


def test_a_name_is_held_by_one_lab(home: Path) -> None:
    with Lab("course"):
        other = script(
            """
            from nbcontainer.runtime import Lab
            from nbcontainer.errors import Conflict
            try:
                Lab("course")
            except Conflict as error:
                print(error)
            """
        )
        assert "in use by another kernel" in said(other)
        with pytest.raises(Conflict):
            Lab("course")
        other.communicate()
    Lab("course").close()


def test_a_bad_name_is_one_line() -> None:
    with pytest.raises(InvalidArgument, match="Invalid lab name"):
        Lab("../etc")


def test_a_forked_child_may_not_use_the_lab_of_its_parent(lab: Any, busybox: Any) -> None:
    c = lab.containers.run("busybox", ["true"])
    for act in (lab.netlink, c.start, lambda: lab.containers.run("busybox", ["true"])):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                act()
            except BaseException as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert b"belongs to the process that started it" in os.read(read, 1000)
    lab.netlink().close()
    assert lab.containers.run("busybox", ["echo", "well"]).logs() == "well\n"


def test_a_forked_child_that_ends_leaves_the_lab_alone(lab: Any, busybox: Any) -> None:
    c = lab.containers.run("busybox", ["sleep", "99"], detach=True)
    pid = os.fork()
    if pid == 0:
        lab.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert c.exec(["echo", "alive"]).stdout == b"alive\n"


@pytest.mark.parametrize("end", ["exit", "exception", "SIGTERM", "SIGKILL"])
def test_however_the_owner_ends_the_lab_ends(home: Path, end: str) -> None:
    owner = script(
        f"""
        import sys
        from nbcontainer.runtime import Lab
        lab = Lab()
        lab.images.bootstrap_busybox()
        c = lab.containers.run("busybox", ["sleep", "1000"], detach=True)
        print(lab.pid, c.process.outside_pid(), flush=True)
        sys.stdin.readline()
        if {end == "exception"}:
            raise RuntimeError
        """
    )
    pids = [int(pid) for pid in said(owner).split()]
    if end.startswith("SIG"):
        owner.send_signal(getattr(signal, end))
    owner.communicate("\n")
    assert all(gone(pid) for pid in pids)
    with Lab() as lab:
        assert [path.name for path in lab.home.labs.iterdir()] == [lab.instance]
        assert lab.cgroups.leftovers() == [] or all(lab.home.key not in name for name in lab.cgroups.leftovers())


def test_a_forked_child_that_lives_on_does_not_keep_the_lab(home: Path) -> None:
    owner = script(
        """
        import os, sys, time
        from nbcontainer.runtime import Lab
        lab = Lab()
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        print(lab.pid, child, flush=True)
        sys.stdin.readline()
        """
    )
    pid, child = (int(number) for number in said(owner).split())
    owner.kill()
    try:
        assert gone(pid)
    finally:
        os.kill(child, signal.SIGKILL)
        owner.communicate()


def test_when_init_is_killed_the_next_command_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nbcontainer import runtime

    lab = runtime.current_lab()
    os.kill(lab.pid, signal.SIGKILL)
    assert gone(lab.pid)
    for _ in range(100):
        if lab.gone:
            break
        time.sleep(0.02)
    with pytest.raises(LabGone):
        lab.call(sockets.netlink)
    again = runtime.current_lab()
    try:
        assert again is not lab
        assert "its init was killed" in capsys.readouterr().err
        again.netlink().close()
    finally:
        again.close()


def test_killed_at_any_moment_nothing_of_it_stays(home: Path) -> None:
    """SIGKILL at 50 random moments of a storm of run, exec and rm."""
    dice = random.Random(7)
    seen: set[int] = set()
    for _ in range(50):
        owner = script(
            """
            from nbcontainer.runtime import Lab
            lab = Lab()
            lab.images.bootstrap_busybox()
            print(lab.pid, flush=True)
            while True:
                c = lab.containers.run("busybox", ["sleep", "1000"], detach=True)
                c.exec(["touch", "/made"])
                lab.containers.run("busybox", ["true"], rm=True)
                c.remove(force=True)
            """
        )
        seen.add(int(said(owner)))
        time.sleep(dice.random() * 0.08)
        owner.kill()
        owner.communicate()
    assert all(gone(pid) for pid in seen)
    with Lab() as lab:
        assert [path.name for path in lab.home.labs.iterdir()] == [lab.instance]
        assert not [name for name in lab.cgroups.leftovers() if name.startswith(lab.home.key)]
        assert lab.containers.run("busybox", ["echo", "intact"]).logs() == "intact\n"


def test_init_is_small(lab: Any) -> None:
    status = Path(f"/proc/{lab.pid}/status").read_text()
    resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident) <= 15 * 1024


def test_a_named_lab_keeps_containers_volumes_and_settings(home: Path) -> None:
    with Lab("kept") as lab:
        lab.images.bootstrap_busybox()
        lab.volumes.create("data")
        lab.containers.run("busybox", ["sh", "-c", "echo 1 > /v/f; echo 2 > /g"], name="busy1", volume=["data:/v"])
    with Lab("kept") as lab:
        c = lab.containers.get("busy1")
        assert c.status == "exited"
        assert [volume.name for volume in lab.volumes.list()] == ["data"]
        c.start()
        c.wait()
        assert ("A", "/g") in c.diff()
        seen = lab.containers.run("busybox", ["cat", "/v/f"], volumes_from=["busy1"])
        assert seen.logs() == "1\n"


def test_a_handle_alone_is_a_lab(home: Path) -> None:
    with Handle() as handle:
        handle.netlink().close()


def test_a_narrow_umask_is_not_the_labs(home: Path) -> None:
    """What is made below NBCONTAINER_HOME must let the lab's ids through."""
    script = """
import os
os.umask(0o077)
from nbcontainer import Lab
with Lab() as lab:
    lab.images.bootstrap_busybox()
    c = lab.containers.run("busybox", ["sh", "-c", "umask; ls -ld /bin | cut -c1-10"], volume=["data:/data"])
    print(c.logs(), end="")
"""
    environment = {**os.environ, "NBCONTAINER_HOME": str(home / "a" / "b")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0022\ndrwxr-xr-x\n", "")


def test_a_script_that_just_ends_says_nothing(home: Path) -> None:
    code = """
from nbcontainer import Lab
lab = Lab()
lab.images.bootstrap_busybox()
lab.containers.run("busybox", ["sleep", "1000"], detach=True, rm=True)
lab.containers.run("busybox", ["sleep", "1000"], detach=True, restart="always")
lab.containers.run("busybox", ["sleep", "1000"], detach=True, publish=["80"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
