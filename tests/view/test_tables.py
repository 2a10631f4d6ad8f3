"""Tables as text to the letter, and as HTML that means what it shows."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.view.tables import Column, Table, align

COLUMNS = (Column("id", "CONTAINER ID", "code"), Column("tag", "TAG"), Column("size", "SIZE", "number"))


def table(*rows: dict[str, str]) -> Table:
    return Table("Things", COLUMNS, rows)


def test_columns_are_as_wide_as_dockers() -> None:
    assert str(table({"id": "8f0c1d2e3f4a", "tag": "latest", "size": "4.26MB"})) == (
        "CONTAINER ID   TAG       SIZE\n8f0c1d2e3f4a   latest    4.26MB"
    )


def test_no_line_ends_in_blanks() -> None:
    assert str(table({"id": "8f0c1d2e3f4a", "tag": "latest", "size": ""})).splitlines()[1] == "8f0c1d2e3f4a   latest"


def test_no_rows_leave_the_headers() -> None:
    assert str(table()) == "CONTAINER ID   TAG       SIZE"


def test_a_table_is_also_its_rows() -> None:
    one = table({"id": "a"}, {"id": "b"})
    assert len(one) == 2
    assert [row["id"] for row in one] == ["a", "b"]
    assert one[1]["id"] == "b"


def test_html_is_semantic_escaped_and_the_same_each_time() -> None:
    one = table({"id": "a<b>&", "tag": "x", "size": "1"})
    text = one._repr_html_()
    assert '<th scope="col" class="nbc-code">CONTAINER ID</th>' in text
    assert "<caption>Things</caption>" in text
    assert "a&lt;b&gt;&amp;" in text
    assert '<td class="nbc-number">1</td>' in text
    assert "<script" not in text
    assert text == one._repr_html_()
    assert '<td class="nbc-none" colspan="3">none</td>' in table()._repr_html_()


def test_a_state_says_in_words_what_its_dot_says_in_colour() -> None:
    for said, mood in [
        ("Up 2 minutes", "nbc-good"),
        ("Exited (137) About a minute ago", "nbc-bad"),
        ("Up 2 minutes (unhealthy)", "nbc-bad"),
        ("Up 2 minutes (Paused)", "nbc-wait"),
    ]:
        text = Table("T", (Column("s", "STATUS", "state"),), ({"s": said},))._repr_html_()
        assert f'<td><span class="nbc-dot {mood}" aria-hidden="true"></span>{said}</td>' in text
    rest = Table("T", (Column("s", "STATUS", "state"),), ({"s": "Exited (0) 2 days ago"},))._repr_html_()
    assert '<span class="nbc-dot" aria-hidden="true">' in rest


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=4))
def test_any_text_makes_a_table(rows: list[tuple[str, str, str]]) -> None:
    one = table(*({"id": a, "tag": b, "size": c} for a, b, c in rows))
    assert len(one.cells()) == len(rows)
    balance = Balance()
    balance.feed(one._repr_html_())
    assert balance.open == []


def test_align_keeps_every_cell_apart() -> None:
    assert align([["A", "B"], ["long cell here", "x"]]).splitlines() == [
        "A                B",
        "long cell here   x",
    ]
