"""--chmod, octal and symbolic, as chmod(1) does it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.build import modes
from nbcontainer.errors import InvalidArgument


@pytest.mark.parametrize("text", ["8", "u", "u=q", "", "99999", "u+x,", "rwx", "+x;rm"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid chmod parameter"):
        modes.check(text)


@pytest.mark.parametrize(
    "text",
    ["755", "0644", "7", "4755", "u+x", "go-w", "a=r", "u=rwX,go=rX", "+x", "ug+s", "o+t", "g=u", "u+w-x", "o=g-r"],
)
@pytest.mark.parametrize("before", [0o644, 0o751, 0o000, 0o4711])
@pytest.mark.parametrize("directory", [False, True])
def test_as_chmod_does(tmp_path: Path, text: str, before: int, directory: bool) -> None:
    modes.check(text)
    if directory and before & 0o7000:
        return  # chmod(1) keeps the set-id bits of directories, Docker has no such habit
    path = tmp_path / "it"
    path.mkdir() if directory else path.touch()
    path.chmod(before)
    subprocess.run(["chmod", text.zfill(5) if text.isdigit() else text, path], check=True, umask=0)
    assert oct(modes.changed(before, directory, text)) == oct(path.stat().st_mode & 0o7777)


@given(st.text(alphabet="ugoa+-=rwxXst,017 ", max_size=8), st.integers(0, 0o7777))
def test_any_text_is_a_mode_or_refused(text: str, before: int) -> None:
    made = 0
    try:
        modes.check(text)
        made = modes.changed(before, False, text)
    except InvalidArgument:
        pass
    assert 0 <= made <= 0o7777
