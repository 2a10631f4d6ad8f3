"""Pages made from README.md, CONTRIBUTING.md, docs/architecture.md and the doctor's table of what may be lacking."""

from __future__ import annotations

import re
from pathlib import Path

from nbcontainer.cgroup import delegation
from nbcontainer.image import bootstrap
from nbcontainer.lab import idmap
from nbcontainer.remedies import LACKS

ROOT = Path(__file__).resolve().parents[2]

#: Files of the checkout that pages link to: their page here, and what a link says that only names the file.
HERE = {
    "docs/index.md": ("index.md", "the first page"),
    "docs/magics.md": ("magics.md", "the reference"),
    "docs/architecture.md": ("how/index.md", "How it works"),
    "docs/security.md": ("security.md", "Security"),
    "security.md": ("security.md", "Security"),
    "notebooks": ("course/index.md", "the course"),
    "CONTRIBUTING.md": ("how/contributing.md", "Working on it"),
}


def made() -> dict[str, str]:
    """Every page, by its path."""
    readme = parts(ROOT / "README.md")
    return {
        "install.md": f"# Install\n\n{linked(raised(readme['Try it']))}",
        "quickstart.md": "# Quick start\n\n"
        + "\n".join(
            f"## {title}\n\n{linked(readme[title])}"
            for title in ("In a notebook", "In a script", "In a test", "What there is")
        ),
        "troubleshooting.md": troubleshooting(),
        "how/contributing.md": (ROOT / "CONTRIBUTING.md").read_text(),
        **architecture(),
    }


def parts(path: Path) -> dict[str, str]:
    """A page's text by its headings of the second level; what stands before them is under ``""``."""
    found = re.split(r"^## (.+)\n", path.read_text(), flags=re.MULTILINE)
    return {"": found[0], **dict(zip(found[1::2], (text.strip() + "\n" for text in found[2::2]), strict=True))}


def raised(text: str) -> str:
    """The same with every heading one level nearer to the top."""
    return re.sub(r"^#(#+ )", r"\1", text, flags=re.MULTILINE)


def linked(text: str, up: str = "") -> str:
    """Links to files of the checkout become links to pages."""

    def to_page(match: re.Match[str]) -> str:
        said, file = match[1], match[2].rstrip("/")
        if file not in HERE:
            return match[0]
        page, title = HERE[file]
        return f"[{title if said.rstrip('/') == file else said}]({up}{page})"

    return re.sub(r"\[([^\]]+)\]\(([^)#:]+)\)", to_page, text)


# -- how it works


def slug(title: str) -> str:
    """A file's name."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def architecture_navigation() -> list[str | dict[str, str]]:
    """In the order of docs/architecture.md."""
    titles = [title for title in parts(ROOT / "docs/architecture.md") if title]
    return [
        "how/index.md",
        *({title.replace("`", ""): f"how/{slug(title)}.md"} for title in titles),
        {"Working on it": "how/contributing.md"},
    ]


def architecture() -> dict[str, str]:
    """docs/architecture.md, a page for each part."""
    found = parts(ROOT / "docs/architecture.md")
    head = linked(found.pop(""), "../")
    contents = "\n".join(f"- [{title}]({slug(title)}.md)" for title in found)
    pages = {"how/index.md": f"{head.strip()}\n\n{contents}\n"}
    for title, text in found.items():
        pages[f"how/{slug(title)}.md"] = f"# {title}\n\n{raised(linked(text, '../'))}"
    return pages


# -- troubleshooting

#: What the doctor fills in on the spot.
FILLED = {
    "count": str(idmap.COUNT),
    "remedy": bootstrap.REMEDY,
    "steps": "apt-get install uidmap && usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST USER",
    "why": delegation.REMEDY,
}


def troubleshooting() -> str:
    """Every check of the doctor, with all that it may find lacking."""
    lines = [
        "# Troubleshooting",
        "",
        "The doctor tries everything that a lab needs, and says what is missing, what that costs, and what to do:",
        "",
        "    python -m nbcontainer doctor      # or %lab doctor",
        "",
        "This page is made from the doctor's own table: all that it may say, and under each the remedy.",
        "",
    ]
    for check, lacks in LACKS.items():
        lines += [f"## {check[0].upper()}{check[1:]}", ""]
        for lack in lacks.values():
            lines += [f"**{lack.when[0].upper()}{lack.when[1:]}.** {lack.costs[0].upper()}{lack.costs[1:]}.", ""]
            lines += [f":   {_typed(lack.remedy.format(**FILLED))}", ""]
    return "\n".join(lines)


def _typed(remedy: str) -> str:
    """A command of root's looks like one."""
    found = re.fullmatch(r"(as root): ([^,(]+?)((?:, or | \().*)?", remedy)
    return f"{found[1]}: `{found[2]}`{found[3] or ''}" if found else remedy
