"""What Binder would do and forbid, in a container of our own: default security, an unprivileged user."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import nbformat
import pytest

from nbcontainer.runtime import Lab
from tests.peers import Docker

ROOT = Path(__file__).resolve().parents[2]
SITE = sysconfig.get_path("purelib")
KERNELS = Path(sysconfig.get_path("data"), "share/jupyter")
USER = 1000
REFUSED = "this machine does not let us make namespaces (unshare: Operation not permitted)"
RUN = """
import nbformat, sys
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture
def inside(lab: Lab, tmp_path: Path) -> Any:
    """`inside(argv)`: run it in a container as Binder's user, the checkout at /checkout; `(exit code, output)`."""
    if lab.idmap.single:
        pytest.skip("this user has one id: there is no unprivileged one besides root in their containers")
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)

    def run(*argv: str, **env: str) -> tuple[int, str]:
        container = lab.containers.run(
            "host",
            argv,
            user=str(USER),
            workdir="/checkout",
            volume=[f"{ROOT}:/checkout:ro", f"{SITE}:/site:ro", f"{KERNELS}:/kernels:ro", f"{out}:/out"],
            env=[
                *("PYTHONPATH=/checkout:/site", "JUPYTER_PATH=/kernels", "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1"),
                *(f"{name}={value}" for name, value in env.items()),
            ],
            check=False,
        )
        return container.exit_code, container.logs()

    run.out = out  # type: ignore[attr-defined]
    return run


def test_doctor_says_it_plainly(inside: Any) -> None:
    code, said = inside("python3", "-m", "nbcontainer", "doctor")
    assert code == 0
    assert "missing  user namespaces: unshare: Operation not permitted\n" in said
    assert "no lab can start: nothing works" in said
    assert "this is a container itself: run it with --security-opt seccomp=unconfined, or --privileged" in said
    assert "Traceback" not in said
    code, said = inside("python3", "-m", "nbcontainer", "doctor", BINDER_SERVICE_HOST="10.0.0.1")
    assert code == 0
    assert "nothing helps on Binder, where nobody may change that: run the notebook on a Linux machine" in said


def test_a_lab_says_so_in_a_line(inside: Any) -> None:
    ipython = ("python3", "-m", "IPython", "--colors=nocolor", "--ext=nbcontainer", "-c")
    for argv in ((*ipython, "%container run busybox echo hi"), ("python3", "-m", "nbcontainer", "image", "ls")):
        code, said = inside(*argv)
        assert code != 0
        assert said.strip() == f"Error: {REFUSED}; `%lab doctor` says why, and what would help"


#: The steps that repo2docker's Dockerfile ends with, and a run of the notebook that they leave.
STEPS = """
mkdir /own/bin && ln -s /usr/bin/python3 /own/bin/python && cp -r /checkout /own/jovyan && cd /own/jovyan
chmod +x binder/postBuild binder/start
./binder/postBuild && ./binder/start python -c "$RUN" tour.ipynb && cp tour.ipynb /out
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a Docker daemon needs root")
def test_the_same_in_docker(dockerd: Docker, tmp_path: Path) -> None:
    """Docker's own profile, not our copy of it. Its busybox is given the machine's programs."""
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    seen = [f"--volume={path}:{path}:ro" for path in ("/usr", "/lib", "/lib64", SITE) if os.path.exists(path)]
    options = [
        f"--user={USER}",
        "--tmpfs=/own:mode=1777,exec",
        "--workdir=/checkout",
        *(f"--volume={ROOT / path}:/checkout/{path}:ro" for path in ("nbcontainer", "kernel", "binder", "notebooks")),
        f"--volume={KERNELS}:/kernels:ro",
        f"--volume={out}:/out",
        *seen,
    ]
    options += [f"--env=PYTHONPATH=/checkout:{SITE}", "--env=HOME=/own", "--env=JUPYTER_PATH=/kernels"]
    options += ["--env=PATH=/own/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"--env=RUN={RUN}"]

    def run(*argv: str) -> tuple[int, str]:
        done = subprocess.run(
            dockerd.argv("run", "--rm", *options, "busybox", *argv), capture_output=True, text=True, timeout=280
        )
        return done.returncode, done.stdout + done.stderr

    for words, expected in (
        (("doctor",), "missing  user namespaces: unshare: Operation not permitted"),
        (("image", "ls"), f"Error: {REFUSED}; `%lab doctor` says why, and what would help"),
    ):
        _, said = run("/usr/bin/python3", "-m", "nbcontainer", *words)
        assert expected in said.splitlines()
        assert "Traceback" not in said
    code, said = run("sh", "-c", STEPS)
    assert code == 0, said
    assert "Going on without the image busybox\n" in said
    assert f"The tour shows what can run here: {REFUSED}\n" in said
    _assert_degraded(out / "tour.ipynb")


def test_build_goes_on(inside: Any) -> None:
    code, said = inside("sh", "-c", "ln -s $(which python3) /tmp/python; PATH=/tmp:$PATH binder/postBuild")
    assert code == 0
    assert said.endswith("Going on without the image busybox\n")
    assert "Traceback" not in said


def test_the_tour_degrades(inside: Any) -> None:
    code, said = inside("python3", "binder/tour.py", "notebooks/00-tour.ipynb", "/out/tour.ipynb")
    assert (code, said) == (0, f"The tour shows what can run here: {REFUSED}\n")
    code, said = inside("python3", "-c", RUN, "/out/tour.ipynb")
    assert code == 0, said
    _assert_degraded(inside.out / "tour.ipynb")


def _assert_degraded(tour: Path) -> None:
    """What can run has run, with what it says here; the rest is told."""
    notebook = nbformat.read(tour, as_version=4)
    told = json.dumps(notebook)
    assert told.count("Recorded elsewhere") > 20
    outputs = [output for cell in notebook.cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    said = "".join(str(output.get("text", "")) for output in outputs)
    assert "Seccomp:\t2" in said
    assert "[Errno 1] Operation not permitted: 'unshare'" in said
    assert any("nbc-graph" in output.get("data", {}).get("text/html", "") for output in outputs)


def test_where_a_lab_starts_it_is_the_tour(tmp_path: Path, home: Path) -> None:
    written = tmp_path / "tour.ipynb"
    tour = ROOT / "notebooks/00-tour.ipynb"
    subprocess.run(
        [os.path.join(sysconfig.get_path("scripts"), "python"), "binder/tour.py", tour, written], cwd=ROOT, check=True
    )
    assert written.read_bytes() == tour.read_bytes()


def test_its_packages_are_ours() -> None:
    ours = {line.split("#")[0].strip() for line in (ROOT / "tools/packages.txt").read_text().splitlines()} - {""}
    assert set((ROOT / "binder/apt.txt").read_text().split()) == ours - {"python3-venv"}
