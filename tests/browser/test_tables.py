"""A table sorts in the page, by mouse and by keyboard, and goes back; without a script."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from nbcontainer.view.tables import Column, Table

CELL = """\
from nbcontainer.view.tables import Column, Table
columns = (Column("name", "NAME"), Column("size", "SIZE", "number"))
rows = ({"name": "web10", "size": "4.1kB"}, {"name": "web9", "size": "12MB"}, {"name": "db", "size": "512B"})
Table("Things", columns, rows)
"""


def shown(table: Locator) -> list[str]:
    """The names, from top to bottom as they stand on the screen."""
    cells = table.locator("tbody td:first-child").all()
    tops = {cell.inner_text(): (cell.bounding_box() or {})["y"] for cell in cells}
    return sorted(tops, key=tops.__getitem__)


def test_sorting(notebook: Any) -> None:
    page = notebook(CELL)
    table = page.run(0).locator("form.nbc-sorts")
    expect(table).to_be_visible()
    assert shown(table) == ["web10", "web9", "db"]
    before = table.bounding_box()
    table.get_by_label("Sort by SIZE, ascending").check()
    assert shown(table) == ["db", "web10", "web9"]
    table.get_by_label("Sort by SIZE, descending").check()
    assert shown(table) == ["web9", "web10", "db"]
    after = table.bounding_box()
    assert abs(before["width"] - after["width"]) <= 1, "sorting moves nothing else"
    page.pictures(page.output(0), "table-sorted")
    table.get_by_label("Sort by NAME, ascending").check()
    assert shown(table) == ["db", "web9", "web10"]
    table.get_by_label("As listed").click()
    assert shown(table) == ["web10", "web9", "db"]
    assert page.complaints == []


def test_sorting_by_keyboard(browser: Any) -> None:
    """In a page of its own, such as nbconvert makes; JupyterLab keeps the arrow keys for itself."""
    rows = ({"name": "web10", "size": "4.1kB"}, {"name": "web9", "size": "12MB"}, {"name": "db", "size": "512B"})
    columns = (Column("name", "NAME"), Column("size", "SIZE", "number"))
    page = browser.new_page()
    page.set_content(Table("Things", columns, rows)._repr_html_())
    table = page.locator("form.nbc-sorts")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert shown(table) == ["db", "web9", "web10"]
    page.keyboard.press("ArrowDown")
    assert shown(table) == ["web10", "web9", "db"]
    page.keyboard.press("ArrowDown")
    assert shown(table) == ["db", "web10", "web9"]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert shown(table) == ["web10", "web9", "db"]
    page.close()
