"""What the steps of builds have made, by what they were made from: the build cache, which a user's kernels share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbcontainer.image import commit, diff
from nbcontainer.image.layers import Layers
from nbcontainer.image.store import Step as Step
from nbcontainer.image.store import Store, StoredLayer
from nbcontainer.lab.handle import Handle


class Steps:
    """The steps that `store` knows of."""

    def __init__(self, lab: Handle, store: Store, layers: Layers) -> None:
        self._lab = lab
        self._store = store
        self._layers = layers

    def find(self, key: str) -> Step | None:
        """What the step with this key has made. Its layer stays from now on while this process lives."""
        step = self._store.step(key)
        if step is not None and step.diff_id:
            self._layers.hold(step.diff_id)
            step = self._store.step(key)  # it may have gone before it was held
        return step

    def keep(
        self, key: str, overlays: Sequence[dict[str, Any]], driver: str, log: str = "", epoch: int | None = None
    ) -> Step:
        """Keep what was written on top of `overlays` (as `Images.commit_layer` has them) as what that step has made.

        Nothing else may use them afterwards: they may become the layer where they are. No file is younger than
        `epoch`, seconds since 1970. Raises `ImageError`.
        """
        created = commit.moment(epoch)
        with self._store.workspace() as workspace:
            file = workspace / "layer"
            latest = None if epoch is None else epoch * 10**9
            with file.open("wb") as target:
                done = self._lab.call(diff.write, list(overlays), driver, latest, fds=[target.fileno()])
            layer = StoredLayer(done["diff_id"], done["diff_id"], done["size"])
            if layer.diff_id == commit.EMPTY:
                return self.note(Step(key, "", log, created))
            step = Step(key, layer.diff_id, log, created)
            self._layers.hold(layer.diff_id)
            known = self._store.layer(layer.diff_id)
            fresh = known is None or not self._store.blob(known.blob).exists()
            self._store.add([], [layer] if fresh else [], {layer.diff_id: file} if fresh else {}, steps=[step])
        if len(overlays) == 1 and driver == "overlay" and epoch is None:
            self._layers.take(layer.diff_id, Path(overlays[0]["upper"]))
        return step

    def note(self, step: Step) -> Step:
        """Record a step that has made no layer."""
        self._store.add([], [], {}, steps=[step])
        return step

    def prune(self) -> tuple[int, int]:
        """Forget all of them: how many there were, and the bytes of files that this gives back."""
        found = self._store.forget_steps()
        self._store.collect()
        self._layers.sweep()
        return found
