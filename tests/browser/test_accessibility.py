"""Who sees little, hears the page, has no mouse or wants things to stand still: axe-core, the keyboard, motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

RUN = """\
%container run -d --name web --memory 64m busybox sleep 1000
%container run -d --name db busybox sleep 1000
"""
CARD = "from nbcontainer import runtime\nruntime.current_lab().containers.get('web')"
#: What shows each widget, and where it is.
WIDGETS = {
    "terminal": ("%container exec -it web sh", ".nbc-terminal"),
    "topology": ("%lab topology", ".nbc-topology"),
    "usage": ("%container stats", ".nbc-usage"),
    "card": (CARD, ".nbc-page"),
    "processes": ("%lab processes", ".nbc-page"),
    "namespaces": ("%container namespaces", ".nbc-page"),
    "layers": ("%container layers web", ".nbc-layers"),
    "build": ("%%image build -t made:1 --no-cache\nFROM busybox\nRUN echo made for web\n", ".nbc-progress"),
    "table": ("%container ps", "form.nbc-sorts"),
}
#: Violations that axe calls serious or critical, with the elements that have them.
CHECK = """async element => {
    const found = await axe.run(element, {resultTypes: ['violations']});
    return found.violations.filter(one => ['serious', 'critical'].includes(one.impact))
        .map(one => one.id + ': ' + one.nodes.map(node => node.html.slice(0, 160)).join(' | '));
}"""
#: What the Tab key has to reach: of radio buttons in a group one, the arrows go on from there.
CONTROLS = """element => {
    const groups = new Set();
    const all = [...element.querySelectorAll('button, select, input, textarea, a[href], summary, [tabindex="0"]')];
    const wanted = all.filter(one => {
        if (one.disabled || one.tabIndex < 0 || !one.checkVisibility({visibilityProperty: true})) return false;
        if (one.type !== 'radio') return true;
        const known = groups.has(one.name);
        groups.add(one.name);
        return !known;
    });
    const key = one => one.type === 'radio' ? 'radio ' + one.name
        : one.tagName + ' ' + (one.getAttribute('aria-label') || one.textContent || one.className);
    element.keyOf = key;
    return wanted.map(key);
}"""
#: What has the focus, and whether that can be seen: an outline, of itself or of its label, or the view's own border.
FOCUSED = """element => {
    const one = document.activeElement;
    if (!element.contains(one)) return null;
    const outlined = x => {
        const {outlineStyle, outlineWidth} = getComputedStyle(x);
        return outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
    };
    const marked = element.classList.contains('nbc-focus') || element.closest('.nbc-focus') !== null;
    return [element.keyOf(one), Boolean(outlined(one) || [...(one.labels ?? [])].some(outlined) || marked)];
}"""


def shown(page: Any, name: str, number: int) -> Locator:
    """Run the cell of a widget, and wait until it has drawn what it shows."""
    view = page.run(number).locator(WIDGETS[name][1]).first
    expect(view).to_be_visible()
    if name == "terminal":
        page.says(view, "/ #")
    elif name == "topology":
        page.until(view, "e => e.graph")
        page.drawn(view)
    else:
        expect(view).to_contain_text("web")
    return view


@pytest.fixture
def widgets(notebook: Any) -> tuple[Any, dict[str, Locator]]:
    """A notebook with every widget, and the widgets."""
    page = notebook(RUN, *(cell for cell, _ in WIDGETS.values()))
    page.run(0)
    return page, {name: shown(page, name, 1 + number) for number, name in enumerate(WIDGETS)}


def test_axe_finds_nothing_serious(widgets: Any) -> None:
    if not AXE.exists():
        pytest.skip("not installed: axe-core (`make frontend`)")
    page, views = widgets
    page.page.evaluate(AXE.read_text())
    found = {}
    for dark in (False, True):
        page.theme(dark)
        for name, view in views.items():
            view.scroll_into_view_if_needed()
            if violations := view.evaluate(CHECK):
                found[name, "dark" if dark else "light"] = violations
    page.theme(False)
    assert found == {}


def test_every_control_is_reached_by_keyboard_and_shows_its_focus(widgets: Any) -> None:
    page, views = widgets
    for name, view in views.items():
        wanted = view.evaluate(CONTROLS)
        view.scroll_into_view_if_needed()
        view.evaluate("""e => { e.before(Object.assign(document.createElement('span'), {tabIndex: -1, id: 'before'}));
                                document.getElementById('before').focus(); }""")  # fmt: skip
        reached = []
        for _ in range(len(wanted) + 2):
            page.page.keyboard.press("Tab")
            focused = view.evaluate(FOCUSED)
            if focused is None:
                break
            assert focused[1], f"{name}: no focus is seen on {focused[0]}"
            if focused[0] not in reached:
                reached.append(focused[0])
        assert reached == list(dict.fromkeys(wanted)), name
        page.page.evaluate("() => document.getElementById('before').remove()")
        # Out of a terminal, which has Tab for itself.
        if name == "terminal":
            page.page.keyboard.press("Shift+Escape")
            assert view.evaluate("e => !e.contains(document.activeElement)")


def test_usage_moves_once_a_second_for_who_wants_no_motion(notebook: Any) -> None:
    page = notebook(RUN, "%container stats")
    page.page.emulate_media(reduced_motion="reduce")
    page.run(0)
    usage = page.run(1).locator(".nbc-usage")
    page.until(usage, "e => e.usage?.series.times.length > 5")
    between = usage.evaluate(
        """e => new Promise(done => {
            const times = [e.usage.drawnAt()];
            const look = () => {
                if (e.usage.drawnAt() !== times.at(-1)) times.push(e.usage.drawnAt());
                if (times.length < 4) requestAnimationFrame(look);
                else done(times.slice(2).map((time, index) => time - times[index + 1]));
            };
            look();
        })"""
    )
    assert min(between) > 900
