"""Pull and push with Debian's docker-registry, dockerd and skopeo."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import NotFound, RegistryError
from nbcontainer.image.registry.login import login, logout
from nbcontainer.image.registry.progress import Event, Lines
from tests.image.build import sha256, tree
from tests.image.registry.conftest import LAYERS, left, load
from tests.peers import Docker
from tests.registries import PASSWORD, PROGRAM, USER, Certificate, Registry, TokenServer

if PROGRAM is None:
    pytest.skip("not installed: docker-registry", allow_module_level=True)


def test_round_trip(home: Path, lab: Any, tmp_path: Path, registry: Registry) -> None:
    name = f"{registry.host}/some/where:v1"
    image = load(lab, tmp_path, name)
    said: list[str] = []
    digest = lab.images.push(name, progress=Lines(said.append))
    ids = [sha256(one)[7:19] for one in LAYERS]
    assert said == [
        f"The push refers to repository [{registry.host}/some/where]",
        *(f"{one}: Pushed" for one in ids),
        f"v1: digest: {digest} size: {len(registry.manifest('some/where', 'v1')[1])}",
    ]
    assert registry.manifest("some/where", "v1")[0] == digest
    assert image.digests == [f"{registry.host}/some/where@{digest}"]
    lab.images.remove(image.id, force=True)
    assert left(lab) == []
    said.clear()
    pulled = lab.images.pull(name, progress=Lines(said.append))
    assert (pulled.id, pulled.tags, pulled.digests) == (image.id, [name], [f"{registry.host}/some/where@{digest}"])
    blobs = [layer["digest"][7:19] for layer in json.loads(registry.manifest("some/where", "v1")[1])["layers"]]
    assert said == [
        "v1: Pulling from some/where",
        *(f"{one}: Pull complete" for one in blobs),
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {name}",
    ]
    (overlay,) = pulled.overlays()
    assert Path(overlay.lowers[0], "etc/a").read_bytes() == b"upper" * 50_000
    said.clear()
    assert lab.images.pull(name, progress=Lines(said.append)) is pulled
    assert said[1:] == [f"Digest: {digest}", f"Status: Image is up to date for {name}"]
    by_digest = lab.images.pull(f"{registry.host}/some/where@{digest}")
    assert by_digest is pulled
    # What was pulled goes elsewhere as it came.
    lab.images.tag(name, f"{registry.host}/else/where:v2")
    said.clear()
    assert lab.images.push(f"{registry.host}/else/where:v2", progress=Lines(said.append)) == digest
    assert said[1:3] == [f"{one}: Mounted from some/where" for one in ids]
    assert list(lab.home.images.glob("partial/*")) == list(lab.home.images.glob("ingest/*")) == []


def test_layers_that_are_here_are_not_downloaded(home: Path, lab: Any, tmp_path: Path, registry: Registry) -> None:
    base = load(lab, tmp_path, f"{registry.host}/shared:base", LAYERS[:1])
    load(lab, tmp_path, f"{registry.host}/shared:more")
    for tag in ("base", "more"):
        lab.images.push(f"{registry.host}/shared:{tag}")
    lab.images.remove(f"{registry.host}/shared:more", force=True)
    events: list[Event] = []
    found = lab.images.pull(f"{registry.host}/shared:more", progress=events.append)
    assert [event.status for event in events if event.status.startswith(("Already", "Pull "))] == [
        "Already exists", "Pull complete",
    ]  # fmt: skip
    assert found.diff_ids[0] == base.diff_ids[0]
    every = lab.images.pull(f"{registry.host}/shared", all_tags=True)
    assert sorted(tag for image in every for tag in image.tags) == [
        f"{registry.host}/shared:{t}" for t in ("base", "more")
    ]


def test_the_same_changes_have_the_same_digest_there(home: Path, lab: Any, tmp_path: Path, registry: Registry) -> None:
    digests = []
    for tag in "ab":
        image = load(lab, tmp_path, f"{registry.host}/again:{tag}")
        digests.append(lab.images.push(f"{registry.host}/again:{tag}"))
        lab.images.remove(image.id, force=True)
    assert digests[0] == digests[1]


def test_run_pulls_what_is_missing(home: Path, lab: Any, busybox: Any, registry: Registry) -> None:
    name = f"{registry.host}/box:1"
    lab.images.tag("busybox", name)
    lab.images.push(name)
    lab.images.remove(busybox.id, force=True)
    with pytest.raises(NotFound, match=f"^No such image: {name}$"):
        lab.containers.run(name, ["true"], pull="never")
    events: list[Event] = []
    end = lab.images.watch(events.append)
    assert lab.containers.run(name, ["echo", "it runs"]).logs() == "it runs\n"
    assert events[0].status == f"Unable to find image '{name}' locally"
    events.clear()
    lab.containers.run(name, ["true"])
    assert events == []
    lab.containers.run(name, ["true"], pull="always")
    assert events[-1].status == f"Status: Image is up to date for {name}"
    end()
    with pytest.raises(NotFound, match=r"does not match the specified platform: wanted linux/s390x, actual: linux/"):
        lab.containers.run(name, ["true"], platform="linux/s390x")


def test_users_and_passwords(home: Path, lab: Any, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", users=True) as registry:
        name = f"{registry.host}/mine:1"
        load(lab, tmp_path, name)
        with pytest.raises(RegistryError, match=r"^push access denied for .*/mine, .*unauthorized: authentication"):
            lab.images.push(name)
        with pytest.raises(RegistryError, match=rf"^login to {registry.host} failed: .*unauthorized"):
            login(home, registry.host, USER, "wrong")
        assert not (tmp_path / "docker/config.json").exists()
        done = login(home, registry.host, USER, PASSWORD)
        assert done.unencrypted == str(tmp_path / "docker/config.json")
        assert os.stat(done.unencrypted).st_mode & 0o777 == 0o600
        lab.images.push(name)
        assert [one.name for one in lab.images.search(f"{registry.host}/mi")] == [f"{registry.host}/mine"]
        # Docker's own client reads what we have written, and the other way.
        assert logout(home, registry.host)
        assert not logout(home, registry.host)
        with pytest.raises(RegistryError, match=r"^pull access denied for .*/mine, repository does not exist or may"):
            lab.images.pull(name)
        if shutil.which("skopeo"):
            given = ["--authfile", tmp_path / "docker/config.json", "--username", USER, "--password", PASSWORD]
            subprocess.run(
                ["skopeo", "login", "--tls-verify=false", *given, registry.host], check=True, capture_output=True
            )
            lab.images.pull(name)


def test_tokens(home: Path, lab: Any, tmp_path: Path) -> None:
    with TokenServer(tmp_path) as tokens, Registry(tmp_path / "registry", tokens=tokens) as registry:
        name = f"{registry.host}/team/app:1"
        image = load(lab, tmp_path, name)
        with pytest.raises(RegistryError, match=r"^push access denied for .*/team/app, .*unauthorized"):
            lab.images.push(name)
        with pytest.raises(RegistryError, match="unauthorized: incorrect username or password"):
            login(home, registry.host, USER, "wrong")
        login(home, registry.host, USER, PASSWORD)
        lab.images.push(name)
        assert (USER, ["repository:team/app:pull,push"]) in tokens.asked
        lab.images.tag(name, f"{registry.host}/team/other:1")
        said: list[str] = []
        lab.images.push(f"{registry.host}/team/other:1", progress=Lines(said.append))
        assert sum("Mounted from team/app" in line for line in said) == 2
        logout(home, registry.host)
        lab.images.remove(image.id, force=True)
        assert lab.images.pull(name).id == image.id, "everybody may pull"
        assert tokens.asked[-1] == ("", ["repository:team/app:pull"])


def test_tls(home: Path, lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = Certificate(tmp_path)
    with Registry(tmp_path / "registry", certificate=certificate) as registry:
        name = f"{registry.host}/safe:1"
        image = load(lab, tmp_path, name)
        lab.images.push(name)  # on this machine any certificate will do
        # Under a name that is not on this machine as far as the settings know, it must be a good one.
        monkeypatch.setattr("nbcontainer.image.registry.settings.Settings.is_insecure", lambda *_: False)
        with pytest.raises(RegistryError, match=r"x509: certificate is not trusted \(self.signed certificate\)"):
            lab.images.pull(name)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
        lab.images.remove(image.id, force=True)
        assert lab.images.pull(name).id == image.id
        monkeypatch.delenv("SSL_CERT_FILE")
        (home / "certs.d" / registry.host).mkdir(parents=True)
        shutil.copy(certificate.file, home / "certs.d" / registry.host / "ca.crt")
        lab.images.remove(image.id, force=True)
        assert lab.images.pull(name).id == image.id


def test_mirrors_in_order(home: Path, lab: Any, tmp_path: Path, registry: Registry) -> None:
    load(lab, tmp_path, f"{registry.host}/library/mirrored:1")
    digest = lab.images.push(f"{registry.host}/library/mirrored:1")
    lab.images.remove(f"{registry.host}/library/mirrored:1", force=True)
    with Registry(tmp_path / "mirror", of=f"http://{registry.host}") as mirror:
        closed = "http://127.0.0.1:9"
        (home / "daemon.json").write_text(json.dumps({"registry-mirrors": [closed, f"http://{mirror.host}/"]}))
        found = lab.images.pull("mirrored:1")
        assert (found.tags, found.digests) == (["mirrored:1"], [f"mirrored@{digest}"])
        blobs = mirror.directory / "data/docker/registry/v2/blobs/sha256"
        assert blobs.is_dir(), "it came through the mirror"


def test_an_interrupted_pull_goes_on(home: Path, lab: Any, tmp_path: Path, registry: Registry) -> None:
    """Killed in the middle: the next one takes what is there, and asks for the rest."""
    name = f"{registry.host}/large:1"
    image = load(lab, tmp_path, name, [tree({"noise": os.urandom(48 << 20)})])
    lab.images.push(name)
    lab.images.remove(image.id, force=True)
    code = f"""
import os, signal
from nbcontainer.image.registry import download
from nbcontainer.runtime import Lab
download._EVERY = 0  # this registry is a fast one: every piece is told
lab = Lab()
def progress(event):
    if event.status == "Downloading" and event.current > 4 << 20:
        os.kill(os.getpid(), signal.SIGKILL)
lab.images.pull({name!r}, progress=progress)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120)
    assert done.returncode == -signal.SIGKILL
    (partial,) = lab.home.images.glob("partial/*/blob")
    size = partial.stat().st_size
    assert 4 << 20 < size < 48 << 20
    events: list[Event] = []
    assert lab.images.pull(name, progress=events.append).id == image.id
    assert all(event.current >= size for event in events if event.status == "Downloading" and event.current)
    assert not list(lab.home.images.glob("partial/*"))


class Cutting:
    """A relay to a registry that breaks off the first connection that has sent more than so many bytes."""

    def __init__(self, registry: Registry, after: int) -> None:
        self._target, self._after = registry.port, after
        self.cut = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self._target))
            for source, target in ((connection, there), (there, connection)):
                threading.Thread(target=self._relay, args=(source, target, source is connection), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        size = 0
        try:
            while data := source.recv(1 << 16):
                size += len(data)
                target.sendall(data)
                if counts and size > self._after and not self.cut:
                    self.cut = True
                    break
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def test_an_upload_that_is_cut_goes_on(home: Path, lab: Any, tmp_path: Path, registry: Registry) -> None:
    relay = Cutting(registry, 3 << 20)
    name = f"{relay.host}/upload:1"
    image = load(lab, tmp_path, name, [tree({"noise": os.urandom(8 << 20)})])
    digest = lab.images.push(name)
    relay.close()
    assert relay.cut
    lab.images.remove(image.id, force=True)
    assert lab.images.pull(f"{registry.host}/upload@{digest}").id == image.id


@pytest.fixture
def shared(dockerd: Docker, tmp_path: Path) -> Iterator[tuple[Registry, Registry]]:
    """One registry's files served twice: here, and on the loopback of the daemon's own network namespace."""
    netns = ("nsenter", f"--net=/proc/{dockerd.pid}/ns/net")
    subprocess.run([*netns, "ip", "link", "set", "lo", "up"], check=True)
    with Registry(tmp_path / "shared") as here:
        (tmp_path / "there").mkdir()
        (tmp_path / "there/data").symlink_to(tmp_path / "shared/data")
        (tmp_path / "shared/data").mkdir(exist_ok=True)
        with Registry(tmp_path / "there", port=here.port, netns=netns) as there:
            yield here, there


def test_docker_pulls_what_we_pushed_and_the_other_way(
    home: Path, lab: Any, busybox: Any, dockerd: Docker, shared: tuple[Registry, Registry]
) -> None:
    host = shared[0].host
    ours, theirs = f"{host}/ours:1", f"{host}/theirs:1"
    lab.images.tag("busybox", ours)
    digest = lab.images.push(ours)
    for _ in range(200):
        done = dockerd.run("pull", ours, check=False)
        if done.returncode == 0 or b"connection refused" not in done.stderr:
            break
    assert f"Digest: {digest}" in done.stdout.decode()
    assert dockerd.docker("run", "--rm", "--network", "none", ours, "echo", "hi") == "hi\n"
    assert dockerd.docker("image", "inspect", "--format", "{{.Id}}", ours).strip() == busybox.id
    dockerd.docker("run", "--network", "none", "--name", "changed", "busybox", "sh", "-c", "echo x > /new")
    dockerd.docker("commit", "changed", theirs)
    pushed = dockerd.docker("push", theirs)
    found = lab.images.pull(theirs)
    assert f"digest: {found.digests[0].partition('@')[2]} " in pushed
    assert found.id == dockerd.docker("image", "inspect", "--format", "{{.Id}}", theirs).strip()
    assert lab.containers.run(theirs, ["cat", "/new"]).logs() == "x\n"
    # As it came, it goes back.
    lab.images.tag(theirs, f"{host}/back:1")
    assert lab.images.push(f"{host}/back:1") == found.digests[0].partition("@")[2]
    dockerd.docker("rm", "changed")
    dockerd.docker("rmi", ours, theirs)


def test_skopeo_inspects_and_copies_indexes(home: Path, lab: Any, tmp_path: Path, registry: Registry) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("not installed: skopeo")
    name = f"{registry.host}/looked/at:1"
    image = load(lab, tmp_path, name)
    digest = lab.images.push(name)
    done = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"], check=True, capture_output=True, text=True
    )
    seen = json.loads(done.stdout)
    assert (seen["Digest"], len(seen["Layers"])) == (digest, 2)
    # Skopeo writes an OCI manifest, with zstd's layers where it is told; we take both.
    for form, tag in (("oci", "oci"), ("v2s2", "docker")):
        target = f"{registry.host}/looked/at:{tag}"
        subprocess.run(
            ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--format", form,
             f"docker://{name}", f"docker://{target}"],
            check=True, capture_output=True,
        )  # fmt: skip
        found = lab.images.pull(target)
        assert found.diff_ids == image.diff_ids
