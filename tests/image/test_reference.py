from __future__ import annotations

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidReference
from nbcontainer.image.reference import Reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "familiar"),
    [
        ("busybox", "docker.io", "library/busybox", "latest", "busybox:latest"),
        ("busybox:1.36", "docker.io", "library/busybox", "1.36", "busybox:1.36"),
        ("docker.io/library/busybox", "docker.io", "library/busybox", "latest", "busybox:latest"),
        ("index.docker.io/busybox", "docker.io", "library/busybox", "latest", "busybox:latest"),
        ("mowang/httpd:v0.2", "docker.io", "mowang/httpd", "v0.2", "mowang/httpd:v0.2"),
        ("quay.io/coreos/flannel:v0.10.0-amd64", "quay.io", "coreos/flannel", "v0.10.0-amd64", None),
        ("localhost/a", "localhost", "a", "latest", "localhost/a:latest"),
        ("host:5000/a/b__c", "host:5000", "a/b__c", "latest", "host:5000/a/b__c:latest"),
        ("[::1]:5000/a", "[::1]:5000", "a", "latest", "[::1]:5000/a:latest"),
        (f"a@{DIGEST}", "docker.io", "library/a", None, f"a@{DIGEST}"),
        (f"a:1@{DIGEST}", "docker.io", "library/a", "1", f"a:1@{DIGEST}"),
    ],
)
def test_names(text: str, domain: str, path: str, tag: str | None, familiar: str | None) -> None:
    found = Reference.parse(text)
    assert (found.domain, found.path, found.tag) == (domain, path, tag)
    assert found.familiar == (familiar or text)


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", "a/", "/a", "a//b", "-a", "a-", "a..b", "a b", "a:-b", "a:b:c", f"a@{DIGEST[:-1]}", "a@sha256:",
     "a:" + "t" * 129, "x" * 256, "é", "a\n", "ab" * 32, "a@md5:" + "0" * 32],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidReference, match=r"^invalid reference format"):
        Reference.parse(text)


def test_capitals() -> None:
    for text in ("Busybox", "a/B", "docker.io/A"):
        with pytest.raises(InvalidReference, match="repository name must be lowercase"):
            Reference.parse(text)


COMPONENT = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
DOMAIN = st.from_regex(r"([a-zA-Z0-9]{1,5}(\.[a-z0-9]{1,4}){1,2}|localhost)(:[0-9]{1,5})?", fullmatch=True)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(st.none() | DOMAIN, st.lists(COMPONENT, min_size=1, max_size=3), st.none() | TAG, st.booleans())
def test_the_familiar_name_means_the_same(
    domain: str | None, path: list[str], tag: str | None, by_digest: bool
) -> None:
    text = "/".join([*([domain] if domain else []), *path])
    text += f":{tag}" if tag else ""
    text += f"@{DIGEST}" if by_digest else ""
    found = Reference.parse(text)
    assert Reference.parse(found.familiar) == found


@given(st.text(alphabet=string.ascii_letters + string.digits + "._-/:@[]é \n\0", max_size=80) | st.text())
def test_any_text_is_a_name_or_one_error(text: str) -> None:
    with suppress(InvalidReference):
        found = Reference.parse(text)
        assert Reference.parse(found.familiar) == found
