"""Containers run: what they are made of, what they print, how they end."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import CommandFailed, Conflict, InvalidArgument, NotFound, StartFailed


def out(lab: Any, *command: str, **options: Any) -> str:
    text: str = lab.containers.run("busybox", command, **options).logs()
    return text


@pytest.fixture(autouse=True)
def _image(busybox: Any) -> None:
    pass


def test_output_and_exit_code(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert c.exit_code == 3
    assert c.logs(stderr=False) == "out\n"
    assert c.logs(stdout=False) == "err\n"
    with pytest.raises(CommandFailed, match="exited with 3"):
        out(lab, "sh", "-c", "exit 3")


def test_output_is_binary_safe_and_streams_apart(lab: Any) -> None:
    seen: dict[str, bytes] = {"out": b"", "err": b""}
    data = bytes(range(256)) * 64
    lab.containers.run(
        "busybox",
        ["sh", "-c", "cat; echo done >&2"],
        stdin=data,
        stdout=lambda piece: seen.__setitem__("out", seen["out"] + piece),
        stderr=lambda piece: seen.__setitem__("err", seen["err"] + piece),
    )
    assert seen == {"out": data, "err": b"done\n"}


def test_nothing_is_lost_at_full_speed(lab: Any) -> None:
    count = 0

    def sink(piece: bytes) -> None:
        nonlocal count
        count += len(piece)

    lab.containers.run("busybox", ["dd", "if=/dev/zero", "bs=1M", "count=200"], stdout=sink, rm=True)
    assert count == 200 << 20


def test_logs_are_bounded_and_never_block(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "yes | head -c 100000000"], detach=True)
    assert c.wait(60) == 0
    assert sum(path.stat().st_size for path in (c.directory / "log").iterdir()) < 20 << 20


def test_it_is_pid_1_in_namespaces_of_its_own(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sleep", "100"], detach=True)
    d = lab.containers.run("busybox", ["sleep", "100"], detach=True)
    assert b"1 root     sleep 100" in c.exec(["ps"]).stdout
    mine, other = c.namespaces, d.namespaces
    assert {kind for kind in mine if mine[kind] == other[kind]} == {"user"}


def test_network_as_docker_gives_it(lab: Any) -> None:
    text = out(lab, "sh", "-c", "ip -4 addr show eth0; ip link show eth0; ip route; cat /etc/hosts")
    assert "172.17.0.2/16" in text
    assert "02:42:ac:11:00:02" in text
    assert "default via 172.17.0.1" in text
    assert "127.0.0.1\tlocalhost" in text


def test_containers_reach_each_other(lab: Any) -> None:
    lab.containers.run("busybox", ["sleep", "100"], detach=True, name="one1")
    assert "0% packet loss" in out(lab, "ping", "-c", "1", "-w", "5", "172.17.0.2")
    assert "0% packet loss" in out(lab, "ping", "-c", "1", "-w", "5", "172.17.0.1")


def test_network_none_host_and_joined(lab: Any) -> None:
    assert out(lab, "ls", "/sys/class/net", network="none") == "lo\n"
    first = lab.containers.run("busybox", ["sleep", "100"], detach=True, name="first")
    text = out(lab, "sh", "-c", "hostname; ip -4 addr show eth0", network="container:first", uts="container:first")
    assert "172.17.0.2/16" in text
    assert text.startswith(first.short_id)
    assert "docker0" in out(lab, "ls", "/sys/class/net", network="host")


def test_pid_and_ipc_can_be_shared(lab: Any) -> None:
    lab.containers.run("busybox", ["sleep", "1234"], detach=True, name="first")
    assert "sleep 1234" in out(lab, "ps", pid="container:first")


def test_ids_names_and_addresses_repeat() -> None:
    from nbcontainer.runtime import Lab

    seen = []
    for _ in range(2):
        with Lab() as lab:
            c = lab.containers.run("busybox", ["sleep", "9"], detach=True)
            seen.append((c.id, c.name, c.endpoint.ip, c.endpoint.mac, c.endpoint.veth, c.endpoint.ifindex, c.state.pid))
    assert seen[0] == seen[1]


def test_stop_start_keeps_the_writable_layer(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "trap 'exit 0' TERM; sleep 100 & wait"], detach=True)
    c.exec(["sh", "-c", "echo kept > /file"])
    c.stop(timeout=5)
    assert (c.status, c.exit_code) == ("exited", 0)
    c.start()
    assert c.exec(["cat", "/file"]).stdout == b"kept\n"
    c.kill("KILL")
    assert c.wait(5) == 137


def test_all_its_processes_end_with_pid_1(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "sleep 1000 & sleep 1000 & sleep 0.2"], detach=True)
    assert len(c.top()) >= 3
    c.wait(10)
    with pytest.raises(Conflict, match="is not running"):
        c.top()


def test_init_reaps_and_passes_signals_on(lab: Any) -> None:
    command = "trap 'exit 7' TERM; (sleep 0.1 &) ; while true; do sleep 0.05; done"
    c = lab.containers.run("busybox", ["sh", "-c", command], init=True, detach=True)
    time.sleep(0.5)
    assert not [row for row in c.top(["pid", "stat", "args"]) if row["STAT"] == "Z"]
    c.kill("TERM")
    assert c.wait(5) == 7


def test_restart_policy(lab: Any) -> None:
    c = lab.containers.run("busybox", ["sh", "-c", "exit 1"], detach=True, restart="on-failure:2")
    for _ in range(200):
        if c.state.restart_count == 2 and c.status == "exited":
            break
        time.sleep(0.05)
    assert (c.state.restart_count, c.status, c.exit_code) == (2, "exited", 1)


def test_what_starts_again_and_again_can_be_removed_at_any_moment(lab: Any) -> None:
    for tenths in range(10):
        c = lab.containers.run("busybox", ["true"], detach=True, restart="always")
        time.sleep(0.1 + tenths / 100)
        c.remove(force=True)
    assert lab.containers.list(all=True) == []
    c = lab.containers.run("busybox", ["true"], detach=True, restart="always")
    time.sleep(0.1)
    c.stop()
    assert c.status == "exited"


def test_healthcheck(lab: Any) -> None:
    c = lab.containers.run(
        "busybox", ["sleep", "100"], detach=True, health_cmd="test -f /ok", health_interval=0.1, health_retries=2
    )
    for expected, action in (("unhealthy", None), ("healthy", ["touch", "/ok"])):
        if action:
            c.exec(action)
        for _ in range(200):
            if c.state.health == expected:
                break
            time.sleep(0.05)
        assert c.state.health == expected


def test_user_workdir_env_and_entrypoint(lab: Any) -> None:
    text = out(lab, "-c", "id -un; pwd; echo $A", workdir="/made/here", env={"A": "1"}, entrypoint=["sh"])
    assert text == "root\n/made/here\n1\n"
    if not lab.idmap.single:
        assert out(lab, "sh", "-c", "id -u; id -g; echo $HOME", user="nobody") == "65534\n65534\n/home\n"
    with pytest.raises(StartFailed, match="unable to find user nosuch"):
        out(lab, "true", user="nosuch")


def test_mounts(lab: Any, tmp_path: Any) -> None:
    (tmp_path / "f").write_text("mine")
    tmp_path.chmod(0o755)
    bind = f"{tmp_path}:/host"
    assert out(lab, "sh", "-c", "cat /host/f; echo new > /host/g; stat -c %u /host/f", volume=[bind]) == "mine0\n"
    assert (tmp_path / "g").read_text() == "new\n"
    assert (tmp_path / "g").stat().st_uid == (tmp_path / "f").stat().st_uid
    with pytest.raises(CommandFailed):
        out(lab, "touch", "/host/h", volume=[f"{bind}:ro"])
    out(lab, "sh", "-c", "echo v > /data/f", volume=["vol1:/data"])
    assert out(lab, "cat", "/data/f", volume=["vol1:/data"]) == "v\n"
    assert "tmpfs" in out(lab, "mount", tmpfs=["/scratch:size=1m"]).partition("/scratch")[2].partition("\n")[0]
    with pytest.raises(CommandFailed):
        out(lab, "touch", "/x", read_only=True)
    with pytest.raises(InvalidArgument, match="bind source path does not exist"):
        out(lab, "true", mount=["type=bind,source=/nosuch,target=/x"])


def test_a_link_in_an_image_does_not_lead_a_mount_out(lab: Any, tmp_path: Any) -> None:
    tmp_path.chmod(0o755)
    c = lab.containers.create("busybox", ["true"], volume=[f"{tmp_path}:/link/made-by-us"])
    from pathlib import Path

    lab.call(make_link, f"{c.root}/link", str(tmp_path.parent))
    c.start()
    c.wait(5)
    assert not Path(tmp_path.parent, "made-by-us").exists()


def make_link(path: str, target: str) -> None:
    """Runs inside."""
    import os

    os.symlink(target, path)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/nosuch"], 127, 'exec: "/nosuch": no such file or directory'),
        (["/etc"], 126, 'exec: "/etc": permission denied'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_command_that_cannot_start(lab: Any, command: list[str], code: int, words: str) -> None:
    with pytest.raises(StartFailed) as caught:
        lab.containers.run("busybox", command, rm=True)
    assert (caught.value.exit_code, str(caught.value)) == (code, words)
    assert lab.containers.list(all=True) == []


def test_a_mount_that_fails_says_where_whatever_ran_before(lab: Any) -> None:
    for _ in range(2):
        with pytest.raises(StartFailed, match="failed at /proc/x: No such file or directory"):
            lab.containers.run("busybox", ["true"], rm=True, tmpfs=["/proc/x"])
    assert out(lab, "echo", "well") == "well\n"


def test_set_up_that_is_killed(lab: Any) -> None:
    def waiting() -> Any:
        out(lab, "true")
        for _ in range(600):
            if lab.containers.spares._waiting is not None:
                return lab.containers.spares._waiting.process
            time.sleep(0.05)
        raise AssertionError("no set-up process waits")

    process = waiting()
    process.kill()
    process.wait(30)
    assert out(lab, "echo", "well") == "well\n"
    process = waiting()
    process.kill(signal.SIGSTOP)  # so that it has a request that it never reads
    threading.Timer(0.3, process.kill).start()
    with pytest.raises(StartFailed, match="its set-up process ended by signal 9"):
        out(lab, "echo", "never")
    assert out(lab, "echo", "well") == "well\n"


def test_bad_input_is_one_line_and_leaves_nothing(lab: Any) -> None:
    for error, image, options, words in (
        (NotFound, "nosuch", {"pull": "never"}, "No such image: nosuch"),
        (InvalidArgument, "busybox", {"memory": "1m"}, "Minimum memory limit allowed is 6MB"),
        (InvalidArgument, "busybox", {"name": "!"}, "Invalid container name"),
        (InvalidArgument, "busybox", {"cap_add": ["NOPE"]}, "unknown capability"),
        (InvalidArgument, "busybox", {"volume": ["a:b:c:d"]}, "invalid volume specification"),
        (NotFound, "busybox", {"network": "nosuch"}, "network nosuch not found"),
        (InvalidArgument, "busybox", {"ip": "10.0.0.1"}, "does not belong to any of this network's subnets"),
    ):
        with pytest.raises(error, match=words):
            lab.containers.run(image, ["true"], rm=True, **options)
    with pytest.raises(InvalidArgument):
        out(lab, "true", sysctl=["kernel.panic=1"])
    assert lab.containers.list(all=True) == []
    assert out(lab, "echo", "well") == "well\n"


def test_a_taken_name(lab: Any) -> None:
    out(lab, "true", name="busy1")
    with pytest.raises(Conflict, match='The container name "/busy1" is already in use'):
        out(lab, "true", name="busy1")
    assert out(lab, "echo", "new", name="busy1", replace=True) == "new\n"


def test_ctrl_c_reaches_the_container_and_a_second_one_kills(lab: Any) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        for _ in range(2):
            time.sleep(0.4)
            signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    c = lab.containers.run("busybox", ["sh", "-c", "trap 'echo caught' INT; while :; do sleep 0.1; done"], check=False)
    assert c.exit_code == 137
    assert "caught" in c.logs()


def test_a_terminal(lab: Any) -> None:
    assert "/dev/pts/0" in out(lab, "tty", tty=True)
    c = lab.containers.run("busybox", ["sh"], tty=True, interactive=True, detach=True)
    c.stdio.resize(40, 100)
    c.write(b"stty size; exit 5\n")
    assert c.wait(10) == 5
    assert "40 100" in c.logs()


def test_a_terminal_below_init(lab: Any) -> None:
    c = lab.containers.run(
        "busybox", ["sh", "-c", "read x; echo got $x"], tty=True, interactive=True, init=True, detach=True
    )
    c.write(b"typed\n")
    assert c.wait(30) == 0
    assert "got typed" in c.logs()


def test_it_may_run_on_every_processor_that_the_notebook_may(lab: Any) -> None:
    may = f"Cpus_allowed_list:\t{Path('/proc/self/status').read_text().partition('Cpus_allowed_list:')[2].split()[0]}\n"
    for pause in (0, 0, 0.2, 0.2, 0.2):  # with nothing made ahead, and with a set-up process that waits
        time.sleep(pause)
        c = lab.containers.run("busybox", ["grep", "Cpus_allowed_list", "/proc/self/status"])
        assert c.logs() == may


def test_trace_tells_every_step(lab: Any) -> None:
    c = lab.containers.run("busybox", ["true"])
    assert {step.kind for step in c.trace} >= {"namespace", "mount", "link", "filter", "limit", "exec"}
    assert all(step.microseconds >= 0 for step in c.trace)


def test_rename_and_find(lab: Any) -> None:
    c = lab.containers.run("busybox", ["true"], name="old1")
    c.rename("new1")
    assert lab.containers.get("new1") is c
    assert lab.containers.get(c.id[:6]) is c
    with pytest.raises(NotFound, match="No such container: old1"):
        lab.containers.get("old1")


def test_what_is_fed_to_it_reaches_a_detached_one_too(lab: Any, busybox: Any) -> None:
    c = lab.containers.run("busybox", ["sh"], stdin=b"echo script; exec sleep 0", detach=True, network="none")
    assert c.wait() == 0
    assert c.logs() == "script\n"
