"""Any bytes are decoded or said to be malformed; files are what their readers expect."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcontainer.errors import InvalidArgument
from nbcontainer.network.capture.packet import ETHERNET, RAW, Packet
from nbcontainer.network.capture.pcapng import pcapng
from nbcontainer.network.capture.talk import EVERYONE, talk
from nbcontainer.syscalls import libpcap
from nbcontainer.view.packets import talk_html

US, THEM = "020000000001", "020000000002"
ARP = bytes.fromhex(f"ffffffffffff{US}08060001080006040001{US}0a010001{'00' * 6}0a010002")
REPLY = bytes.fromhex(f"{US}{THEM}08060001080006040002{THEM}0a010002{US}0a010001")
ECHO = bytes.fromhex(f"{THEM}{US}0800 4500001c000000004001 0000 0a010001 0a010002 0800 f7ff 0000 0000")
VLAN = ECHO[:12] + bytes.fromhex("8100 0007") + ECHO[12:]
SOLICIT = bytes.fromhex(
    f"3333ff000002{US}86dd 60000000 0018 3aff fe80{'00' * 13}01 ff02{'00' * 9}01ff000002 8700 0000 00000000"
    f"fe80{'00' * 13}02"
)
REPORT = bytes.fromhex(
    f"333300000016{US}86dd 60000000 0008 3aff fe80{'00' * 13}01 ff02{'00' * 13}16 8f00 0000 00000000"
)
STP = bytes.fromhex(
    f"0180c2000000{US}0026424203 0000000000 8000{US} 00000000 8000{US} 8001 0000 1400 0200 0f00{'00' * 8}"
)


def packet(data: bytes, number: int = 1, linktype: int = ETHERNET, link: str = "eth0") -> Packet:
    return Packet(number, 1700000000.5 + number, link, data, linktype=linktype, length=len(data))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (ARP, "10.1.0.1 > ff:ff:ff:ff:ff:ff ARP who has 10.1.0.2? tell 10.1.0.1"),
        (REPLY, "10.1.0.2 > 10.1.0.1 ARP 10.1.0.2 is at 02:00:00:00:00:02"),
        (ECHO, "10.1.0.1 > 10.1.0.2 ICMP echo request, seq 0"),
        (VLAN, "10.1.0.1 > 10.1.0.2 ICMP echo request, seq 0"),
        (SOLICIT, "fe80::1 > ff02::1:ff00:2 NDP who has fe80::2?"),
        (REPORT, "fe80::1 > ff02::16 ICMPv6 multicast report"),
        (STP, "02:00:00:00:00:01 > 01:80:c2:00:00:00 STP root 8000.020000000001 cost 0"),
        (ECHO[:20], f" >  malformed {20} bytes"),
        (b"", " >  malformed 0 bytes"),
    ],
)
def test_what_packets_say(data: bytes, text: str) -> None:
    assert str(packet(data)) == text


def test_a_raw_packet() -> None:
    assert str(packet(ECHO[14:], linktype=RAW)) == "10.1.0.1 > 10.1.0.2 ICMP echo request, seq 0"


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([ETHERNET, RAW]))
def test_any_bytes(data: bytes, linktype: int) -> None:
    assert isinstance(str(packet(data, linktype=linktype)), str)


@settings(deadline=None)
@given(st.sampled_from([ARP, REPLY, ECHO, VLAN, SOLICIT, STP]), st.data())
def test_damaged_packets(good: bytes, data: st.DataObject) -> None:
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(damaged)))
    one = packet(bytes(damaged[:kept]))
    assert str(one)
    ElementTree.fromstring(svg(talk_html(talk([one, one]))) or "<x/>")


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=100), st.sampled_from(["eth0", "tun0", "名"])), max_size=8))
def test_files_are_read_back(found: list[tuple[bytes, str]]) -> None:
    from dpkt.pcapng import Reader

    packets = [packet(data, number, link=link) for number, (data, link) in enumerate(found)]
    data = pcapng(packets, "icmp")
    if packets:
        assert [(round(time, 6), got) for time, got in Reader(io.BytesIO(data))] == [
            (round(one.time, 6), one.data) for one in packets
        ]


def svg(html: str) -> str:
    begin = html.find("<svg")
    return html[begin : html.index("</svg>") + 6] if begin >= 0 else ""


def test_the_diagram_is_well_formed_and_repeats() -> None:
    packets = [packet(data, number) for number, data in enumerate((ARP, REPLY, ECHO, ECHO))]
    said = talk(packets, {"10.1.0.1": "r1 <&>"})
    assert said.lanes == ("r1 <&>", "10.1.0.2")
    assert str(said).split("\n")[2] == "r1 <&> 10.1.0.1 → 10.1.0.2         ICMP  echo request (×2)"
    html = talk_html(said)
    assert html == talk_html(talk(packets, {"10.1.0.1": "r1 <&>"}))
    root = ElementTree.fromstring(svg(html))
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.findtext(f"{space}title") == "Who talked to whom: 3 messages between r1 <&>, 10.1.0.2"
    assert "ICMP echo request (×2)" in (root.findtext(f"{space}desc") or "")
    labels = (root.get("aria-labelledby") or "").split()
    assert labels == [node.get("id") for node in root if node.tag in (f"{space}title", f"{space}desc")]


def test_an_unanswered_question_is_one_for_everyone() -> None:
    (arrow,) = talk([packet(ARP, 1), packet(ARP, 2)]).arrows
    assert (arrow.target, arrow.broadcast, arrow.count) == (EVERYONE, True, 2)
    assert str(talk([])) == "nobody has said anything"
    assert "Nobody has said anything" in talk_html(talk([]))


def test_housekeeping_is_not_talk() -> None:
    assert talk([packet(REPORT)]).arrows == ()


@settings(deadline=None)
@given(st.text(max_size=30))
def test_a_filter_is_compiled_or_refused(text: str) -> None:
    try:
        program = libpcap.compile_filter(text, 1)
    except InvalidArgument:
        return
    assert len(program) % 8 == 0
