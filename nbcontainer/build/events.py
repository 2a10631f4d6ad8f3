"""What happens in a build, as it happens: for progress, in text and in widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["start", "output", "done", "cached", "failed", "warning"]


@dataclass(frozen=True)
class BuildStep:
    """One step: its number in the build, counted from 1, its stage, what it does, and the line of the Dockerfile.

    `position` of `total` says where it is in its stage; both are 0 for what is no step of a stage.
    """

    number: int
    stage: str
    position: int
    total: int
    what: str
    line: int = 0

    @property
    def title(self) -> str:
        """`[build 2/3] RUN make`, as BuildKit has it."""
        if not self.total:
            return self.what
        place = f"{self.position}/{self.total}"
        return f"[{self.stage} {place}] {self.what}" if self.stage else f"[{place}] {self.what}"


@dataclass(frozen=True)
class BuildEvent:
    """Something that happened to a step; None is the build as a whole.

    start; output, with a `text` of one line; then done, or cached (this lab has done the same before), or failed, with
    what went wrong. A step that an earlier process has done prints what it printed then: `replayed` is true for its
    events. A warning belongs to no step. `build` counts the builds of a lab: several may go on at once.
    """

    action: Action
    step: BuildStep | None
    text: str = ""
    replayed: bool = False
    build: int = 0
