"""Check a built site: every link within it leads somewhere, and no page fetches anything from elsewhere."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser fetches by itself: of these elements, this attribute.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class _Page(HTMLParser):
    """Its links, what it fetches, and what can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.anchors: set[str] = {"", "__skip"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        target = given.get(FETCHED.get(tag, "href" if tag == "a" else ""))
        if target and not (tag == "link" and given.get("rel") in ("canonical", "next", "prev")):
            self.links.append((tag, target))


def wrong(site: Path) -> list[str]:
    """A line for each link that leads nowhere, and for each thing that a page would fetch from elsewhere."""
    pages = {}
    for path in site.rglob("*.html"):
        pages[path] = _Page()
        pages[path].feed(path.read_text())
    found = []
    for path, page in pages.items():
        for tag, link in page.links:
            where = urlsplit(link)
            if where.scheme == "data" or (tag == "a" and where.scheme):
                continue
            if where.scheme or where.netloc:
                found.append(f"{path.relative_to(site)}: <{tag}> fetches {link}")
                continue
            base = site if where.path.startswith("/") else path.parent
            target = (base / unquote(where.path).lstrip("/")).resolve() if where.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists() or (target in pages and unquote(where.fragment) not in pages[target].anchors):
                found.append(f"{path.relative_to(site)}: {link} leads nowhere")
    return sorted(set(found))


def main(site: Path) -> int:
    """Print what is wrong; the exit code."""
    found = wrong(site)
    print("\n".join(found) or f"{site}: {len(list(site.rglob('*.html')))} pages, every link leads somewhere")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
