"""A terminal in a cell, typed into as a person would."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect


def test_a_shell_in_the_cell(notebook: Any) -> None:
    page = notebook("%container run -it --name web busybox sh", "print('not held up')", "c = 1")
    view = page.run(0).locator(".nbc-terminal")
    expect(view).to_be_visible()
    expect(page.run(1)).to_contain_text("not held up")
    page.says(view, "/ #")
    view.locator(".xterm").click()
    page.page.keyboard.type("hostname; echo $((6 * 7)); tty\n")
    page.says(view, "42")
    page.says(view, page.python("%container inspect -f '{{.Config.Hostname}}' web"))
    # The program knows the size of what is seen.
    rows, columns = view.evaluate("(element) => [element.terminal.rows, element.terminal.cols]")
    page.page.keyboard.type("stty size\n")
    page.says(view, f"\n{rows} {columns}\n")
    # Ctrl-C is the program's.
    page.page.keyboard.type("echo ready; sleep 1000\n")
    page.says(view, "\nready")  # before it runs the key would be the shell's
    page.page.keyboard.press("Control+c")
    page.page.keyboard.type("echo interrupted $?\n")
    page.says(view, "interrupted 130")
    page.page.keyboard.type(
        "printf '\\033[1;31mred\\033[0m \\033[44m blue \\033[0m \\033[32mgrün ✓\\033[0m\\n'; ls -l /\n"
    )
    page.says(view, "grün ✓")
    page.says(view, "bin")
    page.pictures(view, "terminal")
    # Full-screen programs.
    view.locator(".xterm").click()
    page.page.keyboard.type("clear; vi /tmp/note\n")
    page.says(view, "- /tmp/note")
    page.page.keyboard.type("ione line")
    page.says(view, "one line")
    page.says(view, "I /tmp/note")
    page.page.keyboard.press("Escape")
    page.says(view, "- /tmp/note")  # an escape and what follows at once would be one key to it
    page.page.keyboard.type(":wq\n")
    page.says(view, "/ #")
    page.page.keyboard.type("cat /tmp/note; exit 3\n")
    expect(view.get_by_role("status")).to_have_text("exited with 3")
    assert page.python("%container inspect -f '{{.State.ExitCode}}' web") == "3"
    saved = page.saved(0, "[exited with 3]")
    assert "one line" in saved["text/plain"]
    assert saved["text/plain"].endswith("[exited with 3]")
    assert "<pre" in saved["text/html"]


def test_several_at_once_and_a_page_that_is_loaded_again(notebook: Any) -> None:
    page = notebook(
        "%container run -dit --name web busybox sh",
        "%container attach web",
        "%container exec -it web top",
        "%lab shell",
    )
    page.run(0)
    attached, top, shell = (page.run(number).locator(".nbc-terminal") for number in (1, 2, 3))
    page.says(shell, "#")
    shell.locator(".xterm").click()
    page.page.keyboard.type("hostname; ip -br link show docker0\n")
    page.says(shell, "docker0          UP")
    page.says(top, "Mem:")
    attached.locator(".xterm").click()
    page.page.keyboard.type("echo typed in $HOSTNAME\n")
    page.says(attached, "typed in " + page.python("%container inspect -f '{{.Config.Hostname}}' web"))
    # The programs go on without a page, and what they have printed is there again.
    page.save()
    page.page.reload()
    page.page.wait_for_selector(".nbc-terminal .xterm")
    page.says(page.output(1).locator(".nbc-terminal"), "typed in ")
    page.says(page.output(3).locator(".nbc-terminal"), "docker0          UP")
    page.output(2).locator(".xterm").click()
    page.page.keyboard.type("q")
    expect(page.output(2).get_by_role("status")).to_have_text("exited with 0")


LOOKING = (
    "from nbcontainer.view.widgets.widget import LiveView\n"
    "import ipywidgets\n"
    "views = [w for w in ipywidgets.widgets.widget._instances.values() if isinstance(w, LiveView)]\n"
    "print(sum(view.looking for view in views), sum(len(view.view.terminal._viewers) for view in views))"
)


def test_closing_leaves_no_callback_behind(notebook: Any) -> None:
    page = notebook("%container run -it --name web busybox sh")
    view = page.run(0).locator(".nbc-terminal")
    page.says(view, "/ #")
    page.prints(LOOKING, "1 1")
    page.command("notebook:clear-cell-output", 0)
    expect(view).to_have_count(0)
    page.prints(LOOKING, "0 0")
    assert page.python("%container ps -q") != ""


def test_much_output_is_not_lost_and_the_program_waits_for_the_page(notebook: Any) -> None:
    page = notebook("%container run -it --name web busybox sh -c 'seq 400000; echo the end; sleep 1000'")
    view = page.run(0).locator(".nbc-terminal")
    page.says(view, "400000\nthe end")


def test_copy_and_paste(notebook: Any) -> None:
    page = notebook("%container run -it --name web busybox sh")
    view = page.run(0).locator(".nbc-terminal")
    page.says(view, "/ #")
    view.locator(".xterm").click()
    page.page.keyboard.type("echo to be copied; sleep 1000\n")
    page.says(view, "\nto be copied")
    # With a selection Ctrl-C copies it, and the program hears nothing of it.
    view.evaluate("e => { const t = e.terminal; t.select(0, t.buffer.active.cursorY - 1, 'to be copied'.length); }")
    page.page.keyboard.press("Control+c")
    assert page.page.evaluate("() => navigator.clipboard.readText()") == "to be copied"
    assert view.evaluate("e => e.terminal.hasSelection()") is False
    # Without one it is the program's.
    page.page.keyboard.press("Control+c")
    page.page.keyboard.type("echo interrupted $?\n")
    page.says(view, "interrupted 130")
    page.page.evaluate("() => navigator.clipboard.writeText('echo pasted here')")
    page.page.keyboard.press("Control+Shift+v")
    page.page.keyboard.press("Enter")
    page.says(view, "\npasted here")
