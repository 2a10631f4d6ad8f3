"""The pytest plugin, an entry point with nothing to configure: fixtures, `needs`, leak checks, reports, notebooks."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from nbcontainer.harness.fixtures import container as container
from nbcontainer.harness.fixtures import lab as lab
from nbcontainer.harness.fixtures import netns as netns
from nbcontainer.harness.fixtures import network as network
from nbcontainer.harness.fixtures import topology as topology


def pytest_addoption(parser: pytest.Parser) -> None:
    """What notebooks as tests take besides nbval's options."""
    group = parser.getgroup("nbcontainer", "labs, and notebooks as tests")
    group.addoption(
        "--nbcontainer-update", action="store_true", help="With --nbval: accept new outputs, and write them down"
    )
    group.addoption(
        "--nbcontainer-notebook-timeout", type=float, default=0.0, metavar="SECONDS",
        help="With --nbval: the time a whole notebook may take (default: any)",
    )  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Announce the marker; with nbval at work, add to it."""
    config.addinivalue_line(
        "markers",
        'needs(*what): skip with the machine\'s reason where it lacks any of them: "root", "ids", "overlay", '
        '"cgroup.memory", "netem", "link.vxlan", "program.tcpdump"',
    )
    if _with_notebooks(config):
        from nbcontainer.harness import notebooks

        notebooks.prepare(config)


def _with_notebooks(config: pytest.Config) -> bool:
    return bool(getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """What nbval collects are our notebooks."""
    collected = yield
    if file_path.suffix != ".ipynb" or not _with_notebooks(parent.config):
        return collected
    from nbcontainer.harness import notebooks

    return notebooks.ours(collected)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.needs(…)`."""
    for mark in item.iter_markers("needs"):
        from nbcontainer.harness.needs import lacking

        for what in mark.args:
            why = lacking(what)
            if why:
                pytest.skip(why)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what was in its labs."""
    report = yield
    if report.failed and call.when in ("setup", "call"):
        from nbcontainer.harness.report import sections

        report.sections += sections(getattr(item, "funcargs", {}))
    return report


@pytest.fixture(autouse=True)
def _nbcontainer_leaks() -> Iterator[None]:
    """At the end of every test: a lab that it started and left running is named."""
    from nbcontainer.harness import leaks

    before = leaks.open_labs()
    yield
    left = leaks.open_labs() - before
    assert not left, f"left running by this test: {', '.join(sorted(left))}"
