"""What a terminal's screen says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.view.screen import Screen


def test_lines_as_they_are_seen() -> None:
    screen = Screen.of(b"one\r\ntwo\x1b[1A\rONE\r\n\n\x1b[31mred\x1b[0m   \r\n", 24, 80)
    assert screen.lines() == ["ONE", "two", "red"]
    assert screen.html() == 'ONE\ntwo\n<span style="color:#d64545">red</span>'


def test_what_scrolled_away_is_kept() -> None:
    output = b"".join(b"%d\r\n" % number for number in range(100))
    assert Screen.of(output, 10, 80).lines() == [str(number) for number in range(100)]


def test_text_is_escaped() -> None:
    assert Screen.of("<b> & ü".encode(), 24, 80).html() == "&lt;b&gt; &amp; ü"


@given(st.binary(max_size=400), st.integers(2, 40), st.integers(2, 100))
def test_any_bytes_give_a_screen(output: bytes, rows: int, columns: int) -> None:
    screen = Screen.of(output, rows, columns)
    assert all(line == line.rstrip() for line in screen.lines())
    assert isinstance(screen.html(), str)
