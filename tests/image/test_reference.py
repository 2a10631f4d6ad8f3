"""Names of images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidReference
from nbcontainer.image.reference import Reference


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "familiar"),
    [
        ("busybox", "docker.io", "library/busybox", "latest", "busybox:latest"),
        ("mowang/httpd:v0.1.1", "docker.io", "mowang/httpd", "v0.1.1", "mowang/httpd:v0.1.1"),
        (
            "quay.io/coreos/flannel:v0.10.0-amd64",
            "quay.io",
            "coreos/flannel",
            "v0.10.0-amd64",
            "quay.io/coreos/flannel:v0.10.0-amd64",
        ),
        ("localhost:5000/a", "localhost:5000", "a", "latest", "localhost:5000/a:latest"),
        ("docker.io/library/busybox", "docker.io", "library/busybox", "latest", "busybox:latest"),
        (f"a@sha256:{'0' * 64}", "docker.io", "library/a", None, f"a@sha256:{'0' * 64}"),
    ],
)
def test_names(text: str, domain: str, path: str, tag: str | None, familiar: str) -> None:
    found = Reference.parse(text)
    assert (found.domain, found.path, found.tag, found.familiar) == (domain, path, tag, familiar)


@pytest.mark.parametrize("text", ["", "UPPER", "a:b:c", "a//b", "-a", "a:", "a@sha256:12", "a b", "0" * 64, "a" * 300])
def test_no_names(text: str) -> None:
    with pytest.raises(InvalidReference, match="invalid reference format"):
        Reference.parse(text)


@given(st.one_of(st.text(max_size=80), st.from_regex(r"[a-zA-Z0-9./:@_-]{1,80}", fullmatch=True)))
def test_anything_is_a_name_or_an_invalid_reference(text: str) -> None:
    try:
        found = Reference.parse(text)
    except InvalidReference as error:
        assert "\n" not in str(error) or "\n" in text  # noqa: PT017
    else:
        assert Reference.parse(found.familiar) == found
