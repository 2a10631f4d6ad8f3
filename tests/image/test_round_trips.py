"""What we commit and save, others load, and the other way round: Docker, Podman, skopeo, umoci. Digests stay."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.image.test_docker import LIST, STEPS, files
from tests.peers import Docker

NAME = "made/here:1"


def tool(name: str, package: str) -> str:
    """The path of a peer's program."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"not installed: {package}")
    return found


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
    return done.stdout


@pytest.fixture
def image(home: Path, lab: Any, busybox: Any) -> Any:
    """An image of four layers, made by commits: with what was removed, links, pipes, holes, owners."""
    name = "busybox"
    for number, step in enumerate(STEPS.split("===")):
        if lab.idmap.single:
            step = step.replace("chown 12:34 /d/two", "true").replace("chown -h 5:6 /d/sub/link;", "")
        c = lab.containers.run(name, ["sh", "-ec", f"{step}\ntruncate -s 20M /holes{number}"], network="none")
        name = NAME if number == 2 else f"made/here:step{number}"
        c.commit(name, changes=["ENV STEP=1"], message=f"step {number}")
        c.remove()
    return lab.images.get(NAME)


def listed(lab: Any, name: str) -> list[str]:
    container = lab.containers.run(name, ["sh", "-c", LIST.replace("| sort", "| grep -v holes | sort")], network="none")
    return files(str(container.logs()))


@pytest.mark.parametrize("name", ["made.tar", "made.gz"])
def test_docker(dockerd: Docker, image: Any, lab: Any, tmp_path: Path, name: str) -> None:
    lab.images.save([NAME], tmp_path / name)
    said = dockerd.docker("load", "--input", str(tmp_path / name))
    assert said.strip().endswith(f"Loaded image: {NAME}")
    theirs, ours = json.loads(dockerd.docker("image", "inspect", NAME))[0], image.inspect()
    for key in ("Id", "RepoTags", "Created", "Architecture", "Os", "Size", "RootFS", "Comment"):
        assert ours[key] == theirs[key], key
    for key in ("Cmd", "Env"):
        assert ours["Config"][key] == theirs["Config"][key]
    command = ["sh", "-c", LIST.replace("| sort", "| grep -v holes | sort")]
    expected = files(dockerd.docker("run", "--rm", "--network", "none", NAME, *command))
    assert len(expected) > 250
    assert listed(lab, NAME) == expected
    assert dockerd.docker("run", "--rm", "--network", "none", NAME, "stat", "-c", "%s", "/holes0") == f"{20 << 20}\n"
    # And back again.
    dockerd.docker("save", "--output", str(tmp_path / "back.tar"), NAME)
    lab.images.remove(NAME, force=True)
    [back] = lab.images.load(tmp_path / "back.tar")
    assert (back.id, back.diff_ids) == (image.id, image.diff_ids)
    dockerd.docker("rmi", NAME)


def test_skopeo(image: Any, lab: Any, tmp_path: Path) -> None:
    skopeo = tool("skopeo", "skopeo")
    lab.images.save([NAME], tmp_path / "archive.tar")
    lab.images.save([NAME], tmp_path / "archive.tar.gz", "oci-archive")
    lab.images.save([NAME], tmp_path / "layout", "oci-dir")
    seen = []
    for source in (
        f"docker-archive:{tmp_path}/archive.tar:{NAME}",
        f"oci-archive:{tmp_path}/archive.tar:1",
        f"oci-archive:{tmp_path}/archive.tar.gz:1",
        f"oci:{tmp_path}/layout:1",
    ):
        seen.append(json.loads(run(skopeo, "inspect", "--config", source)))
        assert json.loads(run(skopeo, "inspect", source))["Layers"] == image.diff_ids
    assert all(one["rootfs"]["diff_ids"] == image.diff_ids for one in seen)
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    for form in ("oci-archive", "docker-archive"):
        target = f"{form}:{tmp_path}/{form}.tar:{NAME if form == 'docker-archive' else '1'}"
        run(skopeo, "--policy", policy, "copy", f"oci:{tmp_path}/layout:1", target)
        lab.images.remove(image.id, force=True)
        [back] = lab.images.load(tmp_path / f"{form}.tar")
        assert back.id == image.id


def test_umoci(image: Any, lab: Any, tmp_path: Path) -> None:
    umoci = tool("umoci", "umoci")
    lab.images.save([NAME], tmp_path / "layout", "oci-dir")
    layout = f"{tmp_path}/layout:1"
    history = json.loads(run(umoci, "stat", "--image", layout, "--json"))["history"]
    layers = [step["layer"]["digest"] for step in history if step.get("layer")]
    assert layers == image.diff_ids
    rootless = ["--rootless"] if os.geteuid() else []
    run(umoci, "unpack", *rootless, "--image", layout, tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    assert sorted(os.listdir(root / "opaque")) == ["new"]
    assert (root / "holes1").stat().st_size == 20 << 20
    assert (root / "deep" / "a").read_text() == "now a file\n"
    (root / "by-umoci").write_text("written\n")
    (root / "d" / "three").unlink()
    run(umoci, "repack", "--image", f"{tmp_path}/layout:2", tmp_path / "bundle")
    run(umoci, "rm", "--image", layout)
    [back] = lab.images.load(tmp_path / "layout")
    assert back.diff_ids[:-1] == image.diff_ids
    done = lab.containers.run(back, ["sh", "-c", "cat /by-umoci; ls /d"], network="none")
    assert done.logs() == "written\nagain\nfifo\none\nsub\n"


def test_podman(image: Any, lab: Any, tmp_path: Path) -> None:
    podman = tool("podman", "podman")
    if os.geteuid():
        pytest.skip("needs root")
    # Its own store, of which nothing is left; the plain copying driver, which works everywhere.
    run_root = tempfile.mkdtemp(prefix="podman-")  # Podman takes no name here that is longer than 50 characters
    own = [podman, "--root", f"{tmp_path}/root", "--runroot", run_root, "--storage-driver", "vfs"]
    own += ["--cgroup-manager", "cgroupfs", "--events-backend", "none"]
    lab.images.save([NAME], tmp_path / "made.tar")
    said = run(*own, "load", "--input", tmp_path / "made.tar")
    assert said.strip().endswith("made/here:1")
    theirs = json.loads(run(*own, "image", "inspect", NAME))[0]
    assert f"sha256:{theirs['Id']}" == image.id
    assert theirs["RootFS"]["Layers"] == image.diff_ids
    for form in ("oci-archive", "docker-archive", "oci-dir"):
        run(*own, "save", "--format", form, "--output", tmp_path / form, NAME)
        lab.images.remove(image.id, force=True)
        [back] = lab.images.load(tmp_path / form)
        assert back.diff_ids == image.diff_ids
    shutil.rmtree(run_root)
