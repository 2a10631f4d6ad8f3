"""What a notebook shows of registries, and what Ctrl-C does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.magics.conftest import Kernel
from tests.registries import PASSWORD, PROGRAM, USER, Registry

if PROGRAM is None:
    pytest.skip("not installed: docker-registry", allow_module_level=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry"), users=True) as registry:
        yield registry


@pytest.fixture
def docker_config(kernel: Kernel, tmp_path: Path) -> Iterator[Path]:
    kernel.ok(f"import os; os.environ['DOCKER_CONFIG'] = {str(tmp_path)!r}")
    yield tmp_path / "config.json"
    kernel.ok("del os.environ['DOCKER_CONFIG']")


def test_from_login_to_logout(kernel: Kernel, registry: Registry, docker_config: Path) -> None:
    name = f"{registry.host}/box"
    cell = kernel.ok(f"%%image login --username {USER} --password-stdin {registry.host}\n{PASSWORD}")
    assert cell.stdout == "Login Succeeded\n"
    assert cell.stderr == f"WARNING! Your password will be stored unencrypted in {docker_config}.\n"
    kernel.ok(f"%image tag busybox {name}")
    cell = kernel.ok(f"digest = %image push {name}")
    lines = cell.stdout.splitlines()
    assert lines[:2] == ["Using default tag: latest", f"The push refers to repository [{name}]"]
    assert lines[2].endswith(": Pushed")
    digest = kernel.ok("print(digest)").stdout.strip()
    assert lines[3].startswith(f"latest: digest: {digest} size: ")
    kernel.ok(f"%image rm {name}")
    cell = kernel.ok(f"image = %image pull {name}\nimage")
    assert cell.stderr == ""
    assert cell.stdout.splitlines() == [
        "Using default tag: latest",
        "latest: Pulling from box",
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {name}:latest",
        f"{name}:latest",
    ]
    again = kernel.ok(f"%image pull {name}")
    assert again.stdout.splitlines()[3] == f"Status: Image is up to date for {name}:latest"
    assert kernel.ok(f"%image pull --quiet {name}").stdout == f"{name}:latest\n"
    found = kernel.ok(f"%image search --format '{{{{.Name}}}}' {registry.host}/b")
    assert found.stdout == f"{name}\n"
    assert kernel.ok(f"%image logout {registry.host}").stdout == f"Removing login credentials for {registry.host}\n"
    assert kernel.ok(f"%image logout {registry.host}").stdout == f"Not logged in to {registry.host}\n"
    cell = kernel.run(f"%container run --pull always --rm {name} true")
    assert cell.error is not None
    assert cell.error["ename"] == "RegistryError"
    assert cell.error["traceback"] == [f"Error: {cell.error['evalue']}"]
    assert cell.error["evalue"].startswith(f"pull access denied for {name}, repository does not exist or may require")
    kernel.ok(f"%image rm {name}")


def test_run_says_what_it_pulls(kernel: Kernel, registry: Registry, docker_config: Path) -> None:
    name = f"{registry.host}/once:1"
    kernel.ok(f"%%image login --username {USER} --password-stdin {registry.host}\n{PASSWORD}")
    kernel.ok(f"%image tag busybox {name}\n%image push -q {name}\n%image rm {name}")
    cell = kernel.ok(f"c = %container run --rm {name} echo out")
    assert cell.stdout == "out\n"
    lines = cell.stderr.splitlines()
    assert lines[0] == f"Unable to find image '{name}' locally"
    assert lines[1] == "1: Pulling from once"
    assert lines[-1] == f"Status: Downloaded newer image for {name}"
    cell = kernel.ok(f"c = %container run --rm {name} echo out")
    assert (cell.stdout, cell.stderr) == ("out\n", "")
    kernel.ok(f"%image rm {name}")


def test_nobody_there(kernel: Kernel, docker_config: Path) -> None:
    cell = kernel.run("%image pull 127.0.0.1:9/some/thing:1")
    assert cell.error is not None
    assert cell.error["evalue"] == (
        "127.0.0.1:9/some/thing:1 cannot be had from 127.0.0.1:9: cannot reach 127.0.0.1:9: connection refused; "
        "it takes a network, a proxy (HTTPS_PROXY) or a mirror (daemon.json)"
    )
    cell = kernel.run("%image login --username ada --password-stdin 127.0.0.1:9")
    assert cell.error is not None
    assert cell.error["evalue"] == "--password-stdin reads the cell: %%image login ... and the password below it"


def test_ctrl_c_gives_the_prompt_back(kernel: Kernel, docker_config: Path) -> None:
    """A server that never answers."""
    kernel.ok("import socket; silent = socket.create_server(('127.0.0.1', 0)); port = silent.getsockname()[1]")
    cell = kernel.interrupted("%image pull 127.0.0.1:$port/some/thing:1")
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert kernel.ok("print('back')").stdout == "back\n"
    kernel.ok("silent.close()")
