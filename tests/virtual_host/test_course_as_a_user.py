"""The course prints the same letters on a machine with cgroup v2, as an ordinary user. All of it: `make course-v2`."""

from __future__ import annotations

from tests.virtual_host import course

pytestmark = course.booted


def test_lessons_on_v2() -> None:
    course.compare(["02-cgroups"], ordinary=True)


@course.slow
def test_lessons_with_a_packet_filter() -> None:
    course.compare_filtered(ordinary=True)
