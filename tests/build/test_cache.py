"""What is done again, and what is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.runtime import Lab

TEXT = "FROM busybox\nCOPY a d /c/\nRUN cat /c/a; date +%N > /now\nENV X=1\nCOPY --chmod=600 b /b\n"


@pytest.fixture
def context(build: Any) -> Any:
    build.write("a", "a\n")
    build.write("b", "b\n")
    build.write("d/e", "e\n")
    return build


def test_the_same_again_is_the_same_image(context: Any) -> None:
    first = context(TEXT)
    assert context.cached == []
    second = context(TEXT)
    assert context.cached == ["COPY a d /c/", "RUN cat /c/a; date +%N > /now", "COPY --chmod=600 b /b"]
    assert "#3 CACHED" in context.text
    assert second.id == first.id
    third = context(TEXT, no_cache=True)
    assert context.cached == []
    assert third.diff_ids != first.diff_ids


@pytest.mark.parametrize(
    ("change", "cached"),
    [
        (lambda place: os.utime(place / "a", (1, 1)), 3),
        (lambda place: (place / "a").write_text("A\n"), 0),
        (lambda place: (place / "a").chmod(0o600), 0),
        (lambda place: (place / "d/new").write_text(""), 0),
        (lambda place: (place / "d/e").rename(place / "d/f"), 0),
        (lambda place: (place / "b").write_text("B\n"), 2),
        (lambda place: (place / "other").write_text("B\n"), 3),
    ],
)
def test_what_counts_is_content_and_mode(context: Any, change: Any, cached: int) -> None:
    context(TEXT)
    change(context.context)
    context(TEXT)
    assert len(context.cached) == cached


def test_what_counts_for_run(build: Any) -> None:
    def cached(text: str, **options: Any) -> bool:
        build(f"FROM busybox\n{text}\n", **options)
        return len(build.cached) == 1

    assert not cached("RUN true")
    assert cached("LABEL a=b\nEXPOSE 1\nCMD x\nRUN true")
    assert not cached("ENV A=1\nRUN true")
    assert not cached("ARG A=2\nRUN true")
    assert cached("ARG A\nRUN true", build_arg={"A": "2"})
    assert not cached("USER root\nRUN true")
    assert not cached("RUN --network=none true")
    assert not cached("RUN --mount=type=tmpfs,target=/x true")
    assert cached("RUN true", build_arg={"http_proxy": "x"})
    assert not cached('SHELL ["sh", "-c"]\nRUN true')
    assert cached('RUN ["/bin/sh", "-c", "true"]')


def test_a_later_process_prints_what_was_printed_then(context: Any) -> None:
    first = context(TEXT)
    printed = context.text
    with Lab() as other:
        lines: list[str] = []
        from nbcontainer.build.progress import PlainProgress

        image = other.builder.build(context.context, dockerfile=TEXT, progress=PlainProgress(lines.append))
        assert image.id == first.id
        assert "\n".join(lines) == printed
        lines.clear()
        other.builder.done.clear()
        other.builder.build(context.context, dockerfile=TEXT, progress=PlainProgress(lines.append), replay=False)
        assert lines.count("#3 CACHED") == 1


def test_a_build_counts_for_no_container(lab: Any, busybox: Any, build: Any) -> None:
    text = f"FROM busybox\nRUN echo {os.getpid()}\n"
    build(text, no_cache=True)
    container = lab.containers.run("busybox", ["true"])
    sleeping = lab.containers.run("busybox", ["sh", "-c", "sleep 100"], detach=True)
    with Lab() as other:
        assert other.containers.run("busybox", ["true"]).id == container.id
        again = other.containers.run("busybox", ["sh", "-c", "sleep 100"], detach=True)
        assert again.state.pid == sleeping.state.pid
        assert again.endpoint.to_json() == sleeping.endpoint.to_json()
    assert [event.action for event in lab.containers.events if event.attributes["name"].startswith("step_")] == []


def test_layers_of_steps_stay_until_pruned(home: Path, context: Any) -> None:
    image = context(TEXT, tag="x")
    context.lab.images.remove("x")
    again = context(TEXT, tag="x")
    assert len(context.cached) == 3
    assert again.id == image.id
    context.lab.images.remove("x")
    steps, size = context.lab.builder.prune()
    assert steps >= 3
    assert size > 0
    context(TEXT, tag="x")
    assert context.cached == []


def test_the_time_of_an_image_can_be_given(build: Any) -> None:
    text = "FROM scratch\nCOPY f /\nCOPY <<EOF /g\nx\nEOF\n"
    build.write("f", "f")
    options = {"build_arg": {"SOURCE_DATE_EPOCH": "1000000000"}, "no_cache": True}
    first = build(text, **options)
    assert first.created == "2001-09-09T01:46:40Z"
    os.utime(build.context / "f", (2_000_000_000, 2_000_000_000))
    assert build(text, **options).id == first.id


def test_the_store_is_whole_after_a_build(home: Path, context: Any) -> None:
    context(TEXT + "RUN rm -r /c && mkdir /c && ln /b /c/link\n")
    report = context.lab.images.fsck()
    assert [str(problem) for problem in report.problems] == []
    assert report.layers >= 4
    context.lab.images.prune()
    context(TEXT)
    assert len(context.cached) == 3


def test_without_overlayfs_too(context: Any) -> None:
    context.lab.containers._driver = "copy"
    image = context(
        TEXT + "FROM busybox\nCOPY --from=0 /c /d\nRUN --mount=from=0,source=/c/a,target=/m --mount=target=/n "
        "rm /bin/vi && cat /m /n/b > /x\nWORKDIR /w\n"
    )
    assert context.said(image, "cat /d/a /x; ls /bin/vi /c 2>&1 | wc -l; pwd") == "a\na\nb\n2\n/w\n"
    again = context.lab.builder.build(context.context, dockerfile="FROM busybox\nCOPY a /\n")
    assert len(again.diff_ids) == len(context.lab.images.get("busybox").diff_ids) + 1
