"""Packets as a table, and who talked to whom as a sequence diagram."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nbcontainer.network.capture.packet import Packet
from nbcontainer.network.capture.session import Capture
from nbcontainer.network.capture.talk import EVERYONE, Arrow, Talk
from nbcontainer.view import html
from nbcontainer.view.rows import ellipsis
from nbcontainer.view.tables import Column, Table

#: As many packets as a table shows; all are in `Capture.packets`.
SHOWN = 100

COLUMNS = (
    Column("number", "#", "number"),
    Column("source", "FROM", "code"),
    Column("destination", "TO", "code"),
    Column("protocol", "PROTOCOL"),
    Column("length", "BYTES", "number"),
    Column("info", "INFO", "prose"),
)


def packets_table(capture: Capture) -> Table:
    """The packets of a capture, without their times, which never repeat."""
    packets = capture.packets
    columns = COLUMNS if capture.link != "any" else (COLUMNS[0], Column("link", "LINK", "code"), *COLUMNS[1:])
    rows = [_row(packet) for packet in packets[:SHOWN]]
    if len(packets) > SHOWN:
        rows.append({"info": f"… and {len(packets) - SHOWN} more"})
    state = "running" if capture.running else "stopped"
    return Table(f"Packets on {capture.link}, {state}", columns, tuple(rows))


def _row(packet: Packet) -> dict[str, object]:
    return {
        "number": packet.number,
        "link": packet.link,
        "source": packet.source,
        "destination": packet.destination,
        "protocol": packet.protocol,
        "length": max(packet.length, len(packet.data)),
        "info": packet.info,
    }


def capture_html(capture: Capture) -> str:
    """A capture in a notebook: its packets."""
    return packets_table(capture)._repr_html_()


def capture_text(capture: Capture) -> str:
    """The same as text."""
    return str(packets_table(capture))


# -- the diagram

#: Sizes in pixels. Letters of the monospaced label are about this wide.
LETTER, MARGIN, HEAD, ROW = 6.9, 20, 56, 34
NARROWEST, WIDEST = 200, 460
#: Each stands out by 3:1 (WCAG 1.4.11) from white and from black; what it says is also in words.
COLOURS = {
    "ARP": "#b7791f", "NDP": "#b7791f", "ICMP": "#2a9a5b", "ICMPv6": "#2a9a5b", "TCP": "#3b82d0", "UDP": "#8f6fd1",
    "DNS": "#8f6fd1", "DHCP": "#8f6fd1", "VXLAN": "#1a949c", "STP": "#808690",
}  # fmt: skip
OTHER = "#808690"

STYLE = (
    ".nbc svg.nbc-talk{display:block;font:12px var(--nbc-mono);overflow:visible}"
    ".nbc svg.nbc-talk text{fill:currentColor}"
    ".nbc svg.nbc-talk .nbc-lane{font:600 13px var(--jp-ui-font-family,system-ui,sans-serif)}"
    ".nbc svg.nbc-talk .nbc-quiet{fill:var(--nbc-quiet)}"
    ".nbc svg.nbc-talk .nbc-life{stroke:var(--nbc-quiet);stroke-dasharray:2 4;opacity:.7}"
    ".nbc svg.nbc-talk .nbc-box{fill:none;stroke:var(--nbc-quiet)}"
    ".nbc svg.nbc-talk .nbc-band{fill:currentColor;opacity:.05}"
)


def talk_html(talk: Talk) -> str:
    """A sequence diagram as SVG; its text is in it for those who listen."""
    if not talk.arrows:
        return html.framed('<p class="nbc-aside">Nobody has said anything.</p>')
    return html.framed(f"<style>{STYLE}</style>{_Drawing(talk).svg()}")


class _Drawing:
    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.gap = self._gap()
        self.x = {lane: MARGIN + self.gap / 2 + at * self.gap for at, lane in enumerate(talk.lanes)}
        self.width = 2 * MARGIN + self.gap * max(1, len(talk.lanes))
        self.height = HEAD + ROW * (len(talk.arrows) + (1 if talk.more else 0)) + 18

    def _gap(self) -> float:
        """Pixels between two lanes: room for the labels between them."""
        lanes = {lane: at for at, lane in enumerate(self.talk.lanes)}
        wanted = float(NARROWEST)
        for arrow in self.talk.arrows:
            source, target = (self.talk.lane(end) for end in (arrow.source, arrow.target))
            span = abs(lanes.get(target, lanes[source]) - lanes[source]) or 1
            wanted = max(wanted, (len(self._label(arrow)) * LETTER + 40) / span)
        for lane in self.talk.lanes:
            wanted = max(wanted, 2 * self._half(lane) + 24)
        return min(wanted, WIDEST)

    def _half(self, lane: str) -> float:
        """Half the width of a lane's head."""
        return max(len(text) * LETTER for text in (lane, ", ".join(self.talk.addresses(lane)))) / 2 + 14

    @staticmethod
    def _label(arrow: Arrow) -> str:
        again = f" ×{arrow.count}" if arrow.count > 1 else ""
        return f"{arrow.protocol} {arrow.label}{again}"

    def svg(self) -> str:
        lines = self.talk.lines()
        key = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
        who = ", ".join(self.talk.lanes)
        count = len(self.talk.arrows)
        parts = [
            f'<svg class="nbc-talk" role="img" aria-labelledby="nbc-t{key} nbc-d{key}" '
            f'width="{self.width:.0f}" height="{self.height}" viewBox="0 0 {self.width:.0f} {self.height}" '
            'xmlns="http://www.w3.org/2000/svg">',
            f'<title id="nbc-t{key}">Who talked to whom: {count} message{"" if count == 1 else "s"} between '
            f"{html.escape(who)}</title>",
            f'<desc id="nbc-d{key}">{html.escape("; ".join(" ".join(line.split()) for line in lines))}</desc>',
        ]
        parts += self._bands()
        parts += [self._lane(lane) for lane in self.talk.lanes]
        parts += [self._arrow(at, arrow) for at, arrow in enumerate(self.talk.arrows)]
        if self.talk.more:
            y = HEAD + ROW * count + 20
            parts.append(f'<text class="nbc-quiet" x="{MARGIN}" y="{y}">… and {self.talk.more} more</text>')
        return "".join([*parts, "</svg>"])

    def _bands(self) -> Sequence[str]:
        """What a tunnel carries stands on one ground with the tunnel's own packet."""
        made = []
        for at, arrow in enumerate(self.talk.arrows):
            if arrow.inner and (at == 0 or not self.talk.arrows[at - 1].inner):
                rows = 1 + next(
                    (n for n, later in enumerate(self.talk.arrows[at:]) if not later.inner),
                    len(self.talk.arrows) - at,
                )
                y = HEAD + ROW * max(0, at - 1) + 2
                made.append(
                    f'<rect class="nbc-band" x="4" y="{y}" rx="6" width="{self.width - 8:.0f}" height="{ROW * rows}"/>'
                )
        return made

    def _lane(self, lane: str) -> str:
        x, half = self.x[lane], self._half(lane)
        below = ", ".join(self.talk.addresses(lane))
        text = f'<text class="nbc-lane" x="{x:.0f}" y="{20 if below else 28}" text-anchor="middle">'
        text += f"{html.escape(lane)}</text>"
        if below:
            text += f'<text class="nbc-quiet" x="{x:.0f}" y="36" text-anchor="middle">{html.escape(below)}</text>'
        return (
            f'<line class="nbc-life" x1="{x:.0f}" y1="44" x2="{x:.0f}" y2="{self.height - 6}"/>'
            f'<rect class="nbc-box" x="{x - half:.0f}" y="3" rx="6" width="{2 * half:.0f}" height="41"/>{text}'
        )

    def _arrow(self, at: int, arrow: Arrow) -> str:
        y = HEAD + ROW * at + 26
        source, target = self.talk.lane(arrow.source), self.talk.lane(arrow.target)
        start = self.x[source]
        colour = COLOURS.get(arrow.protocol, OTHER)
        dash = ' stroke-dasharray="6 4"' if arrow.broadcast else ""
        if arrow.target == EVERYONE:
            others = [self.x[lane] for lane in self.talk.lanes if lane != source]
            ends = sorted({min([start, *others]), max([start, *others])} - {start}) or [start + self.gap / 2 - 14]
        else:
            ends = [self.x[target]]
            if ends[0] == start:
                ends = [start + self.gap / 2 - 14]
        pieces = []
        for end in ends:
            way = 1 if end > start else -1
            pieces.append(
                f'<line x1="{start:.0f}" y1="{y}" x2="{end - 7 * way:.0f}" y2="{y}" stroke="{colour}" '
                f'stroke-width="1.75"{dash}/>'
                f'<path d="M{end:.0f} {y}l{-9 * way} -4.5v9z" fill="{colour}"/>'
            )
        left, right = min(start, *ends), max(start, *ends)
        room = int((right - left - 12) / LETTER)
        label = self._label(arrow)
        shown = ellipsis(label, max(room, 12)) if len(label) > room else label
        full = f"<title>{html.escape(label)}</title>" if shown != label else ""
        return (
            f'<g>{full}{"".join(pieces)}<text x="{(left + right) / 2:.0f}" y="{y - 6}" text-anchor="middle">'
            f'<tspan fill="{colour}" font-weight="600">{html.escape(arrow.protocol)}</tspan>'
            f"{html.escape(shown[len(arrow.protocol) :])}</text></g>"
        )
