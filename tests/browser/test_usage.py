"""Usage in a page: what the kernel counts, its limits, what happens at them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE

RUN = """\
%container run -d --name busy --cpus 0.2 --memory 64m busybox sh -c 'while :; do :; done'
%container run -d --name idle --pids-limit 20 busybox sleep 1000
"""
EATS = "%container run -d --name eats --memory 32m --restart always busybox sh -c 'sleep 2; tail /dev/zero'"


def without_groups(page: Any) -> bool:
    code = "from nbcontainer import runtime; print(runtime.current_lab().cgroups.mode)"
    return bool(page.python(code).endswith("none"))


GROUPS = """\
%cgroup create busy --cpu-max '20000 100000' --memory-max 64m
%cgroup create small --pids-max 20
"""
SPIN = """\
import subprocess
with runtime.current_lab().cgroup_tree.get("busy"):
    spinning = subprocess.Popen(["sh", "-c", "while :; do :; done"])
"""


def test_groups(notebook: Any) -> None:
    """`%cgroup watch`: the same picture of groups that were made by hand."""
    page = notebook(GROUPS, "%cgroup watch", "print('not held up')")
    if without_groups(page):
        return
    page.run(0)
    # The groups' events are told in the notebook in any case.
    subscribers = page.python("print(len(runtime.current_lab().sampler._subscribers))")
    view = page.run(1).locator(".nbc-usage")
    expect(view).to_be_visible(timeout=PATIENCE)
    expect(page.run(2)).to_contain_text("not held up")
    page.python(SPIN)
    page.page.wait_for_function("() => document.querySelector('.nbc-usage')?.usage?.series.marks.length > 0")
    state = view.evaluate("e => ({names: e.usage.series.names, limits: e.usage.limits()})")
    assert sorted(state["names"]) == ["busy", "small"]
    assert state["limits"] == {"busy": {"cpu": 20, "memory": 64 << 20}, "small": {"pids": 20}}
    # As the kernel counts it: what runs in it is one process, and is held to a fifth of a processor.
    busy = "Object.fromEntries(Object.entries(e.usage.series.values.get('busy')).map(([k, v]) => [k, v.at(-1)]))"
    assert view.evaluate(f"e => {busy}")["pids"] == 1
    page.page.wait_for_function(
        "() => { const e = document.querySelector('.nbc-usage'), cpu = e.usage.series.values.get('busy').cpu.at(-1);"
        " return cpu > 5 && cpu < 40; }"
    )
    seen = view.evaluate("e => e.usage.series.times.length")
    page.until(view, "(e, seen) => e.usage.series.times.length > seen + 20", seen)
    page.pictures(view, "usage-groups")
    view.get_by_role("button", name="small").press("Enter")
    expect(view.get_by_role("button", name="small")).to_have_attribute("aria-pressed", "false")
    page.python("spinning.kill(); spinning.wait(); None")
    page.python("%cgroup create later")
    expect(view.get_by_role("button", name="later")).to_be_visible(timeout=PATIENCE)
    assert page.save().cells[1].outputs[0].data["text/plain"].startswith("NAME")
    page.command("notebook:clear-cell-output", 1)
    page.prints("print(len(runtime.current_lab().sampler._subscribers))", subscribers)


def test_stats(notebook: Any) -> None:
    page = notebook(RUN, "%container stats", "print('not held up')")
    if without_groups(page):
        return
    page.run(0)
    view = page.run(1).locator(".nbc-usage")
    expect(view).to_be_visible()
    expect(page.run(2)).to_contain_text("not held up")
    page.page.wait_for_function("() => document.querySelector('.nbc-usage')?.usage?.series.times.length > 10")
    page.page.wait_for_function("() => document.querySelector('.nbc-usage').usage.series.marks.length > 0")
    state = view.evaluate(
        """e => {
            const {series, limits} = e.usage;
            const last = name =>
                Object.fromEntries(Object.entries(series.values.get(name)).map(([k, v]) => [k, v.at(-1)]));
            return {names: series.names, limits: limits(), busy: last('busy'), idle: last('idle'),
                    marks: [...new Set(series.marks.map(m => m.name + ' ' + m.what))]};
        }"""
    )
    assert sorted(state["names"]) == ["busy", "idle"]
    assert state["limits"]["busy"] == {"cpu": 20, "memory": 64 << 20}
    assert state["limits"]["idle"] == {"pids": 20}
    assert state["marks"] == ["busy throttled"]
    assert state["idle"]["pids"] == 1
    # As the kernel counts it.
    told = int(page.python("print(runtime.current_lab().containers.get('busy').cgroup.usage().memory)"))
    assert abs(state["busy"]["memory"] - told) < (1 << 20)
    # What is started appears, and is marked when it is killed.
    page.python(EATS)
    page.page.wait_for_function(
        "() => document.querySelector('.nbc-usage').usage.series.marks"
        ".some(m => m.name === 'eats' && m.what === 'oom')",
    )
    seen = view.evaluate("e => e.usage.series.times.length")
    page.until(view, "(e, seen) => e.usage.series.times.length > seen + 20", seen)
    page.pictures(view, "usage")
    page.python("%container rm -f eats")
    # Pause, range, groups.
    view.get_by_role("button", name="Pause").click()
    expect(view.get_by_role("button", name="Go on")).to_be_visible()
    view.get_by_role("button", name="idle").click()
    expect(view.get_by_role("button", name="idle")).to_have_attribute("aria-pressed", "false")
    view.get_by_role("combobox").select_option("15")
    # The table is what is saved.
    saved = page.save().cells[1].outputs[0].data
    assert saved["text/plain"].startswith("CONTAINER ID   NAME")
    assert "<table" in saved["text/html"]
    # Nothing samples when nobody looks.
    page.command("notebook:clear-cell-output", 1)
    page.prints("print(len(runtime.current_lab().sampler._subscribers))", "0")
