"""What the tests share: a home of their own, a lab, the busybox image, an IPython shell, and the peers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from tests.peers import Docker, Peer, Podman, Runc, missing

P = TypeVar("P", bound=Peer)

# No test is about time: on a busy machine an example may take as long as it likes.
settings.register_profile("nbcontainer", deadline=None)
settings.load_profile("nbcontainer")


def pytest_configure(config: pytest.Config) -> None:
    """Nothing a test does may end up in the home of whoever runs it."""
    if hasattr(config, "workerinput"):
        # The processes of pytest-xdist ignore Ctrl-C, and so would all they start; tests press it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    place = _new_home("nbcontainer-tests-")
    os.environ["NBCONTAINER_HOME"] = str(place)
    # Most tests need no way out of their lab; those that do say so.
    os.environ["NBCONTAINER_UPLINK"] = "none"
    config.add_cleanup(lambda: _remove(place))


def _new_home(prefix: str) -> Path:
    # Not /tmp: it may be a tmpfs, which overlayfs in a user namespace cannot always have as its upper.
    place = Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    place.chmod(0o711)
    return place


def _remove(place: Path) -> None:
    """Remove a tree of which the owners may be ids that only a lab has."""
    if os.geteuid() == 0:
        shutil.rmtree(place)
        return
    mapped = ["--map-auto"] if _subordinate_ids() else []
    subprocess.run(["unshare", "--user", "--map-root-user", *mapped, "rm", "-rf", str(place)], check=True)


def _subordinate_ids() -> bool:
    return bool(shutil.which("newuidmap")) and subprocess.run(["getsubids", str(os.getuid())]).returncode == 0


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new, empty NBCONTAINER_HOME, for this test alone. Without it, one serves all tests of a run."""
    place = _new_home("nbcontainer-test-")
    monkeypatch.setenv("NBCONTAINER_HOME", str(place))
    yield place
    _remove(place)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A new lab, in `home` when the test has that too. Nothing of it may be left when it has closed."""
    from nbcontainer.harness.leaks import Traces
    from nbcontainer.runtime import Lab

    if "home" in request.fixturenames:
        request.getfixturevalue("home")
    with Lab() as lab:
        traces = Traces(lab)
        yield lab
    assert traces.left() == []


@pytest.fixture
def busybox(lab: Any) -> Any:
    """The image `busybox` in the lab's store, made once a home."""
    from nbcontainer.errors import NotFound

    if shutil.which("busybox") is None:
        pytest.skip("not installed: busybox-static")
    try:
        return lab.images.get("busybox")
    except NotFound:
        return lab.images.bootstrap_busybox()


@pytest.fixture
def ipython(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An IPython shell with `%load_ext nbcontainer` done, and nothing of whoever runs the tests."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    shell: Any = InteractiveShell.instance(config=config)
    shell.extension_manager.load_extension("nbcontainer")
    yield shell
    shell.extension_manager.unload_extension("nbcontainer")
    shell.history_manager.end_session()
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()


def started(peer: type[P], *programs: str) -> Iterator[P]:
    """A peer that needs these programs, until the tests are through with it."""
    why = missing(*programs)
    if why:
        pytest.skip(why)
    with peer() as running:
        yield running


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Docker]:
    """A Docker daemon with the image busybox: `dockerd.docker("run", "--rm", "busybox", "true")`."""
    yield from started(Docker, "docker", "dockerd", "busybox")


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Podman with the image busybox: `podman.podman("run", "--rm", "busybox", "true")`."""
    yield from started(Podman, "podman", "busybox")


@pytest.fixture(scope="session")
def runc() -> Iterator[Runc]:
    """runc and a busybox root: `runc.run("run", "--bundle", …, "name")`."""
    yield from started(Runc, "runc", "busybox")
