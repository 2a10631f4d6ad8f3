"""The same Dockerfile, built by Docker and by us, is the same image."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.errors import DockerfileError
from tests.build.peers import fields, ours, theirs
from tests.peers import Docker

#: What Docker's classic builder does not do, or does otherwise, comes after the line of dashes.
FILES = """
FROM busybox AS one
RUN mkdir -m 711 /p && touch /p/f && chown 1:2 /p /p/f && chmod 600 /p/f; ln -s /p /to-p; ln -s ../../p/f /p/l
FROM busybox
RUN mkdir -p /ex/sub && chmod 711 /ex /ex/sub && mkdir /real && ln -s /real /link && ln -s real /rel && \\
    echo x > /old && ln -s /old /to-old && ln -s /nowhere/x /dangling
COPY d /new
COPY d /ex
COPY a /file/x/y
COPY a /dir/x/
COPY a /ex
COPY b /followed
COPY ? /wild/
COPY d/[f-h] d/s* /wild2/
COPY --chown=3:4 a /owned
COPY --chown=5 a /owned5
COPY a /link/a
COPY d /rel/d
COPY a /to-old
COPY a /dangling/
COPY a /new/g
COPY d/sub /x/y/z/
COPY --from=one /p /q
COPY --from=one /to-p/f /p/l /r/
COPY --from=busybox /bin/busybox /bb
ADD plain.tar /t1/
ADD packed.tar.gz a /t2/
WORKDIR /w/x
COPY a .
COPY ["d", "./q r/"]
WORKDIR ../y
ADD a z
RUN rm /bin/vi; mkdir /bin/vi; rm -r /tmp && mkdir /tmp && chmod 1777 /tmp; touch /s && chmod 4755 /s
RUN mkfifo /f; ln /s /h
RUN ["/bin/sh", "-c", "echo $0 > /exec"]
---
COPY --chown=3:4 d /made/by/owner
COPY --chmod=751 a /moded
COPY ../../a /clean
RUN --mount=type=tmpfs,target=/mnt/tmp --mount=type=cache,target=/mnt/cache --mount=target=/mnt/ctx cp /mnt/ctx/a /mnt/a
RUN --mount=from=one,source=/p,target=/one cat /one/f > /from-mount
USER 7
WORKDIR /users/own
"""

CONFIG = r"""
ARG TAG=latest
FROM busybox:$TAG
ARG A=1
ARG B=${A}2
ARG G
ENV E1=$A E2="two words" E3=a\ b E4='$A' E5=${A:+set} E6=${NOPE:-d}
ENV OLD style  "with" blanks
ENV E1=${E1}x E7=$E1 E8=\$E1
LABEL l=1 "m n"="o p" q=$E1
LABEL old style label
MAINTAINER Me <me@example.com>
EXPOSE 80 53/udp 8000-8002 $B
VOLUME /v1 /v2
VOLUME ["/v 3"]
USER 1:2
STOPSIGNAL SIGINT
HEALTHCHECK --interval=1m --timeout=3s --retries=2 CMD test -e /x
SHELL ["/bin/sh", "-e", "-c"]
ENTRYPOINT exec "$0"
CMD ["a", "b c"]
ONBUILD RUN echo $A
ONBUILD COPY . /c
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    (place / "d/sub").mkdir(parents=True)
    for name, text, mode in (("a", "a", 0o640), ("d/g", "g", 0o755), ("d/sub/f", "f", 0o600)):
        (place / name).write_text(text)
        (place / name).chmod(mode)
    (place / "d").chmod(0o750)
    (place / "d/sub").chmod(0o700)
    (place / "b").symlink_to("a")
    (place / "d/abs").symlink_to("/etc/passwd")
    for name, how in (("plain.tar", "w"), ("packed.tar.gz", "w:gz")):
        with tarfile.open(place / name, how) as tar:
            tar.addfile(_entry("dir", type=tarfile.DIRTYPE, mode=0o711, uid=3, gid=3))
            tar.addfile(_entry("dir/f", mode=0o604, uid=4, size=1), io.BytesIO(b"1"))
            tar.addfile(_entry("l", type=tarfile.SYMTYPE, linkname="dir/f"))
            tar.addfile(_entry("h", type=tarfile.LNKTYPE, linkname="dir/f", mode=0o604, uid=4))
    return place


def _entry(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def build(dockerd: Docker, place: Path, kit: bool, *options: str) -> None:
    """Build the directory with Docker's classic builder, or with BuildKit."""
    environment = {**os.environ, "DOCKER_BUILDKIT": str(int(kit)), "HOME": str(dockerd.directory)}
    command = dockerd.argv("build", "--quiet", "--tag", "built", *options, str(place))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def base(dockerd: Docker, lab: Any, tmp_path: Path) -> None:
    """Docker's busybox, here too."""
    archive = tmp_path / "busybox.tar"
    dockerd.docker("save", "--output", str(archive), "busybox")
    lab.images.load(archive)


@pytest.mark.usefixtures("home", "base")
@pytest.mark.parametrize("kit", [False, True])
def test_files(dockerd: Docker, lab: Any, context: Path, tmp_path: Path, kit: bool) -> None:
    text = FILES.replace("---\n", "") if kit else FILES.partition("---\n")[0]
    (context / "Dockerfile").write_text(text)
    build(dockerd, context, kit)
    expected = theirs(dockerd, "built")
    found = ours(lab, lab.builder.build(context), tmp_path / "export.tar")
    assert {name: (expected.get(name), what) for name, what in found.items() if what != expected.get(name)} == {}
    # The mount points that this BuildKit leaves behind; later ones do not.
    assert expected.keys() - {"mnt/tmp", "mnt/cache", "mnt/ctx", "one"} == found.keys()
    assert len(found) > 340


@pytest.mark.usefixtures("home", "base")
@pytest.mark.parametrize("kit", [False, True])
def test_config(dockerd: Docker, lab: Any, context: Path, kit: bool) -> None:
    (context / "Dockerfile").write_text(CONFIG)
    build(dockerd, context, kit, "--build-arg", "G=g", "--label", "x=y")
    theirs = json.loads(dockerd.docker("image", "inspect", "built"))[0]
    ours = lab.builder.build(context, build_arg=["G=g"], label=["x=y"]).inspect()
    assert fields(ours["Config"]) == fields(theirs["Config"])
    assert ours["Author"] == theirs["Author"]


@pytest.mark.usefixtures("home", "base")
def test_docker_runs_what_we_built(dockerd: Docker, lab: Any, context: Path, tmp_path: Path) -> None:
    lab.builder.build(
        context,
        dockerfile="FROM busybox\nCOPY a /a\nRUN rm -r /root; echo b >> /a\nENV X=1\nCMD cat /a; echo $X; ls /root\n",
        tag="ours:v1",
    )
    archive = tmp_path / "ours.tar"
    lab.images.save(["ours:v1"], archive)
    assert "Loaded image: ours:v1" in dockerd.docker("load", "--input", str(archive))
    done = dockerd.run("run", "--rm", "--network", "none", "ours:v1", check=False)
    assert done.stdout.decode() == "ab\n1\n"
    assert b"No such file" in done.stderr


@pytest.mark.usefixtures("home", "base")
@pytest.mark.parametrize(
    "text",
    [
        "FROM busybox\nRUNN x\n",
        "FROM busybox\nCOPY x\n",
        "FROM busybox\nCOPY --form=x y z\n",
        "FROM busybox\nENV A=1 B\n",
        "FROM busybox AS 1x\n",
        "FROM busybox\nHEALTHCHECK CDM x\n",
        "FROM busybox\nONBUILD ONBUILD RUN x\n",
        "FROM busybox\nEXPOSE x\n",
        "FROM busybox\nSHELL x\n",
        "FROM busybox\nENV A=${B:!x}\n",
        'FROM busybox\nLABEL "a=b\n',
        "RUN x\n",
        "# only a comment\n",
        "FROM busybox\nCOPY nothing /x\n",
        "FROM busybox\nSTOPSIGNAL SIGNOPE\n",
        "# escape=x\nFROM busybox\n",
    ],
)
def test_what_docker_refuses_we_refuse(dockerd: Docker, lab: Any, context: Path, text: str) -> None:
    (context / "Dockerfile").write_text(text)
    with pytest.raises(AssertionError):
        build(dockerd, context, True)
    with pytest.raises(DockerfileError, match=r"^Dockerfile:\d+: [^\n]+$"):
        lab.builder.build(context)
