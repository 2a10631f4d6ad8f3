"""Sorting without a script: what stands before what, and that a page says it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.view.sorting import key, places
from nbcontainer.view.tables import Column, Table


@pytest.mark.parametrize(
    "ascending",
    [
        ["0B", "512B", "1kB", "4.1kB", "12MB", "1.5GB"],
        ["12KiB / max", "512KiB / 64MiB", "1.5MiB / 64MiB", "2GiB / max"],
        ["0.00%", "9.50%", "10.00%", "100.00%"],
        ["Less than a minute ago", "About a minute ago", "5 minutes ago", "About an hour ago", "2 days ago"],
        ["Up Less than a minute", "Up 2 minutes (healthy)", "Up 3 hours"],
        ["120 µs", "3 ms", "2 s"],
        ["3", "7", "12", "max"],
        ["eth1", "eth9", "eth10", "lo"],
        ["172.17.0.2", "172.17.0.9", "172.17.0.10"],
        ["", "a", "B", "c"],
    ],
)
def test_what_stands_before_what(ascending: list[str]) -> None:
    backwards = ascending[::-1]
    assert sorted(backwards, key=key) == ascending


def test_equal_cells_have_one_place() -> None:
    assert places(["b", "a", "b", "a"]) == [2, 0, 2, 0]
    assert places([]) == []


@given(st.lists(st.text(max_size=12), max_size=12))
def test_any_cells_have_places_as_sorting_them_has(cells: list[str]) -> None:
    found = places(cells)
    by_place = [cell for _, cell in sorted(zip(found, cells, strict=True), key=lambda pair: pair[0])]
    assert [key(cell) for cell in by_place] == sorted(map(key, cells))


def test_the_page_has_buttons_and_places() -> None:
    columns = (Column("n", "NAME"), Column("s", "SIZE", "number"))
    one = Table("Things", columns, ({"n": "b", "s": "2MB"}, {"n": "a", "s": "30kB"}))
    text = one._repr_html_()
    assert re.findall(r'<tr role="row" style="([^"]*)">', text) == ["--s0:1;--s1:1", "--s0:0;--s1:0"]
    assert text.count('<input type="radio"') == 4
    assert 'aria-label="Sort by SIZE, descending"' in text
    assert text.count('<button type="reset"') == 1
    assert "<script" not in text
    assert "radio" not in re.sub(r"<style>.*?</style>", "", Table("One", columns, one.rows[:1])._repr_html_())
