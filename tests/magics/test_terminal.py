"""Outside a notebook: `ipython -c` and `python -m nbcontainer`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("store")


def ipython(code: str) -> subprocess.CompletedProcess[str]:
    """As typed in a shell."""
    command = [sys.executable, "-m", "IPython", "--ext=nbcontainer", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)


def nbcontainer(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nbcontainer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_output_is_plain_text() -> None:
    done = ipython("%container run --rm busybox echo hi")
    assert (done.stdout, done.returncode) == ("hi\n", 0)
    assert ipython("%container ps").stdout == (
        "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    )


def test_a_failure_is_one_line_and_an_exit_code() -> None:
    done = ipython("%container run --nmae x busybox")
    assert done.stdout == "Error: unknown flag: --nmae (did you mean --name?) See '%container run --help'.\n"
    assert done.returncode != 0
    assert ipython("%container run --rm busybox false").returncode != 0


def test_a_script_of_magics_stops_at_the_first_failure(tmp_path: Path) -> None:
    script = tmp_path / "script.ipy"
    script.write_text("%container run --rm busybox false\nprint('not reached')\n")
    command = [sys.executable, "-m", "IPython", "--ext=nbcontainer", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "not reached" not in done.stdout
    assert "Error: " in done.stdout + done.stderr


def test_the_module_prints_its_help_and_refuses_in_one_line() -> None:
    assert nbcontainer("--help").stdout.startswith("Usage:  nbcontainer COMMAND\n")
    assert nbcontainer("version").stdout.startswith("nbcontainer ")
    wrong = nbcontainer("docter")
    assert (
        wrong.stderr == "Error: unknown command: nbcontainer docter (did you mean doctor?) See 'nbcontainer --help'.\n"
    )
    assert wrong.returncode == 125


def test_the_module_knows_images() -> None:
    assert "busybox" in nbcontainer("image", "ls").stdout
    assert nbcontainer("image", "inspect", "-f", "{{.Os}}", "busybox").stdout == "linux\n"
