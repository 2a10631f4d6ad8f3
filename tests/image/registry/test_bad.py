"""Registries that stall, lie, loop and break off: one clear line, and nothing half-done stays."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from nbcontainer.errors import ImageError, NbcontainerError, NotFound, RegistryError
from nbcontainer.image.image import architecture
from nbcontainer.image.registry import exchange, manifest
from nbcontainer.image.registry.progress import Event
from nbcontainer.image.registry.transport import Patience
from tests.image.build import config, entry, layer, sha256, tree
from tests.image.registry.bad import Answer, Bad, Request, Trick
from tests.image.registry.conftest import left

LARGE = tree({"noise": os.urandom(3 << 20)})
LAYERS = [tree({"a": b"one"}), LARGE]


def at(part: str, *answers: Answer) -> Trick:
    """These answers to the first requests of every path that has `part`; the last one for ever."""

    def trick(request: Request, count: int) -> Answer | None:
        if part not in request.path:
            return None
        return answers[min(count, len(answers)) - 1]

    return trick


def once(part: str, *answers: Answer) -> Trick:
    """These answers to the first requests, then the right one."""

    def trick(request: Request, count: int) -> Answer | None:
        return answers[count - 1] if part in request.path and count <= len(answers) else None

    return trick


def refused(lab: Any, bad: Bad, kind: type[NbcontainerError], why: str, kept: bool = False) -> str:
    """A pull fails in one line, and nothing stays but, where `kept`, what a next pull can go on with."""
    with pytest.raises(kind, match=why) as raised:
        lab.images.pull(bad.name)
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 400
    assert [image.tags for image in lab.images.list()] == [["host:latest"]]
    stays = left(lab)
    assert all(path.startswith("partial/") for path in stays) if kept else stays == []
    return text


HTML = b"<!DOCTYPE html><html><body>Please log in to the hotel's network</body></html>"
JSON_ERROR = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your\\npull rate limit"}]}'

CHART = json.dumps(
    {"config": {"digest": sha256(b""), "size": 0, "mediaType": "application/x.helm"}, "layers": []}
).encode()

ANSWERS = {
    "not there": (Answer("404 Not Found", b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'),
                  NotFound, r"^manifest for .*/bad:1 not found: manifest unknown: manifest unknown$"),
    "no repository": (Answer("404 Not Found", b'{"errors":[{"code":"NAME_UNKNOWN","message":"not known"}]}'),
                      RegistryError, "^pull access denied for .*/bad, repository does not exist or may require"),
    "forbidden": (Answer("403 Forbidden", b""), RegistryError, "^pull access denied"),
    "unauthorized": (Answer("401 Unauthorized", b""), RegistryError, "unauthorized: authentication required"),
    "a scheme nobody knows": (Answer("401 Unauthorized", b"", {"WWW-Authenticate": 'Hawk realm="x"'}),
                              RegistryError, "unauthorized: authentication required"),
    "a realm that is none": (Answer("401 Unauthorized", b"", {"WWW-Authenticate": 'Bearer realm="file:///etc/passwd"'}),
                             RegistryError, "names no token server: its realm is 'file:///etc/passwd'"),
    "too many": (Answer("429 Too Many Requests", JSON_ERROR), RegistryError,
                 "toomanyrequests: You have reached your pull rate limit"),
    "too many, for long": (Answer("429 Too Many Requests", b"", {"Retry-After": "86400"}), RegistryError,
                           "toomanyrequests: 429 Too Many Requests; it wants to be asked again after 86400"),
    "broken": (Answer("500 Internal Server Error", HTML), RegistryError,
               "it answered 500 Internal Server Error, with an HTML page"),
    "a page": (Answer("200 OK", HTML, {"Content-Type": "text/html"}), RegistryError, "an HTML page for a manifest"),
    "no json": (Answer(body=b"{]"), RegistryError, "sent something that is no JSON for a manifest"),
    "deep json": (Answer(body=b"[" * 100_000), RegistryError, "something that is no JSON"),
    "a list": (Answer(body=b"[]"), RegistryError, "wrong manifest: it is no object"),
    "an old one": (Answer(body=b'{"schemaVersion": 1}'), RegistryError, "of schema version 1"),
    "both": (Answer(body=b'{"manifests": [], "layers": []}'), RegistryError, "an index and an image at once"),
    "of nothing": (Answer(body=b'{"manifests": []}'), NotFound, "^no matching manifest for linux/"),
    "endless": (Answer(body=b" " * (5 << 20)), RegistryError, "answered with more than 4 MiB"),
    "round and round": (Answer("302 Found", headers={"Location": "/v2/bad/manifests/1"}), RegistryError,
                        "stopped after 10 redirects"),
    "elsewhere": (Answer("302 Found", headers={"Location": "file:///etc/passwd"}), RegistryError,
                  "redirects to 'file:///etc/passwd'"),
    "nowhere": (Answer("302 Found", headers={"Location": "http://"}), RegistryError, "stopped after 10 redirects"),
    "no http": (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), RegistryError, "was cut"),
    "nothing at all": (Answer(raw=b""), RegistryError, "was cut"),
    "cut in the head": (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le"), RegistryError, "was cut|no JSON"),
    "cut in the body": (Answer(body=b'{"schemaVersion": 2, "config": {}}', cut=9), RegistryError, "was cut"),
    "a size that is none": (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"), RegistryError,
                            "a wrong manifest"),
    "another": (Answer(body=b"{}", headers={"Docker-Content-Digest": sha256(b"x")}), RegistryError,
                "sent a manifest that is"),
    "of a chart": (Answer(body=CHART), RegistryError, "it is of a application/x.helm, and no image to run"),
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERS)
def test_answers_for_a_manifest(home: Path, lab: Any, what: str) -> None:
    answer, kind, why = ANSWERS[what]
    with Bad(LAYERS, at("/manifests/", answer)) as bad:
        refused(lab, bad, kind, why)


def test_a_manifest_that_stalls(home: Path, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "patience", Patience(silence=0.3, between=0.01))
    with Bad(LAYERS, at("/manifests/", Answer(body=b"{}", cut=1, stall=True))) as bad:
        refused(lab, bad, RegistryError, "stalls: nothing came for a while")


def test_what_goes_away_by_itself(home: Path, lab: Any) -> None:
    """Temporary failures in every phase: the pull gets through."""
    passing = [
        Answer("503 Service Unavailable", b"", {"Retry-After": "0"}),
        Answer("429 Too Many Requests", b"", {"Retry-After": "1"}),
        Answer(raw=b""),
    ]

    def trick(request: Request, count: int) -> Answer | None:
        return passing[count - 1] if count <= len(passing) else None

    said: list[Event] = []
    with Bad(LAYERS, trick) as bad:
        found = lab.images.pull(bad.name, progress=said.append)
        assert found.diff_ids == [sha256(one) for one in LAYERS]
        assert "Retrying in 1 second" in [event.status for event in said]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_blob_that_is_cut_goes_on_where_it_was(home: Path, lab: Any, ranges: bool) -> None:
    def trick(request: Request, count: int) -> Answer | None:
        if sha256(LARGE) not in request.path or count > 3:
            return None
        answer = bad.right(request)
        answer.length, answer.cut = len(answer.body), len(answer.body) // 2
        return answer

    with Bad(LAYERS, trick, ranges=ranges) as bad:
        found = lab.images.pull(bad.name)
        assert Path(found.overlays()[0].lowers[0], "noise").stat().st_size == 3 << 20
        starts = [int(one.removeprefix("bytes=").rstrip("-")) for one in bad.ranges()]
        assert starts == sorted(starts)
        assert len(LARGE) // 3 < starts[0] <= len(LARGE) // 2


LIES = {
    "another content": (lambda blob: Answer(body=os.urandom(len(blob))), "instead of sha256:"),
    "less": (lambda blob: Answer(body=blob[:1000]), "was cut after 1000 of"),
    "more": (lambda blob: Answer(body=blob + b"more"), "sent more than the"),
    "a longer length": (lambda blob: Answer(body=blob[:1000], length=len(blob) * 2), "was cut"),
    "not there": (lambda blob: Answer("404 Not Found", b""), "a manifest of it, but not its blob sha256:"),
    "a page": (lambda blob: Answer(body=HTML), "was cut|instead of"),
    "another range": (lambda blob: Answer("206 Partial Content", blob[5:]), "'no range' when asked for bytes from"),
}  # fmt: skip


@pytest.mark.parametrize("what", LIES)
def test_lies_about_a_blob(home: Path, lab: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, why = LIES[what]

    def trick(request: Request, count: int) -> Answer | None:
        return make(LARGE) if sha256(LARGE) in request.path else None

    with Bad(LAYERS, trick) as bad:
        refused(lab, bad, NbcontainerError, why, kept=True)
    # What is kept is of use: an honest registry is asked for the rest, and lies are found out.
    with Bad(LAYERS, lambda request, count: None) as good:
        try:
            lab.images.pull(good.name)
        except NbcontainerError:
            lab.images.pull(good.name)
    assert not list(lab.home.images.glob("partial/*"))


def test_prune_gives_back_what_a_download_has_left(home: Path, lab: Any) -> None:
    answer = Answer(body=LARGE[: 1 << 20], length=len(LARGE), cut=1 << 20)
    with Bad(LAYERS, once(sha256(LARGE), answer, *[Answer("404 Not Found", b"")] * 9)) as bad:
        refused(lab, bad, RegistryError, "but not its blob", kept=True)
    assert len(left(lab)) == 2, "what was downloaded, whole or not, is kept for the next pull"
    (_, size) = lab.images.prune()
    assert size >= 1 << 20
    assert left(lab) == []


def test_a_blob_that_stalls_is_asked_for_again(home: Path, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "patience", Patience(silence=0.3, between=0.01))

    def trick(request: Request, count: int) -> Answer | None:
        if sha256(LARGE) not in request.path or count > 1:
            return None
        return Answer(body=LARGE, cut=1 << 20, stall=True)

    with Bad(LAYERS, trick) as bad:
        assert lab.images.pull(bad.name).tags == [bad.name]
        assert bad.ranges() == [f"bytes={1 << 20}-"]


def test_ctrl_c_while_it_stalls(home: Path, lab: Any) -> None:
    """It ends at once, and what has come is kept for the next time."""

    def trick(request: Request, count: int) -> Answer | None:
        if sha256(LARGE) not in request.path or count > 1:
            return None
        return Answer(body=LARGE, cut=1 << 20, stall=True)

    def pressed(event: Event) -> None:
        if event.status == "Downloading" and event.total == len(LARGE):
            raise KeyboardInterrupt

    with Bad(LAYERS, trick) as bad:
        with pytest.raises(KeyboardInterrupt):
            lab.images.pull(bad.name, progress=pressed)
        assert all(path.startswith("partial/") for path in left(lab))
        assert lab.images.pull(bad.name).tags == [bad.name]
        assert len(bad.ranges()) == 1
        assert left(lab)[0].startswith("blobs/")


@pytest.mark.parametrize(
    ("layers", "document", "why"),
    [
        ([b"no archive" * 100], None, "cannot be unpacked: not a tar archive"),
        ([gzip.compress(tree({"f": b"x" * 9000}))[:-30]], config([tree({"f": b"x" * 9000})]), "gzip data is"),
        ([tree({"f": b"x"})], config([tree({"f": b"y"})]), "it is not what its image says"),
        ([layer(entry("../f"))], None, 'leads out of the layer: "../f"'),
        ([tree({"f": b"x"})], config([]), "the manifest has 1 layers, its config 0"),
        ([tree({"f": b"x"})], b"no json", "config of the image is no JSON"),
        ([tree({"f": b"x"})], b'{"os": "windows", "rootfs": {"diff_ids": []}}', "the image is for windows"),
        ([tree({"f": b"x"})], b'{"rootfs": {"diff_ids": "x"}}', "rootfs.diff_ids is no list"),
    ],
)
def test_images_that_are_none(home: Path, lab: Any, layers: list[bytes], document: bytes | None, why: str) -> None:
    with Bad(layers, lambda request, count: None, document=document) as bad:
        refused(lab, bad, ImageError, why)


def test_an_index(home: Path, lab: Any) -> None:
    """The image for this machine is taken, and known by the index's digest; another one where it is asked for."""
    indexes: list[bytes] = []

    def trick(request: Request, count: int) -> Answer | None:
        if request.path.endswith("/manifests/1"):
            return Answer(body=indexes[0], headers={"Content-Type": manifest.OCI_INDEX})
        return None

    document = config(LAYERS).replace(b'"amd64"', json.dumps(architecture()).encode())
    with Bad(LAYERS, trick, document=document) as bad:
        entries = [
            {"digest": sha256(b"absent"), "size": 6, "platform": {"os": "linux", "architecture": "s390x"}},
            {"digest": sha256(bad.manifest), "size": len(bad.manifest),
             "platform": {"os": "linux", "architecture": architecture()}},
        ]  # fmt: skip
        indexes.append(json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
        found = lab.images.pull(bad.name)
        assert (found.tags, found.digests) == ([bad.name], [f"{bad.host}/bad@{sha256(indexes[0])}"])
        with pytest.raises(RegistryError, match=r"sent a manifest that is sha256:\w+, not sha256:"):
            lab.images.pull(bad.name, platform="linux/s390x")
        with pytest.raises(NotFound, match=r"^no matching manifest for linux/riscv64 in the manifest list entries"):
            lab.images.pull(bad.name, platform="linux/riscv64")
        assert lab.images.get(bad.name) is found


def test_zstd(home: Path, lab: Any) -> None:
    """Pulled, and pushed again as it came: under its own digest, in an OCI manifest."""
    plain = tree({"f": b"x" * 100_000})
    packed = zstandard.compress(plain)
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    with Bad([packed], lambda request, count: None, document=config([plain]), kind=kind) as bad:
        found = lab.images.pull(bad.name)
        assert Path(found.overlays()[0].lowers[0], "f").read_bytes() == b"x" * 100_000
        assert [path.name for path in lab.home.images.glob("blobs/sha256/*")] == [sha256(packed)[7:]]


def test_a_proxy(home: Path, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for names that this machine does not know, unless they are excepted."""
    (home / "daemon.json").write_text('{"insecure-registries": ["registry.invalid"]}')
    with Bad(LAYERS, lambda request, count: None) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://ada:s%65cret@{proxy.host}")
        assert lab.images.pull("registry.invalid/some/thing:1").tags == ["registry.invalid/some/thing:1"]
        assert proxy.asked[0].path == "registry.invalid:443", "over TLS first"
        assert any(one.path == "http://registry.invalid/v2/some/thing/manifests/1" for one in proxy.asked)
        assert all(one.headers["proxy-authorization"] == "Basic YWRhOnNlY3JldA==" for one in proxy.asked)
        monkeypatch.setenv("NO_PROXY", ".invalid")
        with pytest.raises(RegistryError, match=r"cannot reach registry\.invalid: no such host"):
            lab.images.pull("registry.invalid/some/thing:2")


def test_a_bomb(home: Path, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcontainer.image.content.BOMB_SIZE", 1 << 20)
    plain = tree({"zeros": bytes(32 << 20)})
    with Bad([gzip.compress(plain)], lambda request, count: None, document=config([plain])) as bad:
        refused(lab, bad, ImageError, "it is a decompression bomb: .* more than 200 times as many")


def test_another_mirror_takes_over(home: Path, lab: Any) -> None:
    """The first breaks off for good within a layer; the second has the rest of it."""

    def trick(request: Request, count: int) -> Answer | None:
        if sha256(LARGE) not in request.path:
            return None
        return Answer(body=LARGE, cut=1 << 20, length=len(LARGE)) if count == 1 else Answer("404 Not Found", b"")

    with Bad(LAYERS, trick) as first, Bad(LAYERS, lambda request, count: None) as second:
        mirrors = [f"http://{one.host}" for one in (first, second)]
        (home / "daemon.json").write_text(json.dumps({"registry-mirrors": mirrors}))
        assert lab.images.pull("some/thing").tags == ["some/thing:latest"]
        assert second.ranges() == [f"bytes={1 << 20}-"]
        assert all("authorization" not in request.headers for request in second.asked)


def test_credentials_stay_with_their_server(home: Path, lab: Any, tmp_path: Path) -> None:
    """A redirect to another server takes nothing along; a token server without TLS of one with TLS is refused."""
    with Bad(LAYERS, lambda request, count: None) as storage:

        def trick(request: Request, count: int) -> Answer | None:
            if "authorization" not in request.headers:
                return Answer("401 Unauthorized", b"", {"WWW-Authenticate": 'Basic realm="x"'})
            if "/blobs/" in request.path:
                return Answer("307 Temporary Redirect", b"", {"Location": f"http://{storage.host}{request.path}"})
            return None

        with Bad(LAYERS, trick) as bad:
            auths = {bad.host: {"auth": "YWRhOnNlY3JldA=="}}
            (tmp_path / "docker/config.json").write_text(json.dumps({"auths": auths}))
            assert lab.images.pull(bad.name).tags == [bad.name]
            assert storage.asked
            assert all("authorization" not in request.headers for request in storage.asked)


def test_kernels_that_pull_the_same_at_once(home: Path) -> None:
    """Each layer is downloaded once."""
    code = "import sys; from nbcontainer.runtime import Lab; lab = Lab(); print(lab.images.pull(sys.argv[1]).id)"
    with Bad(LAYERS, lambda request, count: None) as bad:
        command = [sys.executable, "-c", code, bad.name]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        said = {process.communicate(timeout=120)[0] for process in started}
        assert said == {f"{sha256(config(LAYERS))}\n"}
        blobs = [request.path for request in bad.asked if sha256(LARGE) in request.path]
        assert len(blobs) == 1
    assert not list(home.glob("images/partial/*"))


FULL = """
import sys
from pathlib import Path
from nbcontainer.errors import NbcontainerError
from nbcontainer.runtime import Lab
with Lab() as lab:
    for name in sys.argv[1:]:
        try:
            print(lab.images.pull(name).size)
        except NbcontainerError as error:
            print(error)
        print([str(p) for part in ("ingest/*", "layers/*/*", "partial/*") for p in lab.home.images.glob(part)])
"""


def test_a_full_disk(home: Path, tmp_path: Path) -> None:
    """Room for the download but not for its files too, for neither, and then for all."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system of its own")
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(9 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", disk], check=True)
    sizes = (5 << 20, 12 << 20, 1 << 20)
    images = [Bad([tree({"large": os.urandom(size)})], lambda request, count: None) for size in sizes]
    # In a mount namespace of its own: the machine never sees this disk.
    script = 'mount -o loop "$1" "$2" && chmod 711 "$2" && shift 2 && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", disk, home, sys.executable, "-c", FULL,
         *(one.name for one in images)],
        capture_output=True, text=True,
    )  # fmt: skip
    for one in images:
        one.close()
    lines = done.stdout.splitlines()
    assert len(lines) == 6, done.stderr
    for told in (lines[0], lines[2]):
        assert "no space left on device" in told
    assert lines[1] == lines[3] == "[]"
    assert lines[4] == str(1 << 20)
