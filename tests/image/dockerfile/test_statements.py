"""Lines, directives, comments, here-documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import DockerfileError
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.statements import Statements, read


def read_text(text: str) -> Statements:
    return read(Source("Dockerfile", text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM x", [("FROM", "x", 1, 1)]),
        ("  from  x  \n", [("FROM", "x", 1, 1)]),
        ("FROM x\r\nRUN y\r\n", [("FROM", "x", 1, 1), ("RUN", "y", 2, 2)]),
        ("\ufeffFROM x", [("FROM", "x", 1, 1)]),
        ("# c\n\nFROM x\n  # c\nRUN y # not a comment", [("FROM", "x", 3, 3), ("RUN", "y # not a comment", 5, 5)]),
        ("RUN a \\\n  b", [("RUN", "a   b", 1, 2)]),
        ("RUN a \\  \n  b", [("RUN", "a   b", 1, 2)]),
        ("RUN a \\\n# c\n  # d\n b", [("RUN", "a  b", 1, 4)]),
        ("RUN a \\\n\n b", [("RUN", "a  b", 1, 3)]),
        ("RUN a\\\nb", [("RUN", "ab", 1, 2)]),
        ("RUN a\\", [("RUN", "a", 1, 1)]),
        ("RUN a \\\\\nRUN b", [("RUN", "a \\\\", 1, 1), ("RUN", "b", 2, 2)]),
        ("RUN", [("RUN", "", 1, 1)]),
        ("RUN\ta", [("RUN", "a", 1, 1)]),
    ],
)
def test_lines(text: str, wanted: list[tuple[str, str, int, int]]) -> None:
    assert [(s.name, s.rest, s.start, s.end) for s in read_text(text).statements] == wanted


def test_empty_continuation_lines_are_warned_of() -> None:
    (warning,) = read_text("FROM x\nRUN a \\\n\n b").warnings
    assert warning.startswith("Dockerfile:2: empty continuation line")


def test_directives() -> None:
    found = read_text("# syntax = docker/dockerfile:1\n#escape=`\n# check=skip=all\nFROM x\nRUN a `\n b\\\nRUN c")
    assert found.directives == {"syntax": "docker/dockerfile:1", "escape": "`", "check": "skip=all"}
    assert [s.rest for s in found.statements] == ["x", "a  b\\", "c"]


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n# escape=`\nFROM x",
        "\n# escape=`\nFROM x",
        "FROM x\n# escape=`",
        "# unknown=1\n# escape=`\nFROM x",
    ],
)
def test_directives_come_first_or_are_comments(text: str) -> None:
    assert read_text(text).escape == "\\"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("# escape=x\nFROM x", 1, "invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`\nFROM x", 2, "only one escape parser directive can be used"),
        ("", 1, "file with no instructions"),
        ("# only\n# comments\n", 2, "file with no instructions"),
        ("FROM x\nRUN <<EOF\na", 2, "unterminated heredoc"),
        ("FROM x\nRUN " + "a" * 70_000, 2, "dockerfile line greater than max allowed size of 65535"),
        ("FROM x\nRUN a\0b", 2, "the line has a NUL character"),
    ],
)
def test_wrong(text: str, line: int, why: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        read_text(text)
    assert str(caught.value).startswith(f"Dockerfile:{line}: {why}")
    assert "\n" not in str(caught.value)


def test_an_error_shows_the_lines_around_it() -> None:
    source = Source("Dockerfile", "FROM busybox\n\nRUN one\nRUN two \\\n  three\nRUN four\nRUN five\nRUN six\n")
    assert source.error("it failed", 4, 5).excerpt == (
        "Dockerfile:4\n"
        "--------------------\n"
        "   2 |\n"
        "   3 |     RUN one\n"
        "   4 | >>> RUN two \\\n"
        "   5 | >>>   three\n"
        "   6 |     RUN four\n"
        "   7 |     RUN five\n"
        "--------------------"
    )


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("COPY --from=a --link b c", ("--from=a", "--link"), "b c"),
        ("RUN --mount=type=cache,target=/a b --c", ("--mount=type=cache,target=/a",), "b --c"),
        ("COPY -- --a b", (), "--a b"),
        ('COPY --chown="a b" c d', ("--chown=a b",), "c d"),
        ("RUN a --b", (), "a --b"),
        ("HEALTHCHECK --interval=5s CMD a", ("--interval=5s",), "CMD a"),
    ],
)
def test_flags(text: str, flags: tuple[str, ...], rest: str) -> None:
    (found,) = read_text(text).statements
    assert (found.flags, found.rest) == (flags, rest)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("RUN <<EOF\na\n b\nEOF", [("EOF", "a\n b\n", True)]),
        ("RUN <<EOF\nEOF", [("EOF", "", True)]),
        ("RUN <<'EOF'\n$a\nEOF", [("EOF", "$a\n", False)]),
        ('COPY <<"EOF" /a\nx\nEOF', [("EOF", "x\n", False)]),
        ("RUN <<-EOF\n\ta\n\t\tb\n\tEOF", [("EOF", "a\nb\n", True)]),
        ("RUN 3<<EOF cat\na\nEOF", [("EOF", "a\n", True)]),
        ("COPY <<A <<B /x/\n1\nA\n2\nB", [("A", "1\n", True), ("B", "2\n", True)]),
        ("ONBUILD RUN <<EOF\na\nEOF", [("EOF", "a\n", True)]),
        ("RUN python3 <<EOF | cat\nprint(1)\nEOF", [("EOF", "print(1)\n", True)]),
        ("RUN <<EOF\n# no comment\n\\\nFROM x\nEOF", [("EOF", "# no comment\n\\\nFROM x\n", True)]),
        ('RUN "<<EOF"', []),
        ('RUN ["<<EOF"]', []),
        ("RUN a <<< b", []),
        ("RUN x<<EOF", []),
        ("CMD <<EOF", []),
        ("RUN cat << EOF", []),
    ],
)
def test_heredocs(text: str, wanted: list[tuple[str, str, bool]]) -> None:
    (found,) = read_text(text).statements
    assert [(one.name, one.text, one.expand) for one in found.heredocs] == wanted


def test_what_follows_a_heredoc_has_its_own_line() -> None:
    found = read_text("FROM x\nRUN <<EOF\na\nEOF\nRUN b")
    assert [(s.start, s.end) for s in found.statements] == [(1, 1), (2, 4), (5, 5)]


@given(st.text(alphabet="FROMrun <->=\\\n#`'\"[]{}$E\t\r\ufeff"))
def test_anything_is_read_or_refused_in_one_line(text: str) -> None:
    why, ends = "Dockerfile:", [0]
    try:
        ends += [statement.end for statement in read_text(text).statements]
    except DockerfileError as error:
        why = str(error)
    assert why.startswith("Dockerfile:")
    assert ends == sorted(ends)
