"""Patterns of .dockerignore, of --exclude and of sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.build.patterns import Ignored, component, ignore_patterns
from nbcontainer.errors import InvalidArgument


@pytest.mark.parametrize(
    ("patterns", "hidden", "shown"),
    [
        ("*", "a a/b .x", ""),
        ("**", "a a/b/c", ""),
        ("a", "a a/b a/b/c", "b/a ab"),
        ("*/temp*", "x/temp x/temporary/y", "temp x/y/temp"),
        ("*/*/temp*", "x/y/temp", "x/temp"),
        ("temp?", "tempa", "temp tempab"),
        ("**/*.go", "x.go a/x.go a/b/x.go", "x.gox"),
        ("*.md !README.md", "a.md", "README.md"),
        ("*.md !README*.md README-secret.md", "a.md README-secret.md", "README.md README-x.md"),
        ("*.md README-secret.md !README*.md", "a.md", "README.md README-secret.md"),
        ("a/** !a/b", "a/x a/c/d", "a/b a/b/c"),
        ("** !a/b/c", "a a/x", "a/b/c"),
        ("a !a/b", "a a/c", "a/b"),
        ("/a /b/c", "a b/c", "x/a"),
        ("./a a2/", "a a2 a2/x", ""),
        ("a/../b", "b", "a"),
        ("[a-c]x [^q]y", "ax bx cx py", "dx qy"),
        (r"a\*b", "a*b", "axb"),
        ("a/**/b", "a/b a/x/b a/x/y/b", "ab a/xb"),
        ("**/a/**", "a/x y/a/x", "ax"),
        ("é*", "éa", "e"),
        ("a.b", "a.b", "axb"),
        ("[]a]", "] a", "b"),
    ],
)
def test_ignored(patterns: str, hidden: str, shown: str) -> None:
    ignored = Ignored(ignore_patterns("\n".join(patterns.split())))
    for path in hidden.split():
        assert ignored.hides(path), path
    for path in shown.split():
        assert not ignored.hides(path), path


def test_a_dockerignore_file() -> None:
    text = "\ufeff# a comment\n\n  a  \n! b/\n/c\n#d\n /e/f/../g\r\n"
    assert ignore_patterns(text) == ["a", "!b", "c", "e/g"]


@pytest.mark.parametrize("pattern", ["!", "[a", "a\\", "[z-a]", "a["])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="pattern"):
        Ignored([pattern])


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [("*.txt", "a.txt .txt", "a.md"), ("?", "a", "ab"), ("a[0-9]", "a1", "ax"), (r"\*", "*", "a"), ("[^a]", "b", "a")],
)
def test_component(pattern: str, matching: str, other: str) -> None:
    assert all(component(pattern).fullmatch(name) for name in matching.split())
    assert not component(pattern).fullmatch(other)


_NAMES = st.text(alphabet="ab.*?[]!^-\\", min_size=1, max_size=6)


@given(st.lists(_NAMES, max_size=5), st.lists(_NAMES, min_size=1, max_size=4))
def test_any_pattern_is_taken_or_refused(patterns: list[str], parts: list[str]) -> None:
    try:
        ignored = Ignored(ignore_patterns("\n".join(patterns)))
    except InvalidArgument as error:
        why = str(error)
    else:
        why = ""
        ignored.hides("/".join(parts))
    assert "\n" not in why


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
def test_what_is_below_something_hidden_is_hidden(parts: list[str]) -> None:
    ignored = Ignored([parts[0]])
    assert ignored.hides("/".join(parts))
