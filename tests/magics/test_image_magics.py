"""`%container commit`, `%image save|load|import|layers|prune|fsck|ls` as typed."""

from __future__ import annotations

from pathlib import Path

from tests.magics.conftest import Kernel


def test_a_commit_as_the_course_types_it(kernel: Kernel, tmp_path: Path) -> None:
    kernel.ok("%image tag busybox mowang/httpd:v0.1.1")
    kernel.ok(
        "%container run --name b1 mowang/httpd:v0.1.1 sh -c 'mkdir -p /data/html; echo page >/data/html/index.html'"
    )
    done = kernel.ok("""%container commit -c 'CMD ["/bin/httpd","-f","-h","/data/html"]' -p b1 mowang/httpd:v0.2""")
    assert done.stdout.startswith("sha256:")
    assert done.result is None, "it is not shown twice"
    assert kernel.ok("%container commit -q b1").stdout == ""
    command = kernel.ok("%image inspect -f '{{json .Config.Cmd}}' mowang/httpd:v0.2").stdout
    assert command == '["/bin/httpd","-f","-h","/data/html"]\n'
    for line, why in (
        ("%container commit -c 'RUN x' b1", 'invalid change "RUN x": RUN is not a valid change command'),
        ("%container commit nothere", "No such container: nothere"),
        ("%container commit b1 Upper", "invalid reference format: repository name must be lowercase"),
        ("%image save mowang/httpd", "a notebook is no place for an archive"),
        ("%image load", "a notebook has no standard input"),
        (f"%image save -o {tmp_path}/none/a.tar busybox", "no such file or directory"),
        ("%image layers nothere", "No such image: nothere"),
        ("%image layers busybox --path etc", "must begin with /"),
        ("%image ls -f dangling=perhaps", "invalid filter value"),
        ("%image prune --filter until=sometime", "neither a duration"),
        ("%image import -", "a notebook has no standard input"),
    ):
        failed = kernel.run(line)
        assert failed.error is not None, line
        assert len(failed.error["traceback"]) == 1, line
        assert why in failed.error["traceback"][0], line

    # Layers, as text and as a page.
    shown = kernel.ok("%image layers mowang/httpd:v0.2 --path /data/html/index.html").displays[0]
    lines = shown["text/plain"].splitlines()
    assert lines[0].split() == ["LAYER", "CREATED", "BY", "FILES", "SIZE", "/data/html/index.html"]
    assert lines[1].endswith("● seen")
    assert "<table" in shown["text/html"]
    assert kernel.ok("stack = %container layers b1\nprint(len(stack), stack[-1].kind)").stdout == "2 writable\n"
    again = kernel.ok("stack")
    assert again.result is not None
    assert "nbc-stack" in again.result["text/html"]
    assert kernel.ok("%image layers busybox --format '{{.Kind}}'").stdout == "image\n"

    # Out and in again.
    archive = tmp_path / "myimages.gz"
    kernel.ok(f"%image save -o {archive} mowang/httpd:v0.1.1 mowang/httpd:v0.2")
    assert archive.read_bytes()[:2] == b"\x1f\x8b"
    kernel.ok("%container rm b1")
    kernel.ok("%image rm mowang/httpd:v0.1.1 mowang/httpd:v0.2")
    loaded = kernel.ok(f"%image load -i {archive}")
    assert loaded.stdout == "Loaded image: mowang/httpd:v0.1.1\nLoaded image: mowang/httpd:v0.2\n"
    assert kernel.ok(f"%image load -q -i {archive}").stdout == ""
    names = kernel.ok("%image ls --format '{{.Tag}}' -f since=busybox mowang/httpd").stdout
    assert names == "v0.2\n"
    columns = kernel.ok("%image ls --digests busybox").displays[0]["text/plain"].splitlines()[0].split()
    assert columns == ["REPOSITORY", "TAG", "DIGEST", "IMAGE", "ID", "CREATED", "SIZE"]

    # Of several the others go, although one cannot.
    failed = kernel.run("%image rm mowang/httpd:v0.1.1 nothere mowang/httpd:v0.2")
    assert failed.error is not None
    assert failed.error["traceback"] == ["Error: No such image: nothere"]
    assert failed.stdout.startswith("Untagged: mowang/httpd:v0.1.1\nUntagged: mowang/httpd:v0.2\nDeleted: sha256:")
    assert "everything is as it should be" in kernel.ok("%image fsck").stdout
    kernel.ok("%image prune")  # what tests before this one have left
    pruned = kernel.ok("%image prune --filter label=nobody-has-it")
    assert pruned.stdout == "Total reclaimed space: 0B\n"


def test_import_what_was_exported(kernel: Kernel, tmp_path: Path) -> None:
    kernel.ok("%container run --name ex busybox sh -c 'echo x >/made'")
    kernel.ok(f"%container export -o {tmp_path}/root.tar ex")
    kernel.ok("%container rm ex")
    done = kernel.ok(f"""%image import -c 'CMD ["cat","/made"]' -m note {tmp_path}/root.tar made/root""")
    assert done.stdout.startswith("sha256:")
    assert kernel.ok("%container run --rm made/root").stdout == "x\n"
    assert kernel.ok("%image history --format '{{.Comment}}' made/root").stdout == "note\n"
    kernel.ok("%image rm made/root")
