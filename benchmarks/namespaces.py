"""Named network namespaces and what is in them, beside iproute2 in the same lab: python -m benchmarks.namespaces"""

from __future__ import annotations

from benchmarks.measure import Row, compared, interleaved, limit, seconds_of, table
from nbcontainer.container import on_host
from nbcontainer.network.ip.command import ip
from nbcontainer.network.netns import Netns
from nbcontainer.runtime import Lab, current_lab

MANY = 1000
COUNT = 20


def namespaces(lab: Lab) -> list[Row]:
    """A thousand namespaces at once; a veth pair made, moved, given an address; sockets that live elsewhere."""

    def script(text: str) -> None:
        assert on_host.run(lab, ["sh", "-ec", text]).exit_code == 0

    names = [f"bench{number}" for number in range(MANY)]
    seconds = seconds_of(lambda: lab.netns.add_all(names))
    lab.netns.delete(*names)

    pair = (
        "link add name benchA type veth peer name benchB",
        "link set dev benchB netns bench",
        "-n bench addr add 10.250.0.2/24 dev benchB",
        "-n bench link set dev benchB up",
        "link delete dev benchA",
    )

    def ours_pair() -> None:
        for line in pair:
            ip(lab.netns.host, line.split())

    def theirs_pair() -> None:
        script("\n".join(f"ip {line}" for line in pair))

    bench = lab.netns.add("bench", loopback=True)
    pairs = interleaved(COUNT, ours_pair, theirs_pair)
    place = Netns("bench", lab)
    opened = seconds_of(lambda: [place.socket().close() for _ in range(MANY)]) / MANY
    bench.delete()
    return [
        limit(f"{MANY} network namespaces", seconds, "s", 2),
        compared("a pair of links made, moved, addressed, removed", pairs[0], "ip", pairs[1], 1),
        limit("a socket in another namespace", 1000 * opened, "ms", 1),
    ]


def main() -> None:
    """Measure and print."""
    with current_lab() as lab:
        print(table(namespaces(lab)))


if __name__ == "__main__":
    main()
