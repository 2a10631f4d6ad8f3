"""WWW-Authenticate and Retry-After, as servers write them and as they do not."""

from __future__ import annotations

import string
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.image.registry.challenge import Challenge, challenges, retry_after

TOKEN = st.text(string.ascii_letters + string.digits + "-._~", min_size=1, max_size=12)
#: One that ends with "=" is no parameter's name, and a scheme's name is no parameter.
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("Basic", [Challenge("basic")]),
        ('Basic realm="Registry Realm"', [Challenge("basic", {"realm": "Registry Realm"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
            'scope="repository:library/busybox:pull,push",error="invalid_token"',
            [Challenge("bearer", {"realm": "https://auth.docker.io/token", "service": "registry.docker.io",
                                  "scope": "repository:library/busybox:pull,push", "error": "invalid_token"})],
        ),
        (
            'Negotiate, Basic realm="a, b=c" , Bearer realm = "x\\"y",service=plain',
            [Challenge("negotiate"), Challenge("basic", {"realm": "a, b=c"}),
             Challenge("bearer", {"realm": 'x"y', "service": "plain"})],
        ),
        ('Bearer realm="never ends', [Challenge("bearer")]),
        ("realm=x", []),
        ("\x00\x01", []),
    ],
)  # fmt: skip
def test_challenges(header: str, found: list[Challenge]) -> None:
    assert challenges(header)[: len(found) or None] == found


@given(st.lists(st.tuples(TOKEN, st.dictionaries(TOKEN.map(str.lower), VALUE, max_size=3)), max_size=3))
def test_what_is_written_is_read(wanted: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        " ".join([scheme, ", ".join(f"{key}={quoted(value)}" for key, value in given.items())]).strip()
        for scheme, given in wanted
    )
    assert challenges(header) == [Challenge(scheme.lower(), given) for scheme, given in wanted]


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    for one in challenges(header):
        assert one.scheme == one.scheme.lower()
    after = retry_after(header)
    assert after is None or after >= 0


def test_retry_after() -> None:
    assert retry_after("120") == 120
    assert retry_after(" 0 ") == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now=1_445_412_480 - 30) == 30
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0, "it has been long ago"
    for text in (None, "", "-1", "1.5", "soon", "9" * 30, "Wed, 99 Oct 2015 07:28:00 GMT"):
        assert retry_after(text) is None


@given(st.integers(0, 4_000_000_000))
def test_any_date(moment: int) -> None:
    assert retry_after(formatdate(moment, usegmt=True), now=0) == moment
