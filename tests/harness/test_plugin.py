"""The pytest plugin, in pytest runs of its own: fixtures, skips, leaks and reports."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)


def test_fixtures_give_a_lab_and_what_is_in_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from nbcontainer import Topology

        def test_containers(lab, container, network):
            backend = network("backend", subnet="10.5.0.0/24")
            web = container(name="web", network="backend")
            assert lab.containers.list() == [web]
            assert web.exec(["hostname", "-i"]).stdout.strip() == b"10.5.0.2"

        def test_another_has_a_lab_of_its_own(lab):
            assert lab.containers.list(all=True) == []

        def test_namespaces(netns):
            assert netns("r1").name == "r1"

        def test_topologies(topology):
            assert topology(Topology.line(2)).pingall()
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=4)


def test_a_lab_left_running_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from nbcontainer import Lab
        kept = []

        def test_forgets():
            kept.append(Lab())

        def test_next():
            pass
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*left running by this test: a lab whose init is process *"])


def test_a_failure_shows_what_the_containers_printed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_fails(lab, container):
            c = container(command=["sh", "-c", "echo this is why; exit 3"], name="broken")
            assert c.wait() == 0
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*- lab lab -*", "*- container broken -*", "exited, exit code 3", "made in * steps, *", "this is why"]
    )


def test_what_a_machine_lacks_is_the_reason_of_a_skip(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.needs("program.no-such-program")
        def test_program(): pass

        @pytest.mark.needs("link.dummy-of-mars")
        def test_link(): pass

        @pytest.mark.needs("link.veth")
        def test_veth(): pass

        @pytest.mark.needs("moon")
        def test_unknown(): pass
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(passed=1, skipped=2, errors=1)
    result.stdout.fnmatch_lines_random(
        ["*not installed: no-such-program*", "*this kernel has no dummy-of-mars*", "*needs('moon'): there are root, *"]
    )
