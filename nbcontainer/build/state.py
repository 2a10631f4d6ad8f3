"""What a stage has become so far: an image's config, its layers, its history, and the variables that are in scope."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbcontainer.container import spec
from nbcontainer.image import host
from nbcontainer.image.config import diff_ids_of
from nbcontainer.image.dockerfile.describe import Description
from nbcontainer.image.image import Image
from nbcontainer.image.steps import Step

_KEPT = ("architecture", "variant", "os", host.BASE, "author")


@dataclass
class State:
    """One stage. `arguments` are its ARGs with their values; None for one that has none."""

    base: dict[str, Any]
    description: Description
    diff_ids: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    arguments: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, image: Image) -> State:
        """A stage that begins with `image`."""
        document = image.document
        base = {key: document[key] for key in _KEPT if key in document}
        if host.TAG in image.tags:
            base[host.BASE] = host.NAME
        history = copy.deepcopy(document.get("history") or [])
        state = cls(base, Description(image.config), diff_ids_of(document), history)
        if "PATH" not in state.description.env:
            # As Docker: programs are found whatever the image says.
            state.description.config["Env"] = [spec.PATH, *(image.config.get("Env") or [])]
        return state

    def copied(self) -> State:
        """A stage that begins where this one ends. Its arguments are in scope there too."""
        return State(
            dict(self.base),
            Description(self.description.config),
            list(self.diff_ids),
            copy.deepcopy(self.history),
            dict(self.arguments),
        )

    @property
    def env(self) -> dict[str, str]:
        """What variables are replaced by: ENV comes before ARG."""
        given = {name: value for name, value in self.arguments.items() if value is not None}
        return {**given, **self.description.env}

    @property
    def workdir(self) -> str:
        """Where commands run."""
        return self.description.config.get("WorkingDir") or "/"

    def record(self, created_by: str, step: Step | None = None) -> None:
        """One more entry of the history. What only describes the image has no time until the image is made."""
        entry: dict[str, Any] = {"created_by": created_by}
        if step is not None:
            entry["created"] = step.created
        if step is not None and step.diff_id:
            self.diff_ids.append(step.diff_id)
        else:
            entry["empty_layer"] = True
        self.history.append(entry)

    def finished(self, created: str) -> dict[str, Any]:
        """The whole OCI image config of an image that is made at `created`."""
        document = self.document()
        document["history"] = [{"created": created, **entry} for entry in self.history]
        return {**document, "created": created}

    def document(self, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The whole OCI image config; `config` in the place of its own."""
        own = self.description.config if config is None else config
        return {
            **self.base,
            "config": {key: value for key, value in own.items() if value is not None},
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
            "history": self.history,
        }
