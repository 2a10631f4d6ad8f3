"""A tree lets nobody out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nbcontainer.build.patterns import Ignored
from nbcontainer.build.tree import Tree
from nbcontainer.errors import InvalidArgument


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("out")
    (tmp_path / "real").mkdir()
    root = tmp_path / "root"
    for name in ("a/b", "etc"):
        (root / name).mkdir(parents=True)
    (root / "a/b/f").write_text("f")
    (root / "etc/passwd").write_text("inside")
    links = {
        "up": "../secret", "abs": "/etc/passwd", "far": "../../../../../../etc/passwd", "dir": "a/b", "loop": "loop",
        "nowhere": "x/y", "real": str(tmp_path), "a/back": "..", "a/b/two": "../../dir/f",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


def tree(place: Path, *patterns: str) -> Tree:
    return Tree(str(place), Ignored(patterns))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ""),
        ("a/b/f", "a/b/f"),
        ("/a//b/./f", "a/b/f"),
        ("a/b/../b/f", "a/b/f"),
        ("../../a", "a"),
        ("up", None),
        ("abs", "etc/passwd"),
        ("far", "etc/passwd"),
        ("dir/f", "a/b/f"),
        ("real/secret", None),
        ("nowhere", None),
        ("a/back/etc/passwd", "etc/passwd"),
        ("a/b/two", "a/b/f"),
        ("a/b/f/x", None),
        ("x", None),
    ],
)
def test_find(place: Path, path: str, found: str | None) -> None:
    assert tree(place).find(path) == found


def test_a_loop_of_links(place: Path) -> None:
    with pytest.raises(InvalidArgument, match="loop: too many levels of symbolic links"):
        tree(place).find("loop")


def test_open_follows_no_link(place: Path) -> None:
    found = tree(place)
    fd = found.open("a/b/f")
    assert os.read(fd, 9) == b"f"
    os.close(fd)
    for path in ("abs", "dir/f", "a"):
        with pytest.raises(OSError, match=r"abs|dir|a"):
            found.open(path)


def test_a_pipe_is_not_waited_for(place: Path) -> None:
    os.mkfifo(place / "pipe")
    with pytest.raises(FileNotFoundError):
        tree(place).open("pipe")


def test_match(place: Path) -> None:
    found = tree(place)
    assert found.match("a/*") == ["a/b", "a/back"]
    assert found.match("*/pass*") == ["etc/passwd"]
    assert found.match("dir/?") == ["dir/f"]
    assert found.match("nothing*") == []
    assert found.match("**/f", deep=True) == ["a/b/f"]
    assert found.match("*o*") == ["loop", "nowhere"]
    assert tree(place, "a/*", "!a/b/f").match("a/*") == ["a/b"]


def test_walk_and_what_is_ignored(place: Path) -> None:
    walked = [path for path, _ in tree(place, "a/*", "!a/b/f", "?*r*").walk("")]
    assert walked == ["a", "a/b", "a/b/f", "abs", "etc", "etc/passwd", "loop", "real", "up"]
    assert tree(place, "etc").find("abs") is None
    assert tree(place, "a", "!a/b/f").find("a/b") == "a/b"


def test_a_directory_is_told_from_its_contents(place: Path) -> None:
    kinds = {path: stat.S_IFMT(info.st_mode) for path, info in tree(place).walk("a")}
    assert kinds == {"a/b": stat.S_IFDIR, "a/b/f": stat.S_IFREG, "a/b/two": stat.S_IFLNK, "a/back": stat.S_IFLNK}
