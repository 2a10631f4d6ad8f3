"""What the documentation is made from; `make docs` builds it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from nbcontainer.remedies import LACKS
from tools.docs import course, links, pages, pictures


def test_every_check_is_on_the_page() -> None:
    page = pages.troubleshooting()
    for check, lacks in LACKS.items():
        assert f"## {check[0].upper()}{check[1:]}" in page
        for lack in lacks.values():
            assert lack.costs[1:] in page
    assert "as root: `sysctl -w user.max_user_namespaces=28633`" in page
    assert "{" not in page


def test_pages_have_places_for_pictures_that_are_there(busybox: object) -> None:
    drawn = pictures.made()
    wanted = {
        name
        for text in [*pages.made().values(), (pages.ROOT / "docs/index.md").read_text()]
        for name, _ in pictures.PLACE.findall(text)
    }
    assert wanted == drawn.keys()
    assert all(re.search('<svg|<img alt|class="nbc', picture) for picture in drawn.values())
    for uri, text in pages.architecture().items():
        assert pictures.PLACE.search(text), uri


def test_pictures_repeat(busybox: object) -> None:
    before = pictures.made()
    pictures.made.cache_clear()
    after = pictures.made()
    assert {name for name in before if after[name] != before[name]} <= pictures.TIMED


def test_the_course_shows_what_was_printed() -> None:
    page = course.made()["course/00-tour.md"]
    assert "``` { .text .printed }" in page or "```{ .text .printed }" in page
    assert "hello from a container" in page
    assert '<div class="nbc">' in page


def test_what_the_python_pages_name_is_there() -> None:
    for page in sorted((pages.ROOT / "docs/api").glob("*.md")):
        for path, options in re.findall(r"^::: (\S+)\n((?: {4}.*\n)*)", page.read_text(), flags=re.MULTILINE):
            try:
                found: Any = importlib.import_module(path)
            except ModuleNotFoundError:
                module, _, name = path.rpartition(".")
                found = getattr(importlib.import_module(module), name)
            fields = getattr(found, "__dataclass_fields__", {})
            for member in re.findall(r"^ {8}- (\w+)$", options, flags=re.MULTILINE):
                assert hasattr(found, member) or member in fields, f"{page.name}: {path} has no {member}"


def test_links_are_checked(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#here">b</a><a href="b.html#gone">b</a><a href="c.html">c</a>')
    (tmp_path / "b.html").write_text('<p id="here"><script src="https://cdn.example/x.js"></script>')
    assert links.wrong(tmp_path) == [
        "a.html: b.html#gone leads nowhere",
        "a.html: c.html leads nowhere",
        "b.html: <script> fetches https://cdn.example/x.js",
    ]
