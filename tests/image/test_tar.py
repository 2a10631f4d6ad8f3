from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import ImageError
from nbcontainer.image.content import Content
from nbcontainer.image.tar import Entry, Tar
from tests.image.build import entry, layer, sha256


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    """Every entry and its content, through `Content`."""
    content = Content(io.BytesIO(data).read)
    tar = Tar(content.read)
    found = []
    for one in tar:
        file = bytearray(one.size if one.kind == "file" else 0)
        for offset, piece in tar.pieces():
            file[offset : offset + len(piece)] = piece
        found.append((one, bytes(file)))
    content.finish()
    return found


NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=300)


@given(
    st.lists(
        st.tuples(
            NAMES.filter(lambda name: not name.endswith("/")), st.binary(max_size=2000),
            st.integers(0, 0o7777), st.integers(0, 1 << 40), st.integers(-4 * 10**9, 4 * 10**10), st.booleans(),
        ),
        max_size=5,
    ),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.booleans(),
)  # fmt: skip
def test_what_tarfile_wrote_is_read(
    files: list[tuple[str, bytes, int, int, int, bool]], form: int, compressed: bool
) -> None:
    entries = []
    for name, data, mode, uid, quarters, is_link in files:
        time = quarters / 4 if form == tarfile.PAX_FORMAT else quarters // 4
        if is_link:
            entries.append((entry(name, tarfile.SYMTYPE, linkname=name[::-1], mode=mode, uid=uid, mtime=time), b""))
        else:
            entries.append((entry(name, mode=mode, uid=uid, mtime=time), data))
    packed = layer(*entries, format=form)
    found = read(gzip.compress(packed) if compressed else packed)
    assert len(found) == len(entries)
    for (one, content), (wanted, data) in zip(found, entries, strict=True):
        assert (one.name, one.mode, one.uid, content) == (wanted.name, wanted.mode, wanted.uid, data)
        assert one.target == wanted.linkname
        assert one.mtime == pytest.approx(wanted.mtime * 1e9, abs=1e4)


@given(st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_one_error(data: bytes) -> None:
    with suppress(ImageError):
        read(data)


@given(st.data())
def test_a_damaged_archive_is_one_error_or_another_archive(data: st.DataObject) -> None:
    whole = bytearray(layer((entry("a" * 150), b"x" * 700), entry("b", tarfile.SYMTYPE, linkname="c" * 120)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ImageError):
        read(bytes(whole))


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_that_is_cut_off(compressed: bool) -> None:
    whole = layer((entry("a"), os.urandom(5000)), entry("b" * 200, tarfile.DIRTYPE))
    packed = gzip.compress(whole) if compressed else whole
    for length in (1, 511, 513, 3000, 5600, 6200) if not compressed else range(1, len(packed) - 1, 97):
        with pytest.raises(ImageError):
            read(packed[:length])


def test_headers_that_ask_for_too_much() -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    with pytest.raises(ImageError, match="header of 1099511627776 bytes"):
        read(long.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


@pytest.mark.parametrize("form", ["oldgnu", "gnu", "pax0.0", "pax0.1", "pax1.0"])
def test_sparse_files(tmp_path: Path, form: str) -> None:
    if shutil.which("tar") is None:
        pytest.skip("not installed: tar")
    with (tmp_path / "sparse").open("wb") as file:
        for number in range(30):
            file.seek(number * 100_000)
            file.write(b"%03d" % number * 1500)
        file.truncate(5_000_000)
    _, _, version = form.partition("x")
    options = ["--format=posix", f"--sparse-version={version}"] if version else [f"--format={form}"]
    packed = subprocess.run(
        ["tar", "--create", "--sparse", *options, "--directory", tmp_path, "sparse"], check=True, capture_output=True
    ).stdout
    assert len(packed) < 1_000_000
    found = read(packed)
    assert [one.name for one, _ in found] == ["sparse"]
    assert found[0][1] == (tmp_path / "sparse").read_bytes()


def test_attributes_of_any_bytes() -> None:
    value = b"\x01\x00\x00\x02\xff\n=\x80"
    made = entry("a")
    made.pax_headers = {"SCHILY.xattr.security.capability": value.decode("utf-8", "surrogateescape")}
    packed = layer(made)
    assert read(packed)[0][0].attributes == {"security.capability": value}


def test_the_digest_is_of_all_that_was_decompressed() -> None:
    whole = layer((entry("a"), b"x")) + b"after the end"
    skippable = b"\x50\x2a\x4d\x18\x05\0\0\0hello"
    for packed in (
        whole,
        gzip.compress(whole),
        gzip.compress(whole[:700]) + gzip.compress(whole[700:]) + bytes(100),
        zstandard.compress(whole),
        skippable + zstandard.compress(whole[:700]) + skippable + zstandard.compress(whole[700:]) + skippable,
    ):
        content = Content(io.BytesIO(packed).read)
        assert [one.name for one in Tar(content.read)] == ["a"]
        assert content.finish() == sha256(whole)


def test_other_compressions_are_named() -> None:
    for magic, name in ((b"BZh91AY", "bzip2"), (b"\xfd7zXZ\x00", "xz")):
        with pytest.raises(ImageError, match=name):
            Content(io.BytesIO(magic + bytes(600)).read)


@pytest.mark.parametrize("packed", [gzip.compress(bytes(3 << 20)), zstandard.compress(bytes(3 << 20))])
def test_a_decompression_bomb(packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    content = Content(io.BytesIO(packed).read)
    assert content.finish() == sha256(bytes(3 << 20)), "small ones are none"
    monkeypatch.setattr("nbcontainer.image.content.BOMB_SIZE", 1 << 20)
    content = Content(io.BytesIO(packed).read)
    with pytest.raises(ImageError, match=r"it is a decompression bomb: \d+ bytes have become \d+, more than 200 times"):
        content.finish()
    noise = gzip.compress(os.urandom(3 << 20))
    assert len(Content(io.BytesIO(noise).read).read()) > 0
    Content(io.BytesIO(noise).read).finish()


def test_zstd_that_asks_for_too_much_memory() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    start = frame.compress(os.urandom(1 << 20)) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    with pytest.raises(ImageError, match=r"its zstd data is damaged: .*memory"):
        Content(io.BytesIO(start).read).finish()
