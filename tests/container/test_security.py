"""What a container may not do. Each test is something a hostile image would try."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import CommandFailed

#: Two numbers of swapon(2), which the profile knows and refuses: asm/unistd.h.
SWAPON = {"x86_64": 167, "aarch64": 224}[os.uname().machine]
#: Docker's fourteen.
DEFAULT = 0x00000000A80425FB


@pytest.fixture(autouse=True)
def _image(busybox: Any) -> None:
    pass


def out(lab: Any, script: str, image: str = "busybox", **options: Any) -> str:
    text: str = lab.containers.run(image, ["sh", "-c", script], check=False, **options).logs()
    return text


def status(text: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def test_capabilities_seccomp_and_no_new_privileges(lab: Any) -> None:
    found = status(out(lab, "cat /proc/self/status"))
    assert int(found["CapBnd"], 16) == int(found["CapEff"], 16) == DEFAULT
    assert found["CapInh"] == found["CapAmb"] == "0000000000000000"
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    executed = lab.containers.run("busybox", ["sleep", "99"], detach=True).exec(["cat", "/proc/self/status"])
    found = status(executed.stdout.decode())
    assert int(found["CapEff"], 16) == DEFAULT
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_capabilities_are_added_and_dropped(lab: Any) -> None:
    found = status(out(lab, "cat /proc/self/status", cap_drop=["ALL"], cap_add=["NET_ADMIN"]))
    assert int(found["CapBnd"], 16) == int(found["CapEff"], 16) == 1 << 12


def test_masked_and_read_only_paths(lab: Any) -> None:
    assert out(lab, "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c") == "0\n"
    assert "Read-only file system" in out(lab, "echo 1 > /proc/sys/kernel/panic")
    assert "Read-only file system" in out(lab, "mkdir /sys/x")
    assert "Read-only" in out(lab, "echo 1 > /proc/irq/default_smp_affinity")


def test_mounts_do_not_depend_on_what_ran_before(lab: Any) -> None:
    def mounts(**options: Any) -> list[str]:
        lines = [line.split(" - ") for line in out(lab, "cat /proc/self/mountinfo", **options).splitlines()]
        return sorted(" ".join([*left.split()[3:6], right.split()[0]]) for left, right in lines)

    given: list[dict[str, Any]] = [
        {"shm_size": "1m"},
        {"tmpfs": ["/dev"]},
        {"tmpfs": ["/dev/inner"]},
        {"volume": ["v1:/sys"]},
        {"volume": ["v1:/dev/shm"]},
        {"privileged": True},
        {"read_only": True},
        {"sysctl": ["net.ipv4.ip_forward=1"]},
    ]
    for options in given:
        mounts()  # what waits now was made for a container like this one
        otherwise = mounts(**options)
        assert mounts(**options) == otherwise
        mounts()
        assert out(lab, "test -c /dev/null && head -c 3 /dev/zero | wc -c", **options) == "3\n"


def test_the_first_process_of_init_has_hardly_a_right(lab: Any) -> None:
    found = status(out(lab, "cat /proc/1/status", init=True))
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 1 << 5  # CAP_KILL
    assert found["NoNewPrivs"] == "1"


def test_refused_calls(lab: Any) -> None:
    assert "permission denied" in out(lab, "mount -t tmpfs x /tmp")
    assert "Operation not permitted" in out(lab, "unshare -U true")
    assert "Operation not permitted" in out(lab, "mknod /tmp/sda b 8 0")


def test_only_the_usual_devices(lab: Any) -> None:
    assert out(lab, "ls /dev").split() == sorted(
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    )


def test_nothing_of_the_hosts_is_open_or_in_the_environment(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_OF_MINE", "42")
    # ls itself has one more, the directory it reads.
    assert out(lab, "ls /proc/self/fd").split() == ["0", "1", "2", "3"]
    c = lab.containers.run("busybox", ["sleep", "99"], detach=True)
    assert c.exec(["ls", "/proc/self/fd"]).stdout.split() == [b"0", b"1", b"2", b"3"]
    assert "A_SECRET" not in out(lab, "env")
    assert b"A_SECRET" not in c.exec(["env"]).stdout


def test_a_working_directory_by_descriptor_does_not_leave_the_root(lab: Any) -> None:
    """CVE-2024-21626: WORKDIR /proc/self/fd/N, where N was a directory of the host's."""
    for number in range(3, 20):
        where = f"/proc/self/fd/{number}"
        try:
            c = lab.containers.run("busybox", ["sh", "-c", "ls ../../../../../.. ; pwd"], workdir=where, check=False)
        except Exception:
            continue
        assert "usr" in c.logs()
        assert "boot" not in c.logs()
        assert not Path("/proc/self/fd", str(number), "bin", "[").exists()


def test_our_process_cannot_be_read_while_it_enters(lab: Any) -> None:
    """CVE-2019-5736: a hostile container opens /proc/PID/exe of the process that enters it."""
    hunter = """
    while :; do
        for p in /proc/[0-9]*; do
            case $(readlink $p/exe 2>/dev/null) in *python*) echo "found $p"; esac
        done
    done
    """
    c = lab.containers.run("busybox", ["sh", "-c", hunter], detach=True, privileged=True)
    for _ in range(30):
        c.exec(["true"])
    c.kill()
    c.wait(5)
    assert c.logs() == ""


def test_an_interpreter_of_proc_self_exe_gets_nothing_writable(lab: Any) -> None:
    """The other half of CVE-2019-5736: `#!/proc/self/exe` as the program."""
    c = lab.containers.run("busybox", ["sleep", "99"], detach=True)
    c.exec(["sh", "-c", "printf '#!/proc/self/exe\\n' > /evil; chmod +x /evil"])
    before = os.stat(os.path.realpath("/proc/self/exe"))
    try:
        c.exec(["/evil"])
    except Exception:
        pass
    after = os.stat(os.path.realpath("/proc/self/exe"))
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


def test_privileged_is_privileged_in_the_lab_only(lab: Any) -> None:
    assert out(lab, "mount -t tmpfs x /tmp && echo mounted", privileged=True) == "mounted\n"
    assert "denied" in out(
        lab, "mknod /tmp/sda b 8 0 2>&1; dd if=/tmp/sda of=/dev/null 2>&1 || echo denied", privileged=True
    )
    before = Path("/proc/sys/kernel/panic").read_text()
    out(lab, "echo 77 > /proc/sys/kernel/panic", privileged=True)
    assert Path("/proc/sys/kernel/panic").read_text() == before


def test_only_namespaced_sysctls(lab: Any) -> None:
    assert out(lab, "cat /proc/sys/net/ipv4/ip_forward", sysctl=["net.ipv4.ip_forward=1"]) == "1\n"


def test_ulimits_and_oom_score(lab: Any) -> None:
    assert out(lab, "ulimit -n", ulimit=["nofile=64:64"]) == "64\n"
    assert out(lab, "cat /proc/self/oom_score_adj", oom_score_adj=500) == "500\n"


def test_the_image_host_hides_what_is_not_for_everybody(lab: Any) -> None:
    text = out(lab, "ls /home /root /run /var; cat /etc/shadow; ls /etc/ssh", image="host")
    assert "No such file" in text
    assert "root:x" not in text
    assert "root:*" not in text
    assert "root:$" not in text
    assert out(lab, "python3 -c 'print(6*7)'", image="host") == "42\n"
    with pytest.raises(CommandFailed):
        lab.containers.run("host", ["sh", "-c", "echo x > /proc/sys/kernel/hostname"])


def test_unconfined_and_a_profile_of_ones_own(lab: Any, tmp_path: Path) -> None:
    assert status(out(lab, "cat /proc/self/status", security_opt=["seccomp=unconfined"]))["Seccomp"] == "0"
    profile = tmp_path / "no-mkdir.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    assert "Operation not permitted" in out(lab, "mkdir /x", security_opt=[f"seccomp={profile}"])


def test_a_system_call_newer_than_the_profile_is_not_implemented(lab: Any) -> None:
    # EPERM would make a C library give up where it should fall back to an older call.
    ask = "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); libc.syscall({}); print(ctypes.get_errno())"
    for number, said in ((500, errno.ENOSYS), (SWAPON, errno.EPERM)):
        assert lab.containers.run("host", ["python3", "-c", ask.format(number)]).logs() == f"{said}\n"


def test_nothing_tells_where_on_the_machine_we_lie(lab: Any) -> None:
    watch = "while :; do cat /proc/[0-9]*/cmdline; done > /seen 2>/dev/null"
    c = lab.containers.run("busybox", ["sh", "-c", watch], init=True, detach=True)
    for _ in range(20):  # the process that enters, as long as it is ours, is seen from inside too
        c.exec(["true"])
    assert c.exec(["cat", "/proc/1/cmdline"]).stdout.strip(b"\0") == b"init"
    seen = c.exec(["cat", "/seen"]).stdout
    assert b"sh\0-c" in seen
    assert b"python" not in seen
