"""A build context, and builds in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.build.events import BuildEvent
from nbcontainer.build.progress import PlainProgress


class Builds:
    """Builds of one test: `text` is the plain progress of the last one, `events` what happened in it."""

    def __init__(self, lab: Any, context: Path) -> None:
        self.lab = lab
        self.context = context
        self.text = ""
        self.events: list[BuildEvent] = []

    def write(self, name: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        """A file of the context."""
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def __call__(self, dockerfile: str, **options: Any) -> Any:
        """The image that `dockerfile` gives in the context."""
        lines: list[str] = []
        plain = PlainProgress(lines.append)
        self.events = []

        def progress(event: BuildEvent) -> None:
            self.events.append(event)
            plain(event)

        try:
            context = options.pop("context", self.context)
            return self.lab.builder.build(context, dockerfile=dockerfile, progress=progress, **options)
        finally:
            self.text = "\n".join(lines)

    def said(self, image: Any, command: str, **options: Any) -> str:
        """What a shell command prints in a container of `image`."""
        container = self.lab.containers.run(image, ["sh", "-c", command], network="none", **options)
        text: str = container.logs()
        container.remove()
        return text

    @property
    def cached(self) -> list[str]:
        """What the steps did that were there already."""
        return [event.step.what for event in self.events if event.action == "cached" and event.step is not None]


@pytest.fixture
def build(lab: Any, busybox: Any, tmp_path: Path) -> Builds:
    """Build in the empty directory `build.context`: `image = build("FROM busybox\\nRUN true")`."""
    context = tmp_path / "context"
    context.mkdir()
    return Builds(lab, context)


Build = Callable[..., Any]
