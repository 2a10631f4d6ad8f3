"""%image build and %%image build: what a cell shows, and how it fails."""

from __future__ import annotations

from pathlib import Path

from tests.magics.conftest import Kernel


def test_the_cell_is_the_dockerfile(kernel: Kernel) -> None:
    cell = kernel.ok("%%image build --no-cache -t cell\nFROM busybox\nRUN echo $((40+2))\nCMD echo from the cell")
    assert cell.stdout == (
        "#1 [1/2] FROM busybox\n#1 DONE\n\n#2 [2/2] RUN echo $((40+2))\n#2 42\n#2 DONE\n\n"
        "#3 exporting to image\n#3 naming to cell:latest\n#3 DONE\n"
    )
    assert (cell.stderr, cell.result) == ("", None)
    assert kernel.ok("%container run --rm cell").stdout == "from the cell\n"
    again = kernel.ok("%%image build -t cell\nFROM busybox\nRUN echo $((40+2))\nCMD echo from the cell")
    assert "#2 CACHED\n" in again.stdout


def test_a_path(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nARG WHO\nCOPY f /f\nRUN echo for $WHO\n")
    (tmp_path / "f").write_text("f")
    cell = kernel.ok(f"image = %image build -t path --build-arg WHO=me {tmp_path}\nprint(image.tags)")
    assert "#3 for me\n" in cell.stdout
    assert cell.stdout.endswith("['path:latest']\n")
    cell = kernel.ok(f"%image build -q --iidfile {tmp_path}/id {tmp_path}")
    assert cell.stdout.strip() == (tmp_path / "id").read_text()
    assert cell.stdout.startswith("sha256:")
    assert kernel.ok(f"%docker build -q {tmp_path}").stdout == cell.stdout


def test_what_is_wrong_points_at_the_line(kernel: Kernel) -> None:
    cell = kernel.run("%%image build .\nFROM busybox\n\nRUNN x\n")
    assert cell.error is not None
    assert cell.error["ename"] == "DockerfileError"
    assert cell.error["traceback"] == [
        "Error: Dockerfile:3: dockerfile parse error on line 3: unknown instruction: RUNN (did you mean RUN?)"
    ]
    assert cell.stderr == (
        "Dockerfile:3\n--------------------\n   1 |     FROM busybox\n   2 |\n   3 | >>> RUNN x\n--------------------\n"
    )
    cell = kernel.run("%%image build\nFROM busybox\nRUN echo so far; exit 7\n")
    assert cell.error is not None
    assert cell.error["evalue"].endswith("did not complete successfully: exit code: 7")
    assert "#2 so far\n" in cell.stdout


def test_mistakes(kernel: Kernel) -> None:
    for typed, said in [
        ("%image build", "requires 1 argument, the context"),
        ("%image build -", "a notebook has no standard input"),
        ("%image build https://x.invalid/y.git", "is no directory of this machine"),
        ("%image build /nowhere", 'unable to prepare context: path "/nowhere" not found'),
        ("%%image build -f x .\nFROM scratch", "conflicting options: the cell is the Dockerfile"),
        ("%image build --tga x .", "unknown flag: --tga (did you mean --tag?)"),
    ]:
        cell = kernel.run(typed)
        assert cell.error is not None, typed
        assert said in cell.error["traceback"][0]
        assert len(cell.error["traceback"]) == 1


def test_ctrl_c_ends_the_run_and_leaves_nothing(kernel: Kernel) -> None:
    cell = kernel.interrupted("%%image build\nFROM busybox\nRUN echo ready; while :; do sleep 1; done")
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert cell.error["traceback"] == ["Interrupted"]
    code = (
        "import os; from nbcontainer.runtime import current_lab; lab = current_lab()\n"
        "print(lab.containers.list(all=True), os.listdir(lab.containers.directory), "
        "[n for n in os.listdir(lab.directory) if n.startswith('build-')])"
    )
    assert kernel.ok(code).stdout == "[] [] []\n"
    assert kernel.ok("%container run --rm busybox echo on").stdout == "on\n"


def test_prune(kernel: Kernel) -> None:
    kernel.ok("%%image build\nFROM busybox\nRUN echo to be pruned > /file")
    assert kernel.ok("%builder prune").stdout.startswith("Total reclaimed space: ")
    cell = kernel.ok("%%image build\nFROM busybox\nRUN echo to be pruned > /file")
    assert "CACHED" not in cell.stdout
