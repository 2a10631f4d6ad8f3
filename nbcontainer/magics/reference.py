"""The reference page, written from the grammar: `python -m nbcontainer reference > docs/magics.md`."""

from __future__ import annotations

from collections.abc import Sequence

from nbcontainer.magics.grammar import Command, Option, usage_line
from nbcontainer.magics.help import option_text

HEAD = """# Magics

What a notebook can type. This page is made from the grammar (`python -m nbcontainer reference`), as is the
help (`%container run --help`) and what Tab offers. `%load_ext nbcontainer` loads them all.

A command shows what Docker's would print and gives back the object it is about, so that
`c = %container run -d busybox sleep 100` goes on in Python. `{name}` and `$name` stand for Python variables,
as in every IPython magic.
"""


def reference(roots: Sequence[Command]) -> str:
    """The page in Markdown."""
    parts = [HEAD, _contents(roots)]
    for root in roots:
        # A heading gives its own anchor; `%lab` and `%%lab` would have the same.
        anchor = f'<a id="{_anchor(root)}"></a>\n\n' if root.name.startswith("%%") else ""
        parts.append(f"{anchor}## {root.name}\n\n{root.summary}.\n")
        if root.action or not root.commands:
            parts.append(_command(root, root.name))
        for command in sorted(root.commands, key=lambda command: command.name):
            path = f"{root.name} {command.name}"
            parts.append(f"### {path}\n\n{command.summary}.\n")
            parts.append(_command(command, path))
    return "\n".join(parts).rstrip() + "\n"


def _contents(roots: Sequence[Command]) -> str:
    lines = []
    for root in roots:
        names = ", ".join(
            f"[{command.name}](#{_anchor(root)}-{command.name})"
            for command in sorted(root.commands, key=lambda command: command.name)
        )
        lines.append(f"- [{root.name}](#{_anchor(root)})" + (f": {names}" if names else ""))
    return "\n".join(lines) + "\n"


def _anchor(root: Command) -> str:
    """Where a magic's part of the page begins: `lab` for `%lab`, `lab-cell` for `%%lab`."""
    return root.name.strip("%") + ("-cell" if root.name.startswith("%%") else "")


def _command(command: Command, path: str) -> str:
    text = f"```\n{usage_line(command, path)}\n```\n"
    if command.aliases:
        parent = path.rpartition(" ")[0]
        text += "\nAlso: " + ", ".join(f"`{parent} {name}`" for name in command.aliases) + ".\n"
    if command.cell:
        text += f"\nAs `%{path}`, the cell is {command.cell}.\n" if not path.startswith("%%") else ""
    if command.options and not command.commands:
        rows = [_row(option) for option in sorted(command.options, key=lambda option: option.long)]
        text += "\n| option | | |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    return text


def _row(option: Option) -> str:
    spelling = f"`{option.spelling}`"
    value = f"*{option.placeholder}*" if option.placeholder else ""
    return f"| {spelling} | {value} | {_cell(option_text(option))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
