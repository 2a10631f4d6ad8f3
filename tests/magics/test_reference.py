"""The reference page is what the grammar says."""

from __future__ import annotations

from pathlib import Path

from nbcontainer.magics.dispatch import ROOTS
from nbcontainer.magics.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "magics.md"


def test_the_page_in_docs_is_the_one_the_grammar_gives() -> None:
    assert PAGE.read_text() == reference(ROOTS), "run: python -m nbcontainer reference > docs/magics.md"


def test_every_option_of_run_is_on_it() -> None:
    page = reference(ROOTS)
    assert "| `-m, --memory` | *bytes* | Memory limit |" in page
    assert "### %container run" in page
