"""Usage in a page: what the kernel counts, its limits, what happens at them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

RUN = """\
%container run -d --name busy --cpus 0.2 --memory 64m busybox sh -c 'while :; do :; done'
%container run -d --name idle --pids-limit 20 busybox sleep 1000
"""
EATS = "%container run -d --name eats --memory 32m --restart always busybox sh -c 'sleep 2; tail /dev/zero'"


def test_stats(notebook: Any) -> None:
    page = notebook(RUN, "%container stats", "print('not held up')")
    if "no control groups" in page.python("%lab info") or page.python(
        "from nbcontainer import runtime; print(runtime.current_lab().cgroups.mode)"
    ).endswith("none"):
        page.python("1")
        return
    page.run(0)
    view = page.run(1).locator(".nbc-usage")
    expect(view).to_be_visible()
    expect(page.run(2)).to_contain_text("not held up")
    page.page.wait_for_function("() => document.querySelector('.nbc-usage')?.usage?.series.times.length > 40")
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
    page.page.wait_for_timeout(3000)
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
    for _ in range(100):
        if page.python("print(len(runtime.current_lab().sampler._subscribers))") == "0":
            break
        page.page.wait_for_timeout(100)
    assert page.python("print(len(runtime.current_lab().sampler._subscribers))") == "0"
