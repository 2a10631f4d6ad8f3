"""The layers of images and containers as one looks at them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from nbcontainer.container import files
from nbcontainer.container.volumes import own
from nbcontainer.errors import InvalidArgument
from nbcontainer.view import layers
from tests.image.build import config, docker, tree


@pytest.fixture(params=["overlay", "copy"])
def driver(request: pytest.FixtureRequest, lab: Any) -> str:
    if lab.containers.driver == "copy" and request.param == "overlay":
        pytest.skip("no overlayfs in a user namespace on this kernel")
    lab.containers._driver = request.param
    return str(request.param)


def changed(lab: Any, image: Any, script: str) -> Any:
    return lab.containers.run(image, ["sh", "-euc", script], network="none")


def test_where_a_path_comes_from(lab: Any, busybox: Any, driver: str) -> None:
    c = changed(lab, busybox, "mkdir -p /d/e; echo 1 >/d/f; echo 1 >/d/e/g; rm /bin/vi")
    first = lab.images.commit_layer(busybox, files.written(c), {"created_by": "first"}, driver=driver)
    c = changed(lab, first, "echo 2 >/d/f; rm -r /d/e; mkdir /d/e; echo 2 >/d/e/h")
    second = lab.images.commit_layer(first, files.written(c), {"created_by": "second"}, driver=driver)
    stack = second.layers
    assert [layer.created_by for layer in stack][1:] == ["first", "second"]
    assert [layer.files for layer in stack][1:] == [2, 2]
    assert stack[1].contents["removed"] == 1
    assert stack[1].entries() == [("/bin/vi", "removed", 0), ("/d/e/g", "file", 2), ("/d/f", "file", 2)]
    for path, said in (
        ("/d/f", ["", "hidden", "seen"]),
        ("/d", ["", "merged", "seen"]),
        ("/d/e/g", ["", "hidden", "removed"] if driver == "copy" else ["", "hidden", ""]),
        ("/d/e/h", ["", "", "seen"]),
        ("/bin/vi", ["hidden", "removed", ""]),
        ("/bin/sh", ["seen", "", ""]),
        ("/bin/../bin/sh/", ["seen", "", ""]),
        ("/nowhere", ["", "", ""]),
        ("/etc/passwd/below", ["", "", ""]),
    ):
        assert stack.where(path) == said, path
    assert stack.source("/d/f") == stack[2]
    assert stack.source("/nowhere") is None
    with pytest.raises(InvalidArgument, match="must begin with /"):
        stack.where("etc")


def test_a_container_has_one_more(lab: Any, busybox: Any, driver: str) -> None:
    c = changed(lab, busybox, "echo x >/new; echo y >>/etc/passwd; rm /bin/vi")
    stack = c.layers
    assert [layer.kind for layer in stack] == ["image", "writable"]
    assert (stack[1].files, stack[1].name, stack[1].contents["removed"]) == (2, "writable", 1)
    assert stack.where("/new") == ["", "seen"]
    assert stack.where("/bin/sh") == ["seen", ""]
    if driver == "overlay":
        assert stack.where("/etc/passwd") == ["hidden", "seen"]
        assert stack.where("/bin/vi") == ["hidden", "removed"]


def test_the_machines_own_root(lab: Any) -> None:
    if lab.containers.driver != "overlay":
        pytest.skip("no overlayfs in a user namespace on this kernel")
    c = changed(lab, "host", "echo x >/srv/new; echo x >/etc/new")
    assert [layer.name for layer in c.layers] == ["host", "writable"]
    assert c.layers.where("/usr/bin/env") == ["seen", ""]
    assert c.layers.where("/srv/new") == ["", "seen"]
    image = c.commit()
    assert [layer.kind for layer in image.layers] == ["host", "image"]
    assert image.layers.where("/etc/new") == ["", "seen"]
    assert image.layers.where("/usr/bin/env") == ["seen", ""]


def test_text_and_page(lab: Any, busybox: Any) -> None:
    c = changed(lab, busybox, "echo '<b>' >/new")
    lines = str(layers.table(c.layers, "/new")).splitlines()
    assert lines[0].split() == ["LAYER", "CREATED", "BY", "FILES", "SIZE", "/new"]
    assert lines[1].split()[0] == "writable"
    assert lines[1].endswith("● seen")
    assert lines[2].split()[0] == busybox.diff_ids[0][7:19]
    page = layers.stack_html(c.layers)
    assert '<tr class="nbc-writable">' in page
    assert "&lt;b&gt;" in page
    assert page == layers.stack_html(c.layers)


def test_a_history_that_is_missing(home: Path, lab: Any) -> None:
    """Layers whose making nobody has written down are the lowest."""
    first = tree({"a": b"1"})
    document = json.loads(config([first]))
    document.pop("history", None)
    [image] = lab.images.load(io.BytesIO(docker([first], document=json.dumps(document).encode())))
    upper = lab.directory / "upper"
    upper.mkdir()
    own(lab, upper)
    lab.call(os.mkdir, str(upper / "b"))
    written = [{"prefix": "/", "lowers": [], "upper": str(upper)}]
    second = lab.images.commit_layer(image, written, {"created_by": "me"})
    assert [layer.created_by for layer in second.layers] == ["", "me"]


def test_what_a_container_wrote_is_listed(lab: Any, busybox: Any, driver: str) -> None:
    c = changed(lab, busybox, "mkdir /empty; echo mine >/note; ln -s note /link; rm /bin/vi")
    found = {path: (kind, size) for path, kind, size in c.layers[-1].entries()}
    assert found["/note"] == ("added", 5)
    assert found["/link"] == ("added", 4)
    assert found["/empty"] == ("added", 0)
    assert found["/bin/vi"] == ("removed", 0)
    assert found["/bin"] == ("changed", 0)
    assert [(kind[0].upper().replace("R", "D"), path) for path, (kind, _) in found.items()] == c.diff()
