"""Names at 127.0.0.11, asked by real containers and, to the wire, by a resolver of our own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbcontainer.network import names


def sleeper(lab: Any, name: str, **options: Any) -> Any:
    return lab.containers.run("busybox", ["sleep", "600"], detach=True, name=name, **options)


def asked(container: Any, name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
    """A question as the container would send it, over a socket of its network namespace."""
    opener = container.lab.networks.sockets
    query = dns.message.make_query(name, kind)
    with opener.new(
        socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM, netns=container.entry.pidfd
    ) as sock:
        sock.settimeout(60)
        sock.connect((names.ADDRESS, 53))
        wire = query.to_wire()
        if tcp:
            sock.sendall(len(wire).to_bytes(2, "big") + wire)
            file = sock.makefile("rb")
            answer = file.read(int.from_bytes(file.read(2), "big"))
        else:
            sock.send(wire)
            answer = sock.recv(65535)
    found = dns.message.from_wire(answer)
    assert query.is_response(found)
    return found


def addresses(container: Any, name: str, kind: str = "A", *, tcp: bool = False) -> list[str]:
    return [item.to_text() for rrset in asked(container, name, kind, tcp=tcp).answer for item in rrset]


def test_names_aliases_and_ids(lab: Any, busybox: Any) -> None:
    for name in ("net1", "net2"):
        lab.networks.create(name)
    web = sleeper(lab, "web", network=["net1"], network_alias=["www", "shared"])
    db = sleeper(lab, "db", network="net1", network_alias=["shared"])
    far = sleeper(lab, "far", network="net2")
    for name in ("web", "WEB", "www", "web.net1", web.short_id, "www.net1"):
        assert addresses(db, name) == [web.endpoint.ip], name
    assert addresses(db, "web", tcp=True) == [web.endpoint.ip]
    # An alias of several is all of them, and takes turns.
    first = [addresses(db, "shared")[0] for _ in range(4)]
    assert first == [web.endpoint.ip, db.endpoint.ip] * 2
    assert addresses(db, "far") == []
    far.connect("net1", alias=["near"])
    assert addresses(db, "far") == addresses(db, "near") == [far.endpoints["net1"].ip]
    web.rename("shop")
    assert addresses(db, "shop") == [web.endpoint.ip]
    assert addresses(db, "web") == []
    far.disconnect("net1")
    assert addresses(db, "near") == []


def test_addresses_the_other_way_round_and_records_that_are_not(lab: Any, busybox: Any) -> None:
    lab.networks.create("net1")
    web = sleeper(lab, "web", network="net1")
    assert addresses(web, "2.0.18.172.in-addr.arpa", "PTR") == ["web.net1."]
    for kind in ("AAAA", "MX", "TXT"):
        answer = asked(web, "web", kind)
        assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
        assert answer.flags & dns.flags.RA


def test_containers_ask_it(lab: Any, busybox: Any) -> None:
    lab.networks.create("net1")
    sleeper(lab, "web", network="net1")
    client = sleeper(lab, "client", network="net1")
    assert client.exec(["ping", "-c", "1", "-w", "5", "web"]).exit_code == 0
    assert b"nameserver 127.0.0.11\n" in client.exec(["cat", "/etc/resolv.conf"]).stdout


def test_port_53_is_the_containers_own(lab: Any) -> None:
    """A container may have a server of its own there, and still ask."""
    if not Path("/usr/bin/python3").exists():
        pytest.skip("not installed: python3")
    lab.networks.create("net1")
    code = "import socket\nfor kind in (1, 2): socket.socket(2, kind).bind(('0.0.0.0', 53))\n"
    code += "print(socket.gethostbyname('own'))"
    c = lab.containers.run("host", ["/usr/bin/python3", "-c", code], network="net1", name="own")
    assert c.logs() == "172.18.0.2\n"


def test_docker0_has_no_answerer_until_it_is_needed(lab: Any, busybox: Any) -> None:
    lab.networks.create("net1")
    web = sleeper(lab, "web", network="net1")
    plain = sleeper(lab, "plain")
    assert b"127.0.0.11" not in plain.exec(["cat", "/etc/resolv.conf"]).stdout
    plain.connect("net1")
    assert b"nameserver 127.0.0.11\n" in plain.exec(["cat", "/etc/resolv.conf"]).stdout
    assert addresses(plain, "web") == [web.endpoint.ip]
    assert addresses(web, "plain") == [plain.endpoints["net1"].ip]


def test_links(lab: Any, busybox: Any) -> None:
    lab.networks.create("net1")
    db = sleeper(lab, "db", network="net1")
    web = sleeper(lab, "web", network="net1", link=["db:store"])
    assert addresses(web, "store") == [db.endpoint.ip]
    assert addresses(db, "store") == []
    old = sleeper(lab, "old")
    linked = sleeper(lab, "linked", link=["old:legacy"])
    assert linked.exec(["grep", "legacy", "/etc/hosts"]).stdout.decode().split()[0] == old.endpoint.ip


@pytest.fixture
def resolver() -> Iterator[tuple[str, list[str]]]:
    """A resolver on the machine's loopback that knows one name, and what it was asked."""
    heard: list[str] = []
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            data, source = sock.recvfrom(4096)
            if data == b"end":
                return
            query = dns.message.from_wire(data)
            heard.append(query.question[0].name.to_text())
            reply = dns.message.make_response(query)
            if query.question[0].rdtype == dns.rdatatype.A:
                reply.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", "A", "192.0.2.99"))
            sock.sendto(reply.to_wire(), source)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{sock.getsockname()[1]}", heard
    sock.sendto(b"end", sock.getsockname())
    thread.join()
    sock.close()


def test_other_names_go_on_to_the_resolvers(
    lab: Any, busybox: Any, resolver: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (address, port), heard = resolver[0].split(":"), resolver[1]
    monkeypatch.setattr(names, "_PORT", int(port))
    monkeypatch.setattr(names, "resolvers", lambda: [address])
    for name, internal in (("net1", False), ("inner", True)):
        lab.networks.create(name, internal=internal)
    web, inner = sleeper(lab, "web", network="net1"), sleeper(lab, "inner", network="inner")
    assert addresses(web, "host.example") == ["192.0.2.99"]
    assert heard == ["host.example."]
    # What belongs to the lab is not told to anybody, and an internal network asks nobody.
    assert addresses(web, "web") == [web.endpoint.ip]
    assert asked(inner, "host.example").rcode() == dns.rcode.SERVFAIL
    assert heard == ["host.example."]


def test_without_resolvers_the_answer_comes_at_once(lab: Any, busybox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "resolvers", list)
    lab.networks.create("net1")
    assert asked(sleeper(lab, "web", network="net1"), "host.example").rcode() == dns.rcode.SERVFAIL


def test_many_addresses_do_not_fit_a_datagram(lab: Any) -> None:
    lab.networks.create("net1")
    for number in range(80):
        lab.networks.allocate(f"id{number}", f"name{number}", "net1", aliases=("all",))
    answerer = names.Names(lab.networks, "id0", {}, ())
    query = dns.message.make_query("all", "A", use_edns=False).to_wire()
    short = dns.message.from_wire(asyncio.run(answerer.answer(query, over_tcp=False)) or b"")
    assert short.flags & dns.flags.TC
    whole = dns.message.from_wire(asyncio.run(answerer.answer(query, over_tcp=True)) or b"")
    assert sum(len(rrset) for rrset in whole.answer) == 80


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=80))
def test_what_is_no_question_is_not_answered(lab: Any, data: bytes) -> None:
    answer = asyncio.run(names.Names(lab.networks, "nobody", {}, ["127.0.0.2"]).answer(b"\0\1\x81\x80" + data, False))
    assert answer is None
