"""What was measured in a topology. Their texts have no times in them but a throughput: so they repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

#: A matrix of more hosts than this is no text any more: each line then lists who was reached.
WIDEST = 16


@dataclass(frozen=True)
class Reach:
    """Who reached whom by ping: `rtts[a, b]` are the round trips from a to b in ms, as many as were answered."""

    hosts: tuple[str, ...]
    rtts: dict[tuple[str, str], tuple[float, ...]] = field(repr=False)
    count: int = 1

    @property
    def sent(self) -> int:
        """Echo requests."""
        return self.count * len(self.rtts)

    @property
    def received(self) -> int:
        """Those that were answered."""
        return sum(map(len, self.rtts.values()))

    @property
    def loss(self) -> float:
        """In percent."""
        return 100 * (self.sent - self.received) / self.sent if self.sent else 0.0

    def __bool__(self) -> bool:
        """Whether everything was answered."""
        return self.received == self.sent

    def reached(self, a: str, b: str) -> bool:
        """Whether b answered a at least once."""
        return bool(self.rtts.get((a, b)))

    def ms(self, a: str, b: str) -> float | None:
        """The mean round trip from a to b in ms, or None when all were lost."""
        rtts = self.rtts.get((a, b))
        return sum(rtts) / len(rtts) if rtts else None

    def cell(self, a: str, b: str) -> str:
        """What the matrix says of a pair: `ok`, `X`, how many of several were answered, or `-` where none was asked."""
        rtts = self.rtts.get((a, b))
        if rtts is None:
            return "-"
        if len(rtts) in (0, self.count):
            return "ok" if rtts else "X"
        return f"{len(rtts)}/{self.count}"

    @property
    def summary(self) -> str:
        """Mininet's line."""
        return f"Results: {self.loss:.0f}% dropped ({self.received}/{self.sent} received)"

    def __str__(self) -> str:
        return "\n".join([*(self._matrix() if len(self.hosts) <= WIDEST else self._lists()), self.summary])

    __repr__ = __str__

    def _matrix(self) -> Iterator[str]:
        width = max(map(len, self.hosts), default=0) + 2
        yield "".join(text.ljust(width) for text in ("", *self.hosts)).rstrip()
        for a in self.hosts:
            yield "".join(text.ljust(width) for text in (a, *(self.cell(a, b) for b in self.hosts))).rstrip()

    def _lists(self) -> Iterator[str]:
        for a in self.hosts:
            asked = [b for b in self.hosts if (a, b) in self.rtts]
            yield f"{a} -> {' '.join(b if self.cell(a, b) == 'ok' else self.cell(a, b) for b in asked)}"


@dataclass(frozen=True)
class Flow:
    """What TCP carried from one host to another, in bit/s of its payload."""

    sender: str
    receiver: str
    rate: float

    @property
    def mbit(self) -> float:
        """In Mbit/s."""
        return self.rate / 1e6

    def __str__(self) -> str:
        return f"{self.sender} -> {self.receiver}: {rate_text(self.rate)}"

    __repr__ = __str__


class Flows(tuple[Flow, ...]):
    """Several, one after the other."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__


def rate_text(rate: float) -> str:
    """`9.57 Mbit/s`."""
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if rate >= size:
            return f"{rate / size:.3g} {unit}"
    return f"{rate:.0f} bit/s"


@dataclass(frozen=True)
class Hop:
    """A station on the way: the node, its address, the switches between it and the one before, the round trip in ms.

    One that did not answer has no address; `why` is set where the way ends early.
    """

    number: int
    node: str
    address: str
    switches: tuple[str, ...] = ()
    ms: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Path:
    """The way from one host to another."""

    source: str
    target: str
    hops: tuple[Hop, ...]

    @property
    def reached(self) -> bool:
        """Whether the target answered."""
        return bool(self.hops) and self.hops[-1].node == self.target and not self.hops[-1].why

    @property
    def nodes(self) -> list[str]:
        """Every node on the way, switches too: `["h1", "s1", "h2"]`."""
        return [self.source, *(name for hop in self.hops for name in (*hop.switches, hop.node or "*"))]

    def rows(self) -> list[tuple[str, ...]]:
        """As cells: hop, node, address, through which switches."""
        return [
            (str(hop.number), hop.node or "*", hop.address or "*", hop.why or " ".join(hop.switches))
            for hop in self.hops
        ]

    def __str__(self) -> str:
        rows: Sequence[tuple[str, ...]] = [("HOP", "NODE", "ADDRESS", "THROUGH"), *self.rows()]
        widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
        return "\n".join("".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)

    __repr__ = __str__
