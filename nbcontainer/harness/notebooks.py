"""Notebooks as tests: nbval, whose flags and cell tags go on working, with what we need besides."""

from __future__ import annotations

import copy
import difflib
import threading
import time
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError, coalesce_streams, transform_streams_for_comparison

from nbcontainer.harness import pictures
from nbcontainer.harness.needs import lacking
from nbcontainer.harness.sanitize import PATTERNS

#: Seconds that a cell has, once its time is up, to end by an interrupt before its kernel is killed.
GRACE = 10.0
#: How a cell's tag begins that names what the cell needs of the machine.
NEEDS = "needs:"
#: Outputs that are compared as pictures.
PICTURES = ("image/png", "image/jpeg")


def prepare(config: pytest.Config) -> None:
    """Under pytest-xdist a notebook's cells stay together: one kernel has them all."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadfile"


def ours(collected: list[Any]) -> list[Any]:
    """What is collected of a file, nbval's notebooks as `Notebook`."""
    return [Notebook.from_parent(one.parent, path=one.path) if type(one) is IPyNbFile else one for one in collected]


class Notebook(IPyNbFile):  # type: ignore[misc]
    """A notebook: a kernel of its own, and with it a lab of its own."""

    def collect(self) -> Iterator[Cell]:
        """Its code cells."""
        for cell in super().collect():
            yield Cell.from_parent(self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options)

    def setup(self) -> None:
        """Start the kernel."""
        super().setup()
        self.sanitize_patterns: dict[str, str] = {**PATTERNS, **self.sanitize_patterns}
        limit = self.config.option.nbcontainer_notebook_timeout
        self.deadline = time.monotonic() + limit if limit else float("inf")
        self.renewed = False

    def teardown(self) -> None:
        """End the kernel; write down new outputs where they were asked for."""
        super().teardown()
        if self.renewed:
            nbformat.write(self.nb, str(self.path))  # type: ignore[no-untyped-call]


class Cell(IPyNbCell):  # type: ignore[misc]
    """A cell. Its time is nbval's, what its metadata says (`nbcontainer.timeout`), or what its notebook has left."""

    def setup(self) -> None:
        """A cell tagged `needs:WHAT` is left out, with the reason, where the machine has no WHAT (`needs`)."""
        super().setup()
        for tag in self.cell.metadata.get("tags", []):
            why = lacking(tag.removeprefix(NEEDS)) if tag.startswith(NEEDS) else ""
            if why:
                pytest.skip(why)

    def runtest(self) -> None:
        """Run and compare it. What does not end when its time is up takes its kernel with it."""
        option, notebook = self.config.option, self.parent
        usual = option.nbval_cell_timeout
        own = self.cell.metadata.get("nbcontainer", {}).get("timeout", usual)
        left = notebook.deadline - time.monotonic()
        if left <= 0:
            raise NbCellError(self.cell_num, "The notebook's time is up.", self.cell.source)
        option.nbval_cell_timeout = min(usual, float(own), left)
        end = threading.Timer(option.nbval_cell_timeout + GRACE, notebook.kernel.stop)
        end.daemon = True
        end.start()
        try:
            self._run(update=option.nbcontainer_update)
        finally:
            end.cancel()
            option.nbval_cell_timeout = usual

    def _run(self, update: bool) -> None:
        if not update or self.options["skip"]:
            super().runtest()
            return
        checked, self.options["check"] = self.options["check"], False
        try:
            super().runtest()
        finally:
            self.options["check"] = checked
        if checked and not self.compare_outputs(self.test_outputs, self.cell.outputs):
            self.cell.outputs = self.test_outputs
            self.cell.execution_count = self.cell_num + 1
            self.parent.renewed = True

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """As nbval, with what a page shows as progress taken for the lines it stands for; then the pictures, which it
        leaves out."""
        test, ref = _printed(test), _printed(ref)
        if not super().compare_outputs(test, ref, skip_compare):
            return False
        for kind in PICTURES:
            pairs = zip(_data(ref, kind), _data(test, kind), strict=False)
            for number, (left, right) in enumerate(pairs, 1):
                found = pictures.distance(left, right)
                if found is not None and found > pictures.ENOUGH:
                    self.comparison_traceback.append(
                        f"picture {number} ({kind}) looks different: mean distance {found:.1f} of 255, "
                        f"{pictures.ENOUGH:g} is allowed"
                    )
                    return False
        return True

    def format_output_compare(self, key: str, left: Any, right: Any) -> None:
        """A diff line by line, - as saved and + as run now."""
        colours = self.colors
        self.comparison_traceback.append(f"{colours.OKBLUE}{key}{colours.ENDC} (- saved, + run now)")
        if not isinstance(left, str) or not isinstance(right, str):
            self.comparison_traceback += [f"- {left}", f"+ {right}"]
            return
        if key == "text/html":
            left, right = (text.replace("><", ">\n<") for text in (left, right))
        lines = difflib.unified_diff(left.splitlines(), right.splitlines(), lineterm="", n=2)
        for line in list(lines)[2:]:
            colour = colours.FAIL if line[:1] == "-" else colours.OKGREEN if line[:1] == "+" else ""
            self.comparison_traceback.append(f"{colour}{line}{colours.ENDC if colour else ''}")


def _printed(outputs: Any) -> Any:
    """The outputs as a run without a page gives them: its progress is printed (`magics.progress`)."""
    streams = [output.get("metadata", {}).get("nbcontainer", {}).get("stream") for output in outputs]
    if not any(streams):
        return outputs
    made = []
    for output, stream in zip(copy.deepcopy(outputs), streams, strict=True):
        if stream is not None:
            text = output["data"]["text/plain"]
            printed = {"output_type": "stream", "name": stream, "text": f"{text}\n" if text else ""}
            output = nbformat.from_dict(printed)  # type: ignore[no-untyped-call]
        made.append(output)
    return coalesce_streams(made)


def _data(outputs: Any, kind: str) -> list[str]:
    flat = transform_streams_for_comparison(outputs)
    return [output["data"][kind] for output in flat if kind in output.get("data", {})]
