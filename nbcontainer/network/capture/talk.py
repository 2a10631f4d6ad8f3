"""Who talked to whom: packets as the arrows of a sequence diagram, and as lines of text that repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nbcontainer.network.capture.packet import Decoded, Packet

#: As many arrows as a diagram has.
LONGEST = 200
EVERYONE = "everyone"


@dataclass(frozen=True)
class Arrow:
    """`source` and `target` are addresses; `target` is `EVERYONE` for a broadcast that asks for nobody who is heard.

    `broadcast` is one that all hear, although it may ask for one. `count` packets said the same, one after another.
    """

    source: str
    target: str
    protocol: str
    label: str
    broadcast: bool = False
    count: int = 1
    #: Whether a tunnel carried it: it comes below the tunnel's own arrow.
    inner: bool = False


@dataclass(frozen=True)
class Talk:
    """`lanes` are who spoke, in the order they first did: by name, where `names` has one for the address."""

    lanes: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    names: Mapping[str, str]
    #: Arrows that did not fit any more.
    more: int = 0

    def lane(self, address: str) -> str:
        """The lane of an address: one for all addresses of a name."""
        return self.names.get(address, address)

    def addresses(self, lane: str) -> list[str]:
        """The addresses a lane has been heard by; none for one that is an address itself."""
        heard = dict.fromkeys(end for arrow in self.arrows for end in (arrow.source, arrow.target))
        return [address for address in heard if address != lane and self.lane(address) == lane]

    def name(self, address: str) -> str:
        """`r1 10.1.0.2`, or the address alone."""
        return f"{self.names[address]} {address}" if address in self.names else address

    def __len__(self) -> int:
        return len(self.arrows)

    def lines(self) -> list[str]:
        """A line for each arrow."""
        wide = max([len(self.name(arrow.source)) for arrow in self.arrows] or [0])
        far = max([len(self.name(arrow.target)) for arrow in self.arrows] or [0])
        kind = max([len(arrow.protocol) for arrow in self.arrows] or [0])
        made = []
        for arrow in self.arrows:
            mark = "⇢" if arrow.broadcast else "→"
            again = f" (×{arrow.count})" if arrow.count > 1 else ""
            inside = "  " if arrow.inner else ""
            made.append(
                f"{inside}{self.name(arrow.source):<{wide}} {mark} {self.name(arrow.target):<{far}}  "
                f"{arrow.protocol:<{kind}}  {arrow.label}{again}"
            )
        if self.more:
            made.append(f"… and {self.more} more")
        return made

    def __str__(self) -> str:
        return "\n".join(self.lines()) or "nobody has said anything"

    def __repr__(self) -> str:
        return str(self)


def talk(packets: Sequence[Packet], names: Mapping[str, str] | None = None) -> Talk:
    """The conversation in `packets`.

    A packet that several links saw is told once. What hosts tell their network about themselves (IPv6's router
    solicitations and multicast reports) is left out.
    """
    heard: list[Arrow] = []
    for packet in _once(packets):
        levels = _levels(packet.decoded)
        if levels[-1][0].housekeeping:
            continue
        for decoded, inner in levels:
            arrow = _arrow(decoded, inner)
            if heard and _same(heard[-1], arrow):
                heard[-1] = replace(heard[-1], count=heard[-1].count + 1)
            else:
                heard.append(arrow)
    shown = heard[:LONGEST]
    # A question for somebody who never answers is one for everyone.
    speakers = {arrow.source for arrow in shown} | {arrow.target for arrow in shown if not arrow.broadcast}
    arrows = tuple(
        replace(arrow, target=EVERYONE) if arrow.broadcast and arrow.target not in speakers else arrow
        for arrow in shown
    )
    known = dict(names or {})
    ends = [end for arrow in arrows for end in (arrow.source, arrow.target) if end != EVERYONE]
    lanes = dict.fromkeys(known.get(end, end) for end in ends)
    return Talk(tuple(lanes), arrows, known, len(heard) - len(shown))


def _levels(decoded: Decoded) -> list[tuple[Decoded, bool]]:
    if decoded.inner is None:
        return [(decoded, False)]
    return [(decoded, False), *((inner, True) for inner, _ in _levels(decoded.inner))]


def _arrow(decoded: Decoded, inner: bool) -> Arrow:
    label = decoded.info.partition(", seq ")[0]  # which some programs count from 0 and some from 1
    if decoded.inner is not None:
        label = label.partition(":")[0]  # its own arrow says what it carries
    target = decoded.asks_for or (EVERYONE if decoded.broadcast else decoded.destination)
    return Arrow(decoded.source, target, decoded.protocol, label, decoded.broadcast, inner=inner)


def _same(one: Arrow, other: Arrow) -> bool:
    return (one.source, one.target, one.protocol, one.label, one.inner) == (
        other.source,
        other.target,
        other.protocol,
        other.label,
        other.inner,
    )


#: Seconds within which the same bytes on another link are the same packet, on its way.
ON_ITS_WAY = 0.05


def _once(packets: Sequence[Packet]) -> list[Packet]:
    seen: dict[bytes, Packet] = {}
    kept = []
    for packet in packets:
        before = seen.get(packet.data)
        if before is not None and before.link != packet.link and packet.time - before.time < ON_ITS_WAY:
            continue
        seen[packet.data] = packet
        kept.append(packet)
    return kept
