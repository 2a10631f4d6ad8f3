"""`-p`'s grammar, and the ways Docker writes ports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidArgument
from nbcontainer.network import ports
from nbcontainer.network.ports import Asked, Binding


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("80", [Asked("tcp", 80, (), 0, 0)]),
        ("53/udp", [Asked("udp", 53, (), 0, 0)]),
        ("8080:80", [Asked("tcp", 80, (), 8080, 8080)]),
        ("8000-8001:80-81", [Asked("tcp", 80, (), 8000, 8000), Asked("tcp", 81, (), 8001, 8001)]),
        ("8000-8009:80", [Asked("tcp", 80, (), 8000, 8009)]),
        ("80-81", [Asked("tcp", 80, (), 0, 0), Asked("tcp", 81, (), 0, 0)]),
        ("0.0.0.0:8080:80", [Asked("tcp", 80, ("0.0.0.0",), 8080, 8080)]),
        ("127.0.0.1::80", [Asked("tcp", 80, ("127.0.0.1",), 0, 0)]),
        ("[::1]:8080:80/TCP", [Asked("tcp", 80, ("::1",), 8080, 8080)]),
        ("[::]::80", [Asked("tcp", 80, ("::",), 0, 0)]),
    ],
)
def test_what_is_asked_for(text: str, asked: list[Asked]) -> None:
    assert ports.parse(text) == asked


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "No port specified: <empty>"),
        ("8080:", "No port specified: 8080:<empty>"),
        ("x", "Invalid containerPort: x"),
        ("8080:x", "Invalid containerPort: x"),
        ("x:80", "Invalid hostPort: x"),
        ("70000:80", "Invalid hostPort: 70000"),
        ("81-80", "Invalid containerPort: 81-80"),
        ("80/sctp", "invalid proto: sctp"),
        ("1-3:80-81", "Invalid ranges specified for container and host Ports: 80-81 and 1-3"),
        ("localhost:80:80", "Invalid ip address: localhost"),
        ("[::1:80:80", "Invalid ip address: \\[::1:80"),
        ("٣:80", "Invalid hostPort: ٣"),
    ],
)
def test_what_cannot_be(text: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        ports.parse(text)


@given(st.text(st.sampled_from("0123456789.:-/[]tcpudx "), max_size=24))
def test_any_text_is_ports_or_refused(text: str) -> None:
    try:
        found = ports.parse(text)
    except InvalidArgument:
        return
    assert found
    assert all(0 <= port.container_port < 65536 and port.first <= port.last < 65536 for port in found)


@given(st.text(max_size=12))
def test_any_text_is_exposed_or_refused(text: str) -> None:
    try:
        assert all(0 <= port < 65536 for port, _ in ports.exposed(text))
    except InvalidArgument:
        pass


def test_what_is_shown() -> None:
    bindings = [Binding(80 + n, "tcp", ip, 8000 + n) for n in range(3) for ip in ("127.0.0.1", "::1")]
    bindings.append(Binding(53, "udp", "127.0.0.1", 5353))
    mapped = ports.mapping(bindings, [(80, "tcp"), (443, "tcp"), (444, "tcp")])
    assert list(mapped) == ["53/udp", "80/tcp", "81/tcp", "82/tcp", "443/tcp", "444/tcp"]
    assert mapped["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8000"}, {"HostIp": "::1", "HostPort": "8000"}]
    assert mapped["443/tcp"] is None
    assert ports.column(mapped) == (
        "127.0.0.1:5353->53/udp, 127.0.0.1:8000-8002->80-82/tcp, [::1]:8000-8002->80-82/tcp, 443-444/tcp"
    )
    assert ports.column({}) == ""
