"""The layers of an image and a container in a page."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.conftest import PATIENCE

MAKE = """\
%container run --name editor busybox sh -c 'printf editing >/bin/edit; rm /bin/vi'
%container commit -q editor course/editor
web = %container run -d --name web course/editor sleep 1000
"""


def slab(view: Locator, number: int) -> Locator:
    return view.locator(".nbc-slab").nth(number)


def test_a_container_is_followed(notebook: Any) -> None:
    page = notebook(MAKE, "%container layers web", "print('after')")
    page.run(0)
    view = page.run(1).locator(".nbc-layers")
    expect(view).to_be_visible(timeout=PATIENCE)
    expect(view.locator(".nbc-slab")).to_have_count(3)
    top = slab(view, 0)
    expect(top).to_contain_text("writable")
    expect(top).to_contain_text("0 files")
    expect(slab(view, 1)).to_contain_text("1 file, 1 removed")
    # What the container writes is seen without being asked for.
    top.get_by_role("button").click()
    expect(top.get_by_role("listbox")).to_have_text("Nothing.")
    page.python("%container exec web sh -c 'echo mine >/etc/note; echo more >>/bin/edit; rm /bin/wget'")
    options = top.get_by_role("option")
    expect(options).to_have_count(5, timeout=PATIENCE)
    expect(top.locator(".nbc-file.added")).to_have_text("A/etc/note5B")
    expect(top.locator(".nbc-file.removed")).to_contain_text("/bin/wget")
    expect(top).to_contain_text("2 files, 1 removed")
    code = "from nbcontainer import runtime\nprint(len(runtime.current_lab().containers.get('web').diff()))"
    assert page.python(code) == "5"
    # Whose a path is: typed, or chosen by mouse or key.
    search = view.get_by_role("searchbox")
    answer = view.get_by_role("status")
    search.fill("/bin/edit")
    expect(answer).to_have_text("/bin/edit comes from the writable layer. It covers what one layer below has there.")
    expect(slab(view, 0)).to_have_attribute("data-said", "seen")
    expect(slab(view, 1).locator(".nbc-word")).to_have_text("○ hidden")
    page.pictures(view, "layers")
    slab(view, 1).get_by_role("button").click()
    box = slab(view, 1).get_by_role("listbox")
    expect(box.get_by_role("option")).to_have_count(2)
    box.get_by_text("/bin/vi").click()
    expect(answer).to_contain_text("/bin/vi is not there: layer")
    expect(slab(view, 2).locator(".nbc-word")).to_have_text("○ hidden")
    box.focus()
    page.page.keyboard.press("Home")
    page.page.keyboard.press("Enter")
    expect(search).to_have_value("/bin/edit")
    search.fill("etc")
    expect(answer).to_contain_text("it must begin with /")
    search.fill("/etc")
    expect(answer).to_have_text("/etc is a directory of 2 layers, merged.")
    search.fill("/no/such")
    expect(answer).to_have_text("/no/such is in no layer.")
    search.press("Escape")
    expect(search).to_have_value("")
    expect(answer).to_have_text("")
    # An answer that is on the screen is followed too.
    search.fill("/etc/later")
    expect(answer).to_have_text("/etc/later is in no layer.")
    page.python("%container exec web touch /etc/later")
    expect(answer).to_have_text("/etc/later comes from the writable layer.", timeout=PATIENCE)
    # What is saved: the table.
    saved = page.save().cells[1].outputs[0].data
    assert saved["text/plain"].splitlines()[0].split() == ["LAYER", "CREATED", "BY", "FILES", "SIZE"]
    assert "nbc-stack" in saved["text/html"]


LOOKS = (
    "from nbcontainer import runtime\nfrom nbcontainer.view.layer_stack import LayerStack\n"
    "from nbcontainer.view.widgets.widget import LiveView\nimport ipywidgets\n"
    "views = [w.view for w in ipywidgets.widgets.widget._instances.values() if isinstance(w, LiveView)]\n"
    "print(len(runtime.current_lab().containers._watchers), sum(view._timer is not None for view in views))"
)


def test_closing_leaves_no_callback_behind(notebook: Any) -> None:
    page = notebook(MAKE, "%container layers web")
    page.run(0)
    before = int(page.python("from nbcontainer import runtime\nprint(len(runtime.current_lab().containers._watchers))"))
    view = page.run(1).locator(".nbc-layers")
    expect(view.locator(".nbc-slab")).to_have_count(3, timeout=PATIENCE)
    assert int(page.python(LOOKS).split()[0]) == before + 1
    page.command("notebook:clear-cell-output", 1)
    for _ in range(100):
        if page.python(LOOKS) == f"{before} 0":
            break
        page.page.wait_for_timeout(100)
    assert page.python(LOOKS) == f"{before} 0"


def test_an_image_and_a_stack_as_the_last_value(notebook: Any) -> None:
    page = notebook(
        "%image layers busybox --path /bin/sh",
        "from nbcontainer import runtime\nruntime.current_lab().images.get('busybox').layers",
    )
    view = page.run(0).locator(".nbc-layers")
    expect(view.get_by_role("searchbox")).to_have_value("/bin/sh", timeout=PATIENCE)
    expect(view.get_by_role("status")).to_contain_text("/bin/sh comes from layer")
    slab(view, 0).get_by_role("button").press("Enter")
    expect(view.get_by_role("option").first).to_be_visible()
    page.pictures(view, "layers-image")
    saved = page.save().cells[0].outputs[0].data["text/plain"]
    assert saved.splitlines()[0].endswith("/bin/sh")
    assert saved.splitlines()[1].endswith("● seen")
    expect(page.run(1).locator(".nbc-layers .nbc-slab")).to_have_count(1, timeout=PATIENCE)
