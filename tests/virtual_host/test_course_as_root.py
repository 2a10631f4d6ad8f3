"""The course prints the same letters on a machine with cgroup v2, as root. All of it: `make course-v2`."""

from __future__ import annotations

from tests.virtual_host import course

pytestmark = course.booted


def test_lessons_on_v2() -> None:
    course.compare(["00-tour", "01-what-a-container-is", "02-cgroups", "08-an-experiment"], ordinary=False)


@course.slow
def test_lessons_with_a_packet_filter() -> None:
    course.compare_filtered(ordinary=False)
