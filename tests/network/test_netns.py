"""Named network namespaces, and the sockets of this process that live in them."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcontainer import Netns
from nbcontainer.container import on_host
from nbcontainer.errors import Conflict, InvalidArgument, NotFound
from nbcontainer.network.namespaces import check_name


def ip(lab: Any, *words: str) -> str:
    done = on_host.run(lab, ["ip", *words])
    assert done.exit_code == 0, done.stderr
    return str(done.stdout.decode())


@pytest.fixture
def r1(lab: Any) -> Netns:
    return lab.netns.add("r1", loopback=True)


def test_the_machines_ip_lists_ours_and_we_list_its(lab: Any) -> None:
    lab.netns.add("r1")
    ip(lab, "netns", "add", "r2")
    assert ip(lab, "netns", "list").split() == ["r2", "r1"]
    assert lab.netns.names() == ["r1", "r2"]
    lab.netns.delete("r2")
    ip(lab, "netns", "del", "r1")
    assert lab.netns.list() == []
    with pytest.raises(NotFound, match='Cannot open network namespace "r1": No such file or directory'):
        lab.netns.get("r1")


def test_a_thousand_at_once(lab: Any) -> None:
    made = lab.netns.add_all(f"n{number}" for number in range(1000))
    assert len({netns.inode for netns in made}) == 1000
    with pytest.raises(Conflict, match="n7"):
        lab.netns.add_all(["m1", "n7"])
    assert not Netns("m1", lab).exists
    lab.netns.delete(*(netns.name for netns in made))
    assert lab.netns.names() == []


def test_a_socket_lives_where_it_was_made(lab: Any, r1: Netns) -> None:
    r2 = lab.netns.add("r2", loopback=True)
    with r1.listen(("127.0.0.1", 80)) as server, r1.connect(("127.0.0.1", 80)) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"
        for elsewhere in (r2.connect, socket.create_connection):
            with pytest.raises(ConnectionRefusedError):
                elsewhere(("127.0.0.1", server.getsockname()[1]), 5)


def test_within_the_block_sockets_of_this_thread_only(r1: Netns) -> None:
    names: dict[str, str] = {}

    def look(where: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            # SO_BINDTODEVICE and the like aside, a link's name is the plainest sign of where a socket lives.
            names[where] = ",".join(name for _, name in _links(sock))

    look("before")
    with r1:
        look("within")
        thread = threading.Thread(target=look, args=("thread",))
        thread.start()
        thread.join()
        with socket.socket() as sock:
            assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
    look("after")
    assert names["within"] == "lo"
    assert names["before"] == names["thread"] == names["after"]
    assert socket.socket.__init__.__module__ == "socket"


def _links(sock: socket.socket) -> list[tuple[int, str]]:
    import fcntl
    import struct

    found = []
    for index in range(1, 64):
        try:
            answer = fcntl.ioctl(sock, 0x8910, struct.pack("16si20x", b"", index))  # SIOCGIFNAME
        except OSError:
            continue
        found.append((index, answer[:16].split(b"\0")[0].decode()))
    return found


def test_asyncio(r1: Netns) -> None:
    async def talk() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await r1.start_server(serve, "127.0.0.1", 7)
        async with server:
            reader, writer = await r1.open_connection("127.0.0.1", 7)
            writer.write(b"echo\n")
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(talk()) == b"echo\n"


def test_a_program_runs_there(lab: Any, r1: Netns) -> None:
    done = r1.exec(["sh", "-c", "ls /sys/class/net; ip netns identify; cat; exit 3"], stdin=b"input")
    assert (done.exit_code, done.stdout) == (3, b"lo\nr1\ninput")


def test_files_of_etc_netns_stand_in_for_those_of_etc(lab: Any, r1: Netns, tmp_path: Any) -> None:
    script = (
        "mkdir -p /run/etc/netns/r1 && cp /etc/hosts /etc/passwd /run/etc && echo nameserver 10.1.0.9 >"
        " /run/etc/netns/r1/hosts && mount --bind /run/etc /etc"
    )
    done = on_host.run(lab, ["sh", "-c", script])
    assert done.exit_code == 0, done.stderr
    assert r1.exec(["cat", "/etc/hosts"]).stdout == b"nameserver 10.1.0.9\n"
    assert b"nameserver 10.1.0.9" not in on_host.run(lab, ["cat", "/etc/hosts"]).stdout


def test_pids_identify_attach_and_set(lab: Any, r1: Netns) -> None:
    done = r1.exec(["sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!"])
    pid = int(done.stdout)
    assert r1.pids() == [pid]
    assert lab.netns.identify(pid) == ["r1"]
    again = lab.netns.attach("again", pid)
    assert again.inode == r1.inode
    assert lab.netns.identify(pid) == ["again", "r1"]
    assert r1.id is None
    assert lab.netns.set("r1", 7) == 7
    assert r1.id == again.id == 7
    with pytest.raises(Conflict, match="Cannot set nsid of r1"):
        lab.netns.set("r1", 8)
    lab.netns.add("r3")
    assert lab.netns.set("r3") == 0
    with pytest.raises(NotFound, match="no such process"):
        lab.netns.identify(999_999)


def test_removed_while_in_use(lab: Any, r1: Netns) -> None:
    with r1.listen(("127.0.0.1", 80)) as server, r1.connect(("127.0.0.1", 80)) as client:
        r1.delete()
        assert lab.netns.names() == []
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"still here")
            assert accepted.recv(10) == b"still here"
    with pytest.raises(NotFound):
        r1.socket()
    lab.netns.add("r1")
    assert r1.exists
    with pytest.raises(OSError, match="unreachable"):
        r1.connect(("127.0.0.1", 80))


def test_fd_is_kept_and_follows_the_name(lab: Any, r1: Netns) -> None:
    first = r1.fd
    assert r1.fd == first
    assert os.fstat(first).st_ino == r1.inode
    lab.netns.delete("r1")
    lab.netns.add("r1")
    assert os.fstat(r1.fd).st_ino == lab.netns.get("r1").inode


def test_the_opener_of_sockets_comes_back_when_it_was_killed(lab: Any, r1: Netns) -> None:
    r1.socket().close()
    done = on_host.run(
        lab,
        ["sh", "-c", "for p in /proc/[0-9]*; do grep -qx nbcontainer-net $p/comm && kill -9 ${p#/proc/}; done; true"],
    )
    assert done.exit_code == 0
    with r1.socket() as sock:
        assert sock.fileno() > 0


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\nb", "x" * 256, "\0"])
def test_names_that_cannot_be(lab: Any, name: str) -> None:
    for act in (lab.netns.add, lab.netns.delete, lab.netns.get):
        with pytest.raises(InvalidArgument, match="Invalid netns name"):
            act(name)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_a_name_is_refused_or_can_be_a_file(name: str) -> None:
    try:
        check_name(name)
    except InvalidArgument:
        return
    assert "/" not in name
    assert len(name.encode()) <= 255


@pytest.mark.parametrize("name", ["-n", "ein name", "名", "a'b\"c", "$HOME", "{x}", "r1;true"])
def test_strange_names_work(lab: Any, name: str) -> None:
    netns = lab.netns.add(name)
    assert lab.netns.names() == [name]
    assert netns.exec(["ip", "link"]).stdout.startswith(b"1: lo")
    netns.delete()


def test_a_plain_file_among_them_is_named(lab: Any) -> None:
    on_host.run(lab, ["touch", "/run/netns/broken"])
    with pytest.raises(NotFound, match=r"/run/netns/broken is a plain file.*`%netns delete broken` removes it"):
        lab.netns.get("broken").socket()
    lab.netns.delete("broken")
    assert lab.netns.names() == []
