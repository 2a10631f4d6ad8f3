"""Quotes, escapes and variables, as the Dockerfile reference and BuildKit have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.image.dockerfile.words import ExpansionError, Words

ENV = {
    "PWD": "/home",
    "SHELL": "bash",
    "empty": "",
    "path": "/usr/lib/x.tar.gz",
    "a": "abcabc",
    "dots": "1.2.3",
    "é": "e",
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hello", "hello"),
        ("he'll'o", "hello"),
        ('he"ll"o', "hello"),
        ("he'$PWD'", "he$PWD"),
        ('he"$PWD"', "he/home"),
        (r"he\$PWD", "he$PWD"),
        (r'"he\$PWD"', "he$PWD"),
        (r'"he\"o"', 'he"o'),
        (r'"he\o"', r"he\o"),
        (r"'he\'", "he\\"),
        (r"he\\$PWD", r"he\/home"),
        (r"he\'llo", "he'llo"),
        ("he\\", "he"),
        ("$", "$"),
        ("$ x", "$ x"),
        ("he$PWD.", "he/home."),
        ("he${PWD}xx", "he/homexx"),
        ("$PWD$SHELL", "/homebash"),
        ("$XXX", ""),
        ("$1 $12x $@ $* $#", " x   "),
        ("${1}", ""),
        ("$é", "e"),
        ("${XXX:-word}", "word"),
        ("${empty:-word}", "word"),
        ("${empty-word}", ""),
        ("${XXX-word}", "word"),
        ("${PWD-word}", "/home"),
        ("${PWD:+word}", "word"),
        ("${XXX:+word}", ""),
        ("${empty:+word}", ""),
        ("${empty+word}", "word"),
        ("${XXX:-${PWD}}", "/home"),
        ("${XXX:-$PWD/x}", "/home/x"),
        ("${XXX:-'a b'}", "a b"),
        (r"${XXX:-a\}b}", "a}b"),
        ("${PWD:?must be}", "/home"),
        ("${empty?must be}", ""),
        ("${path#*/}", "usr/lib/x.tar.gz"),
        ("${path##*/}", "x.tar.gz"),
        ("${path%.*}", "/usr/lib/x.tar"),
        ("${path%%.*}", "/usr/lib/x"),
        ("${path%/*}", "/usr/lib"),
        ("${path#nothing}", "/usr/lib/x.tar.gz"),
        ("${a#a?c}", "abc"),
        ("${dots#1.}", "2.3"),
        ("${dots%?}", "1.2."),
        ("${dots/./-}", "1-2.3"),
        ("${dots//./-}", "1-2-3"),
        (r"${PWD/\//_}", "_home"),
        ("${a/b*/x}", "ax"),
        ("${a//c/}", "abab"),
        ("${a/$SHELL/x}", "abcabc"),
        (r"${a#\*}", "abcabc"),
        ("日本${PWD}語", "日本/home語"),
    ],
)
def test_expand(text: str, wanted: str) -> None:
    assert Words().expand(text, ENV) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("'abc", "looking for matching single-quote"),
        ('"abc', "looking for matching double-quote"),
        ("${", "missing '}'"),
        ("${PWD", "unsupported modifier ()"),
        ("${PWD:-x", "missing '}'"),
        ("${}", "bad substitution"),
        ("${:x}", "bad substitution"),
        ("${{x}}", "bad substitution"),
        ("${PWD!x}", "unsupported modifier (!)"),
        ("${PWD:=x}", "unsupported modifier (:=)"),
        ("${XXX:?it is needed}", "XXX: it is needed"),
        ("${XXX?}", "XXX: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"),
        ("${PWD/x}", "missing '/' in ${}"),
        ("${PWD/x/y", "missing '}'"),
        (r"${PWD#\q}", "invalid escape"),
    ],
)
def test_wrong(text: str, why: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        Words().expand(text, ENV)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a b  c", ["a", "b", "c"]),
        ("'a b' c", ["a b", "c"]),
        (r"a\ b c", ["a b", "c"]),
        ("$ports 90", ["80", "81/udp", "90"]),
        ('"$ports" 90', ["80 81/udp", "90"]),
        ("$empty x $empty", ["x"]),
        ("", []),
    ],
)
def test_split(text: str, wanted: list[str]) -> None:
    assert Words().split(text, {"ports": "80 81/udp", "empty": ""}) == wanted


def test_another_escape() -> None:
    assert Words("`").expand(r"C:\x`$a $a", {"a": "1"}) == r"C:\x$a 1"


def test_what_is_not_set_can_be_kept() -> None:
    words = Words(keep_unset=True)
    assert words.expand("$a ${b} ${c:-d} ${e/f/g} $h", {"h": "1"}) == "$a ${b} ${c:-d} ${e/f/g} 1"


@given(st.text())
def test_quoted_text_is_itself(text: str) -> None:
    assert Words().expand("'" + text.replace("'", "'\\''") + "'", {}) == text


@given(st.text(alphabet="$a{}:-+?#%/\\'\" *`\n"), st.dictionaries(st.sampled_from("ab"), st.text(max_size=5)))
def test_anything_is_expanded_or_refused_in_one_line(text: str, env: dict[str, str]) -> None:
    why = "nothing"
    try:
        Words().expand(text, env)
    except ExpansionError as error:
        why = str(error)
    assert why
