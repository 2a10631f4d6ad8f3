"""A kernel of another kernelspec in a container, driven as Jupyter's own tools drive it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbcontainer_kernel.sandbox import Sandbox

PATIENCE = 120


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebook's folder, with a file in it, and beside it one that is nobody's business."""
    place = tmp_path_factory.mktemp("notebooks")
    (place.parent / "secret.txt").write_text("secret")
    (place / "data.txt").write_text("forty-two\n")
    return place


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`spec(memory="512m", …)` writes a kernelspec for this Python in a container and gives its name."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))

    def write(**config: Any) -> str:
        directory = tmp_path / "kernels" / "inside"
        directory.mkdir(parents=True, exist_ok=True)
        document = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "inside",
            "language": "python",
            "metadata": {"kernel_provisioner": {"provisioner_name": "nbcontainer", "config": config}},
        }
        (directory / "kernel.json").write_text(json.dumps(document))
        return "inside"

    return write


def run(kernel: str, folder: Path, *cells: str) -> list[str]:
    """What the cells print, or show."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook,
        kernel_name=kernel,
        timeout=PATIENCE,
        startup_timeout=PATIENCE,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]


def test_it_sees_its_folder_and_nothing_else(spec: Any, folder: Path) -> None:
    printed = run(
        spec(network="none"),
        folder,
        "import os; print(open('data.txt').read(), end='')",
        f"print(os.path.exists({str(folder.parent / 'secret.txt')!r}), os.listdir('/home'), os.listdir('/root'))",
        "print(sorted(os.listdir('/sys/class/net')))",
        "open('made.txt', 'w').write('made inside')\nprint(os.getpid() > 1, os.environ.get('HOME'))",
    )
    assert printed == ["forty-two\n", "False [] ['.ipython']\n", "['lo']\n", "True /root\n"]
    made = folder / "made.txt"
    assert made.read_text() == "made inside"
    assert made.stat().st_uid == folder.stat().st_uid


def test_a_folder_that_is_only_to_be_read(spec: Any, folder: Path) -> None:
    printed = run(
        spec(folder="ro"),
        folder,
        "try:\n    open('made.txt', 'w')\nexcept OSError as error:\n    print(error.strerror)",
        "print(open('data.txt').read(), end='')",
    )
    assert printed == ["Read-only file system\n", "forty-two\n"]
    assert run(spec(folder="none"), folder, "import os; print(os.path.exists('data.txt'))") == ["False\n"]


LAUNCH = """
import sys
from jupyter_client.manager import start_new_kernel
start_new_kernel(kernel_name=sys.argv[1], startup_timeout=120, cwd=sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_launcher_leaves_goes_with_the_next_start(
    spec: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, spec(), str(folder)],
            env={**os.environ, "TMPDIR": place},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == b"ready\n"
        (left,) = Path(place).glob("nbcontainer-*")
        monkeypatch.setattr(tempfile, "tempdir", place)
        manager, client = start_new_kernel(kernel_name=spec(), startup_timeout=PATIENCE, cwd=str(folder))
        client.stop_channels()
        manager.shutdown_kernel()
        assert list(Path(place).glob("nbcontainer-*")) == [left]  # its owner runs
        launcher.kill()
        launcher.communicate()
        assert list(Path(place).glob("nbcontainer-*")) == [left]
        assert run(spec(), folder, "print(1)") == ["1\n"]
        assert list(Path(place).glob("nbcontainer-*")) == []


@pytest.mark.parametrize("below", ["", "kernels", "runtime"])
def test_a_folder_with_files_of_jupyters_own_is_refused(
    spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / below
    place.mkdir(exist_ok=True)
    with pytest.raises(Exception, match="Jupyter's own files would be seen"):
        run(spec(), place, "1")
    assert not list(tmp_path.glob("nbcontainer-*"))


def test_an_environment_in_the_folder_is_not_to_be_written(spec: Any, folder: Path) -> None:
    sandbox = Sandbox().options(
        [str(_environment(folder) / "bin" / "python")],
        folder=folder,
        connection_file=folder / "kernel.json",
        sockets=folder / "sockets",
        env={},
    )
    assert f"{folder / 'venv'}:{folder / 'venv'}:ro" in sandbox["volume"]


def _environment(folder: Path) -> Path:
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "pyvenv.cfg").touch()
    (folder / "venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    return folder / "venv"


def test_interrupt_restart_and_shutdown(spec: Any, folder: Path) -> None:
    manager, client = start_new_kernel(kernel_name=spec(), startup_timeout=PATIENCE, cwd=str(folder))
    try:
        request = client.execute("x = 1\nprint('begun')\nimport time\ntime.sleep(1000)")
        until(client, "stream")
        manager.interrupt_kernel()
        reply = client._recv_reply(request, timeout=PATIENCE)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=PATIENCE)
        reply = client.execute_interactive("x", timeout=PATIENCE, output_hook=lambda message: None)
        assert reply["content"]["ename"] == "NameError"
        provisioner: Any = manager.provisioner
        init = provisioner._lab.pid
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert not manager.is_alive()
    assert not Path(f"/proc/{init}").exists()


def until(client: Any, kind: str) -> Any:
    while True:
        message = client.get_iopub_msg(timeout=PATIENCE)
        if message["msg_type"] == kind:
            return message


def test_the_secrets_of_the_environment_stay_outside(spec: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    assert run(spec(env={"SAID": "so"}), folder, "import os; print(os.environ.get('A_TOKEN'), os.environ['SAID'])") == [
        "None so\n"
    ]


def test_the_home_directory_is_no_folder_for_it(spec: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    manager = KernelManager(kernel_name=spec())
    with pytest.raises(Exception, match="all of your home directory would be seen"):
        manager.start_kernel(cwd=str(tmp_path))


def test_memory_is_limited(spec: Any, folder: Path, lab: Any) -> None:
    if "memory" not in lab.cgroups.controllers:
        pytest.skip(f"no memory limits here: {lab.cgroups.why}")
    with pytest.raises(DeadKernelError, match="Kernel died"):
        run(spec(memory="256m"), folder, "x = bytearray(1 << 30)\nprint(len(x))")


def test_a_spec_is_wrapped(spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    from nbcontainer.__main__ import main

    assert main(["kernelspec", "wrap", "python3", "--memory", "512m", "--cpus", "1"]) == 0
    document = KernelSpecManager().get_kernel_spec("python3-container").to_dict()
    assert document["metadata"]["kernel_provisioner"] == {
        "provisioner_name": "nbcontainer",
        "config": {"memory": "512m", "cpus": 1.0},
    }
    assert main(["kernelspec", "wrap", "nosuch"]) == 125
