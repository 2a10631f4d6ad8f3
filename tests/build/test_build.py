"""Builds, as a user sees them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from nbcontainer.container import spec
from nbcontainer.errors import DockerfileError, InvalidArgument, InvalidReference, NotFound


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_progress_repeats_to_the_letter(build: Any) -> None:
    build.write("a", "content\n")
    text = "FROM busybox AS base\nRUN echo one; echo two >&2\nFROM base\nCOPY a /b\nENV X=1\nCMD cat /b\n"
    image = build(text, tag="progress")
    assert build.text == (
        "#1 [base 1/2] FROM busybox AS base\n#1 DONE\n\n"
        "#2 [base 2/2] RUN echo one; echo two >&2\n#2 one\n#2 two\n#2 DONE\n\n"
        "#3 [stage-1 1/2] FROM base\n#3 DONE\n\n"
        "#4 [stage-1 2/2] COPY a /b\n#4 DONE\n\n"
        "#5 exporting to image\n#5 naming to progress:latest\n#5 DONE"
    )
    assert image.tags == ["progress:latest"]
    assert build.lab.containers.run(image, network="none").logs() == "content\n"
    assert [step["created_by"] for step in image.history][-4:] == [
        "RUN /bin/sh -c echo one; echo two >&2",
        "COPY a /b",
        "ENV X=1",
        'CMD ["/bin/sh" "-c" "cat /b"]',
    ]


def test_variables(build: Any) -> None:
    image = build(
        "ARG BASE=busybox\nARG GLOBAL=g\nFROM $BASE\n"
        "ARG GLOBAL\nARG A=1\nARG B=${A}2\nARG C\nENV A=env D=${B:-x}${C:-none}\n"
        "RUN echo $A $B ${C-unset} $D $GLOBAL\n"
        "LABEL l=\"$A-$GLOBAL\" m='$A'\n"
        "ARG A=later\nRUN echo $A\nUSER ${NOBODY:-0}\nWORKDIR /w/$B\nEXPOSE ${P:-80 81}\n",
        build_arg={"C": "c"},
    )
    assert "#2 env 12 c 12c g\n" in build.text
    assert "\n#3 env\n" in build.text
    assert image.config["Labels"] == {"l": "env-g", "m": "$A"}
    assert image.config["WorkingDir"] == "/w/12"
    assert image.config["ExposedPorts"] == {"80/tcp": {}, "81/tcp": {}}
    assert "A=env" in image.config["Env"]


def test_arguments_are_in_scope_where_the_reference_says(build: Any) -> None:
    build(
        "FROM busybox AS one\nRUN echo 1=$X\nARG X=x\nRUN echo 2=$X\nFROM one\nRUN echo 3=$X\n"
        "FROM busybox\nRUN echo 4=$X\n"
        "ARG TARGETPLATFORM\nARG TARGETARCH\nRUN echo 5=$TARGETPLATFORM=$TARGETARCH; echo 6=$HTTP_PROXY\n"
        "COPY --from=0 /etc/passwd /a\nCOPY --from=1 /etc/passwd /b\n",
        build_arg={"HTTP_PROXY": "http://proxy", "UNUSED": "1"},
    )
    lines = build.text.splitlines()
    arch = build.lab.images.get("busybox").architecture
    printed = [line.partition(" ")[2] for line in lines if line.partition(" ")[2][1:2] == "="]
    assert printed == ["1=", "2=x", "3=x", "4=", f"5=linux/{arch}={arch}", "6=http://proxy"]
    assert "WARNING: one or more build-args ['UNUSED'] were not consumed" in lines


def test_run_forms(build: Any) -> None:
    image = build(
        'FROM busybox\nRUN ["echo", "$HOME exec"]\nSHELL ["/bin/sh", "-ec"]\nRUN false || echo shell\n'
        "RUN <<EOF\necho here $((1+1))\nEOF\n"
        "RUN <<-'END' cat > /file\n\ttext $X\n\tEND\n"
        "RUN <<EOF\n#!/bin/sh\necho a $(basename $0 | sed s,EOF,script,)\nEOF\n"
    )
    for line in ("$HOME exec", "shell", "here 2", "a script"):
        assert any(text.endswith(f" {line}") for text in build.text.splitlines()), line
    assert (
        build.said(image, "cat /file; ls /dev/pipes 2>&1; true")
        == "text $X\nls: /dev/pipes: No such file or directory\n"
    )


def test_heredocs_are_copied(build: Any) -> None:
    image = build(
        "FROM busybox\nENV WHO=me\nCOPY <<EOF <<'RAW' /d/\nhello $WHO \"quoted\"\nEOF\nraw $WHO\nRAW\n"
        "COPY --chmod=755 <<-EOF /s\n\t#!/bin/sh\n\techo script\nEOF\nRUN /s\n"
    )
    assert build.said(image, "cat /d/EOF /d/RAW; stat -c %a /d/EOF") == 'hello me "quoted"\nraw $WHO\n644\n'
    assert "#4 script" in build.text


def test_the_context_less_what_is_ignored(build: Any) -> None:
    for name in ("a.txt", "b.md", "keep.md", "d/x.txt", "d/e/y.md", "secret/key"):
        build.write(name, name)
    build.write(".dockerignore", "*.md\n!keep.md\n**/y*\nsecret\n.dockerignore\n")
    image = build("FROM busybox\nCOPY . /c/\n")
    assert build.said(image, "cd /c; find . -type f | sort").split() == ["./a.txt", "./d/x.txt", "./keep.md"]
    with pytest.raises(DockerfileError) as caught:
        build("FROM busybox\nCOPY b.md /x\n")
    assert str(caught.value) == ('Dockerfile:2: "b.md": not found in the build context, or excluded by .dockerignore')


def test_copy_parents_and_exclude(build: Any) -> None:
    for name in ("x/a.txt", "x/y/b.txt", "x/y/c.md", "z/d.txt"):
        build.write(name, name)
    image = build(
        "FROM busybox\nCOPY --parents x/a.txt z /p/\nCOPY --parents x/./y/*.txt /q/\nCOPY --parents **/*.md /r/\n"
        "COPY --exclude=*.md --exclude=a* x /s/\nCOPY --exclude=**/*.txt x z /t/\n"
    )
    found = build.said(image, "cd /; find p q r s t -type f | sort").split()
    assert found == ["p/x/a.txt", "p/z/d.txt", "q/y/b.txt", "r/x/y/c.md", "s/y/b.txt", "s/y/c.md", "t/y/c.md"]


def test_add_unpacks_what_is_an_archive(build: Any) -> None:
    plain = archive(f="inside")
    build.write("plain", plain)
    build.write("a.gz", gzip.compress(plain))
    build.write("b.xz", lzma.compress(plain))
    build.write("c.bz2", bz2.compress(plain))
    build.write("d.zst", zstandard.compress(plain))
    build.write("text.gz", gzip.compress(b"no archive"))
    build.write("not.tar", "nor this")
    image = build(
        "FROM busybox\nADD plain /1\nADD a.gz /2/\nADD b.xz /3\nADD text.gz not.tar /4/\nADD c.bz2 /6/\nADD d.zst /7/\n"
        "ADD --unpack=false plain /5/x\n"
    )
    assert build.said(image, "cat /1/f /2/f /3/f /6/f /7/f; ls /4; ls /5") == 5 * "inside" + "not.tar\ntext.gz\nx\n"


def test_stages(build: Any) -> None:
    text = (
        "FROM busybox AS unused\nRUN exit 1\n"
        "FROM busybox AS Tools\nRUN mkdir /t && echo tool > /t/tool\n"
        "FROM scratch AS files\nCOPY --from=tools /t /files\nCOPY --from=busybox /bin/busybox /bin/sh\n"
        "FROM busybox AS last\nRUN false\n"
    )
    image = build(text, target="files")
    assert "unused" not in build.text
    assert build.said(image, "echo /files/*; . /files/tool", check=False).startswith("/files/tool\n")
    assert build.lab.builder.build(build.context, dockerfile=text, target="2").diff_ids == image.diff_ids
    with pytest.raises(NotFound, match=r"target stage toolz could not be found in Dockerfile \(did you mean tools\?\)"):
        build(text, target="toolz")


def test_from_scratch_and_from_host_need_nothing_else(build: Any) -> None:
    build.write("a", "a")
    image = build('FROM scratch\nCOPY a /\nCMD ["/a"]\n')
    assert image.config == {"Cmd": ["/a"], "Env": [spec.PATH]}
    assert len(image.diff_ids) == 1
    image = build(
        "FROM host\nCOPY a /srv/\nRUN echo b > /srv/b && rmdir /mnt\n",
        tag="onhost",
    )
    run = build.lab.containers.run("onhost", ["sh", "-c", "cat /srv/a /srv/b; ls -d /mnt 2>&-; ls /usr/bin/env"])
    assert run.logs() == "ab\n/usr/bin/env\n"
    again = build("FROM onhost\nRUN cat /srv/b\n")
    assert "#2 b" in build.text
    assert again.diff_ids == image.diff_ids


def test_mounts(build: Any) -> None:
    build.write("src/f", "source")
    text = (
        "FROM busybox AS tools\nRUN mkdir /t && echo tool > /t/tool && ln -s /t/tool /link && ln -s /etc/shadow /bad\n"
        "FROM busybox\n"
        "RUN --mount=type=cache,target=/cache,id=test-mounts echo x >> /cache/f; wc -l < /cache/f\n"
        "RUN --mount=type=tmpfs,target=/scratch,size=1m touch /scratch/f; df /scratch | tail -1 | awk '{print $2}'\n"
        "RUN --mount=target=/c --mount=from=tools,source=/t,target=/t cat /c/src/f /t/tool; touch /c/no 2>&1 | wc -l\n"
        "RUN --mount=source=src,target=/c,rw touch /c/new && ls /c\n"
        "RUN --mount=from=tools,source=link,target=/l cat /l\n"
    )
    image = build(text)
    lines = build.text.splitlines()
    for line in ("#4 1", "#5 1024", "#6 sourcetool", "#6 1", "#7 new", "#8 tool"):
        assert line in lines, line
    assert build.said(image, "ls -d /cache /scratch /c /t /l 2>&1 | grep -vc such", check=False) == "0\n"
    build(text.replace("wc -l", "cat /cache/f | wc -l"))
    assert "#4 2" in build.text
    build.lab.builder.prune()
    build(text.replace("wc -l", "cat /cache/f | wc -l"))
    assert "#4 1" in build.text


def test_secrets_are_in_no_layer_and_in_no_key(build: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("open sesame")
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=s --mount=type=secret,id=t,env=T,required=true"
        " test $(wc -c < /run/secrets/s) = 11 && stat -c '%a %u' /run/secrets/s && echo $T && touch /done\n"
    )
    image = build(text, secret=[f"id=s,src={tmp_path / 'file'}", "id=t,env=HOME"])
    assert "#2 400 0" in build.text
    assert build.said(image, "ls /run/secrets 2>&1; ls /done; echo $T") == (
        "ls: /run/secrets: No such file or directory\n/done\n\n"
    )
    build("FROM busybox\nRUN --mount=type=secret,id=s echo; cat /run/secrets/s\n", secret={"s": "open sesame"})
    assert "#2 ***" in build.text.splitlines()
    blobs = b"".join(path.read_bytes() for path in (build.lab.home.images / "blobs/sha256").iterdir())
    assert b"open sesame" not in blobs
    assert "open sesame" not in json.dumps(image.document)
    build(text, secret={"s": "another", "t": "x"})
    assert build.cached
    with pytest.raises(DockerfileError, match="secret t: not found: give it with --secret id=t,src=FILE"):
        build(text + " #", no_cache=True, secret={"s": "open sesame"})


def test_onbuild(build: Any) -> None:
    build.write("a", "a")
    base = build('FROM busybox\nONBUILD COPY a /a\nONBUILD RUN ["cat", "/a"]\nONBUILD ENV X=1\n', tag="onbuild")
    assert base.config["OnBuild"] == ["COPY a /a", 'RUN ["cat", "/a"]', "ENV X=1"]
    image = build("FROM onbuild\nRUN echo $X\n")
    assert "[2/4] COPY a /a" in build.text
    assert "#3 a" in build.text.splitlines()
    assert "#4 1" in build.text
    assert "OnBuild" not in image.config
    (build.context / "a").unlink()
    with pytest.raises(DockerfileError) as caught:
        build("\nFROM onbuild\n")
    assert str(caught.value).startswith("Dockerfile:2: ")


def test_a_command_that_fails(build: Any) -> None:
    with pytest.raises(DockerfileError) as caught:
        build("FROM busybox\n\nRUN echo before; \\\n    exit 3\nRUN echo never\n")
    assert str(caught.value) == (
        'Dockerfile:3: process "/bin/sh -c echo before;     exit 3" did not complete successfully: exit code: 3'
    )
    assert caught.value.exit_code == 3
    assert "   3 | >>> RUN echo before; \\\n   4 | >>>     exit 3\n" in caught.value.excerpt
    assert "#2 before\n#2 ERROR: process" in build.text
    assert build.lab.containers.list(all=True) == []
    assert not list(build.lab.containers.directory.iterdir())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("COPY nothing /x", '"nothing": not found in the build context'),
        ("COPY a b", '"a": not found'),
        ("COPY f f /x", "the destination must be a directory and end with a /"),
        ("COPY f /bin", None),
        ("COPY f /etc/passwd/x", "cannot copy to non-directory: /etc/passwd"),
        ("COPY d /etc/passwd", "cannot copy to non-directory: /etc/passwd"),
        ("COPY bin /", "cannot replace to directory /bin with file"),
        ("COPY --from=nosuch:image /x /y", "nosuch:image"),
        ("COPY --from=0 /x /y", None),
        ("COPY --chown=nobody9 f /x", "can't find uid for user nobody9"),
        ("COPY --chmod=999 f /x", "invalid chmod parameter: '999'"),
        ("COPY --from=busybox <<E /x\nE", "COPY --from cannot take a here-document"),
        ("COPY dang* /x/", '"dang*": not found'),
        ("COPY none* /x/\nRUN ! test -e /x", None),
        ("COPY [z-a] /x", "syntax error in pattern"),
        ("ADD https://x.invalid/y.git /x", "git repositories are not supported"),
        ("ADD --checksum=sha256:00 f /x", "checksum can't be specified"),
        ("RUN --mount=from=busybox,source=/none,target=/x true", '"/none": not found'),
        ("RUN --mount=type=secret,id=s,required true", "secret s: not found"),
        ("RUN --mount=type=ssh,required true", "no SSH agent is forwarded"),
        ("RUN --security=insecure true", "--security=insecure is not allowed"),
        ('RUN ["/nothing"]', "no such file or directory"),
        ("RUN --network=host ip link show docker0 >/dev/null 2>&1; true", None),
        ("STOPSIGNAL SIGNOPE", "Invalid signal: SIGNOPE"),
        ("EXPOSE $UNSET ${X:-http}", "invalid containerPort: http"),
        ("WORKDIR /etc/passwd/x", "cannot copy to non-directory: /etc/passwd"),
        ('ENV A="${B?must be set}"', "B: must be set"),
        ("USER nobody9\nRUN true", "unable to find user nobody9"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(build: Any, line: str, why: str | None) -> None:
    build.write("f", "f")
    build.write("d/x", "x")
    (build.context / "dangling").symlink_to("nothing")
    build.write("bin", "a file")
    text = f"FROM busybox\n{line}\n"
    if line.startswith("COPY bin"):
        text = "FROM busybox\nCOPY d /y/bin/\nCOPY bin /y/bin\n"
        why = None  # a file goes into a directory
    if line.startswith("COPY --from=0"):
        why = "nothing"
        text = text.replace("/x /y", "/nothing /y")
        text = f"FROM busybox AS first\nFROM busybox\n{text.splitlines()[1]}\n"
    if why is None:
        build(text)
        return
    with pytest.raises(DockerfileError) as caught:
        build(text)
    assert why in str(caught.value)
    assert str(caught.value).startswith("Dockerfile:")
    assert "\n" not in str(caught.value)
    assert build.lab.containers.list(all=True) == []


def test_options_that_are_wrong(build: Any) -> None:
    with pytest.raises(NotFound, match=r'unable to prepare context: path ".*/nowhere" not found'):
        build("FROM scratch", context=build.context / "nowhere")
    with pytest.raises(NotFound, match="failed to read dockerfile: open Dockerfile: no such file or directory"):
        build.lab.builder.build(build.context)
    with pytest.raises(InvalidReference):
        build("FROM scratch", tag="UPPER")
    with pytest.raises(InvalidArgument, match='"a/b/c/d" is an invalid platform'):
        build("FROM scratch", platform="a/b/c/d")
    with pytest.raises(InvalidArgument, match="there is no option squash to build"):
        build("FROM scratch", squash=True)
    with pytest.raises(DockerfileError, match="there is no build context"):
        build("FROM scratch\nCOPY a /", context=None)


def test_platforms(build: Any) -> None:
    build.write("a", "a")
    image = build("FROM --platform=linux/arm64 scratch\nCOPY a /\n")
    assert (image.os, image.architecture) == ("linux", "arm64")
    with pytest.raises(DockerfileError, match=r"its platform \(linux/\w+\) does not match the specified platform"):
        build("FROM --platform=linux/s390x host\n")


def test_dockerfiles_by_name(build: Any) -> None:
    build.write("Dockerfile", "FROM busybox\nRUN echo default\n")
    build.write("other/my.Dockerfile", "FROM busybox\nCOPY . /c\nRUN ls /c\n")
    build.write("other/my.Dockerfile.dockerignore", "D*\n")
    build(None)
    assert "#2 default" in build.text
    build(None, file="other/my.Dockerfile")
    assert "#3 other" in build.text
    assert "#3 Dockerfile" not in build.text


def test_limits_of_run(build: Any) -> None:
    try:
        build.lab.cgroups.check(build.lab.containers.limits(_options(memory=64 << 20)))
    except Exception as error:
        pytest.skip(str(error))
    with pytest.raises(DockerfileError, match="exit code: 137") as caught:
        build("FROM busybox\nRUN cat /dev/zero | head -c 200m | tail\n", memory="32m", memory_swap="32m")
    assert "limit 32 MiB" in str(caught.value) or "killed" in str(caught.value)


def _options(**raw: Any) -> Any:
    from nbcontainer.container.options import RunOptions

    return RunOptions.parse("busybox", **raw)


def test_links_of_the_context_and_of_stages_lead_nowhere_outside(build: Any, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    build.write("d/f", "f")
    for name, target in {
        "l1": "../outside",
        "l2": str(tmp_path / "outside"),
        "l3": "/etc/passwd",
        "d/up": "..",
    }.items():
        (build.context / name).symlink_to(target)
    for name in ("l1", "l2", "l3"):
        with pytest.raises(DockerfileError, match=f'"{name}": not found'):
            build(f"FROM scratch\nCOPY {name} /x\n")
    image = build("FROM busybox\nCOPY d/up/d/f /x\nCOPY . /c\n")
    assert build.said(image, "cat /x; readlink /c/l2").startswith(f"f{tmp_path}")
    stage = (
        "FROM busybox AS s\nRUN ln -s ../../../../../../etc/hostname-of-machine /l; ln -s /proc/1/root/etc /p;"
        " ln -s /etc/passwd /ok\nFROM busybox\n"
    )
    machine = Path("/etc/hostname").read_text() if Path("/etc/hostname").exists() else "none"
    with pytest.raises(DockerfileError, match='"/l": not found'):
        build(f"{stage}COPY --from=s /l /x\n")
    with pytest.raises(DockerfileError, match='"/p/hostname": not found'):
        build(f"{stage}COPY --from=s /p/hostname /x\n")
    image = build(f"{stage}COPY --from=s /ok /x\nRUN --mount=from=s,source=/ok,target=/m cmp /m /x\n")
    assert machine not in build.said(image, "cat /x")


def test_a_target_behind_the_images_links_is_in_the_image(build: Any, tmp_path: Path) -> None:
    build.write("f", "f")
    build.write("d/g", "g")
    name = f"nbcontainer-escape-{os.getpid()}"
    image = build(
        f"FROM busybox\nRUN ln -s /tmp/{name} /l; ln -s ../../../../tmp/{name}-up /up; ln -s / /r\n"
        "COPY f /l/\nCOPY d /up/\nCOPY f /r/r/r/here\nWORKDIR /up/w\n"
    )
    assert build.said(image, f"cat /tmp/{name}/f /tmp/{name}-up/g /here; ls -d /tmp/{name}-up/w") == (
        f"fgf/tmp/{name}-up/w\n"
    )
    assert not Path(f"/tmp/{name}").exists()
    assert not Path(f"/tmp/{name}-up").exists()


def test_an_archive_that_climbs(build: Any) -> None:
    build.write("a.tar", archive(**{"../../../../../tmp/climbed": "x"}))
    with pytest.raises(DockerfileError, match="an entry leads out of the layer"):
        build("FROM busybox\nADD a.tar /x/\n")
    build.write("b.tar", archive(**{".wh.passwd": ""}))
    with pytest.raises(DockerfileError, match=r"names that begin with \.wh\."):
        build("FROM busybox\nADD b.tar /etc/\n")


def test_an_end_at_any_moment_leaves_nothing(build: Any) -> None:
    build.write("f", "f")
    text = (
        "FROM busybox AS s\nCOPY f /c/\nRUN --mount=type=secret,id=x --mount=target=/k cat /run/secrets/x; echo >> /z\n"
        "FROM busybox\nCOPY --from=s /z /c /\nRUN --mount=from=s,target=/s ls /s/c\nWORKDIR /q\n"
    )
    build(text, secret={"x": "12345"})
    lab, moments = build.lab, len(build.events)
    assert moments > 15

    for moment in range(moments):
        seen: list[Any] = []

        def end(event: Any, seen: list[Any] = seen, moment: int = moment) -> None:
            seen.append(event)
            if len(seen) > moment:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            lab.builder.build(build.context, dockerfile=text, no_cache=True, secret={"x": "12345"}, progress=end)
        assert os.listdir(lab.containers.directory) == []
        assert [name for name in os.listdir(lab.directory) if name.startswith("build-")] == []
        assert lab.call(os.listdir, "/run/nbcontainer/build") == []
        assert list((lab.home.images / "ingest").iterdir()) == []
