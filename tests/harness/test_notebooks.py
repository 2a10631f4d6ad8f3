"""Notebooks as tests: compared to the letter but for what cannot repeat, accepted anew, and ended in time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest_plugins = ("pytester",)


def save(pytester: pytest.Pytester, *cells: tuple[str, str], name: str = "note") -> Path:
    """A notebook of code cells and what they are said to have printed."""
    made = []
    for number, (source, printed) in enumerate(cells, 1):
        outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []
        made.append(nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=number))
    path = pytester.path / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


def run(pytester: pytest.Pytester, *arguments: str) -> Any:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--nbval", "--nbval-current-env", *arguments)


def test_what_cannot_repeat_is_no_difference(pytester: pytest.Pytester) -> None:
    save(
        pytester,
        ("import datetime; print(datetime.datetime.now())", "2020-01-01 00:00:00.000000\n"),
        ("import os; print(os.readlink('/proc/self/ns/net'))", "net:[1]\n"),
        ("print(object())", "<object object at 0x7f0000000000>\n"),
    )
    run(pytester).assert_outcomes(passed=3)


def test_a_difference_is_a_diff_of_lines(pytester: pytest.Pytester) -> None:
    save(pytester, ("print('one\\ntwo\\nthree')", "one\n2\nthree\n"))
    result = run(pytester, "--color=no")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stdout (- saved, + run now)", "*one", "*-2", "*+two", "*three"])


def test_new_outputs_are_accepted_on_request(pytester: pytest.Pytester) -> None:
    path = save(pytester, ("print('same')", "same\n"), ("print('new')", "old\n"), ("# NBVAL_SKIP\nprint(1)", "kept\n"))
    run(pytester, "--nbcontainer-update").assert_outcomes(passed=2, skipped=1)
    cells = nbformat.read(path, as_version=4).cells
    assert [cell.outputs[0].text for cell in cells] == ["same\n", "new\n", "kept\n"]
    run(pytester).assert_outcomes(passed=2, skipped=1)


def test_progress_that_a_page_has_saved_is_what_is_printed_without_one(pytester: pytest.Pytester) -> None:
    path = save(pytester, ("print('before'); print('#1 FROM x\\n#1 DONE')", ""), ("print('other')", ""))
    note = nbformat.read(path, as_version=4)
    for cell, text in zip(note.cells, ("#1 FROM x\n#1 DONE", "one"), strict=True):
        metadata = {"nbcontainer": {"stream": "stdout"}}
        data = {"text/plain": text, "text/html": "<b>1</b>"}
        cell.outputs = [nbformat.v4.new_output("display_data", data=data, metadata=metadata)]
    note.cells[0].outputs.insert(0, nbformat.v4.new_output("stream", name="stdout", text="before\n"))
    nbformat.write(note, path)
    run(pytester).assert_outcomes(passed=1, failed=1)


STUBBORN = """
while True:
    try:
        while True:
            print("on and on")
    except KeyboardInterrupt:
        pass
"""


def test_a_cell_that_will_not_end_is_ended(pytester: pytest.Pytester) -> None:
    save(pytester, (STUBBORN, ""), ("print(1)", "1\n"))
    result = run(pytester, "--nbval-cell-timeout=2")
    outcomes = result.parseoutcomes()
    assert outcomes.get("passed", 0) == 0
    assert outcomes.get("failed", 0) + outcomes.get("xfailed", 0) == 2


def test_a_notebook_has_its_time(pytester: pytest.Pytester) -> None:
    save(pytester, ("import time; time.sleep(1000)", ""))
    result = run(pytester, "--nbcontainer-notebook-timeout=3")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Timeout of * seconds exceeded executing cell*"])


def picture(pytester: pytest.Pytester, shade: int) -> Path:
    source = f"from PIL import Image\nfrom IPython.display import display\ndisplay(Image.new('L', (40, 40), {shade}))"
    return save(pytester, (source, ""))


def test_pictures_are_compared_as_seen(pytester: pytest.Pytester) -> None:
    pytest.importorskip("PIL", reason="not installed: Pillow, which matplotlib brings")
    picture(pytester, 100)
    run(pytester, "--nbcontainer-update").assert_outcomes(passed=1)
    cells = nbformat.read(pytester.path / "note.ipynb", as_version=4)
    for shade, outcome in ((102, "passed"), (160, "failed")):
        cells.cells[0].source = re.sub(r"\d+\)\)$", f"{shade}))", cells.cells[0].source)
        nbformat.write(cells, pytester.path / "note.ipynb")
        run(pytester).assert_outcomes(**{outcome: 1})


def test_each_notebook_has_a_lab_of_its_own(pytester: pytest.Pytester) -> None:
    source = "from nbcontainer.runtime import current_lab\nprint(len(current_lab().containers.list(all=True)))"
    make = "c = current_lab().containers.create('host', ['true'])\nprint('made')"
    for name in ("first", "second"):
        save(pytester, (source, "0\n"), (make, "made\n"), name=name)
    run(pytester).assert_outcomes(passed=4)


def test_a_cell_may_need_something_of_the_machine(pytester: pytest.Pytester) -> None:
    path = save(pytester, ("print('tcp')", "udp\n"), ("print('veth')", "veth\n"))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].metadata["tags"] = ["needs:link.of-mars"]
    notebook.cells[1].metadata["tags"] = ["needs:link.veth"]
    nbformat.write(notebook, path)
    result = run(pytester, "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*this kernel has no of-mars*"])
