"""`%netns` in a real kernel."""

from __future__ import annotations

from tests.magics.conftest import Kernel

#: The course's section 5, as it is typed; `ping` with a count, since it would not end.
SECTION_5 = """
%netns add r1
%netns add r2
%netns link add name veth1.1 type veth peer name veth1.2
%netns link set dev veth1.2 netns r1
%netns exec r1 ip link set dev veth1.2 name eth0
%netns addr add 10.1.0.1/24 dev veth1.1
%netns link set veth1.1 up
%netns exec r1 ifconfig eth0 10.1.0.2/24 up
%netns link set dev veth1.1 netns r2
%netns exec r2 ifconfig veth1.1 10.1.0.3/24 up
"""


def test_section_5(kernel: Kernel) -> None:
    cell = kernel.ok(SECTION_5)
    assert (cell.stdout, cell.stderr) == ("", "")
    assert kernel.ok("%netns list").displays[0]["text/plain"] == "r1 (id: 0)\nr2 (id: 1)"
    assert "1 packets transmitted, 1 " in kernel.ok("%netns exec r2 ping -c 1 10.1.0.2").stdout
    assert "10.1.0.2 dev veth1.1 lladdr 02:44:" in kernel.ok("%netns -n r2 neigh").displays[0]["text/plain"]


def test_tables_and_objects(kernel: Kernel) -> None:
    cell = kernel.ok("r1 = %netns add r1\nr1")
    assert cell.result is not None
    assert ">r1</span>" in cell.result["text/html"]
    (shown,) = kernel.ok("t = %netns link show").displays
    assert shown["text/plain"].startswith("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536")
    assert '<td class="nbc-code">lo</td>' in shown["text/html"]
    assert kernel.ok("t.answer.rows[0]['ifname']").result == {"text/plain": "'lo'"}
    assert kernel.ok("%netns -n r1 -br link").displays[0]["text/plain"].startswith("lo               DOWN ")
    assert kernel.ok("%netns -j -n r1 addr").stdout.startswith('[{"ifindex": 1, "ifname": "lo"')


def test_a_cell_runs_there(kernel: Kernel) -> None:
    kernel.ok("%netns add r1")
    cell = kernel.ok("%%netns exec r1\nip link set lo up\nip -br addr show lo | cut -c1-40\nip netns identify")
    assert cell.stdout == "lo               UNKNOWN        127.0.0.\nr1\n"
    assert kernel.ok("%%netns exec r1 cat\nsome text").stdout == "some text\n"
    failed = kernel.run("%%netns exec r1\nexit 3")
    assert failed.error is not None
    assert failed.error["traceback"] == ["Error: the script in r1 exited with 3"]
    assert kernel.ok("(%netns exec --no-check r1 false)".strip("()")).error is None
    kernel.ok("%netns add r2")
    assert kernel.ok("%netns -all exec ip netns identify").stdout == "\nnetns: r1\nr1\n\nnetns: r2\nr2\n"


def test_pids_identify_attach_set_and_monitor(kernel: Kernel) -> None:
    kernel.ok("m = %netns monitor")
    kernel.ok("r1 = %netns add r1")
    kernel.ok("%%netns exec r1\nsleep 300 >/dev/null 2>&1 &")
    kernel.ok("(pid,) = r1.pids()")
    assert kernel.ok("%netns identify $pid").displays[0]["text/plain"] == "r1"
    kernel.ok("%netns attach again $pid")
    kernel.ok("%netns set r1 7")
    assert kernel.ok("%netns").displays[0]["text/plain"] == "again (id: 7)\nr1 (id: 7)"
    kernel.ok("%netns del again")
    result = kernel.ok("m.wait(3)").result
    assert result == {"text/plain": "['add r1', 'add again', 'delete again']"}
    kernel.ok("m.stop()")


def test_a_containers_namespace_has_its_name(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    assert "inet 172.17.0.2/16" in kernel.ok("%netns -n web addr").displays[0]["text/plain"]
    assert "web" in kernel.complete("%netns -n ")
    assert "172.17.0.2/16" in kernel.ok("%netns exec web ip -br addr show eth0").stdout
    kernel.ok("from nbcontainer.runtime import current_lab\nweb = current_lab().containers.get('web').netns")
    assert kernel.ok("with web.listen(('172.17.0.2', 80)): print(web.connect(('172.17.0.2', 80)).getpeername())").stdout
    kernel.ok("%container stop -t 0 web")
    assert "is not running" in str(kernel.run("%netns -n web addr").error)


def test_mistakes_and_help(kernel: Kernel) -> None:
    for line, text in (
        ("%netns frob", "unknown command: %netns frob"),
        ("%netns exec nosuch true", 'Cannot open network namespace "nosuch": No such file or directory'),
        ("%netns add r/1", "Invalid netns name 'r/1'"),
        ("%netns exec", "No netns name specified"),
        ("%%netns link\nx", "a cell is for `%%netns exec NAME`"),
        ("%%netns\nadd r8\n\nip frob", "line 3: unknown command: %netns frob"),
        ("%netns del nosuch", "Cannot remove namespace file"),
    ):
        error = kernel.run(line).error
        assert error is not None, line
        assert text in error["evalue"], line
    assert "Commands:\n  add " in kernel.ok("%netns --help").stdout
    assert "Usage:  %netns link COMMAND" in kernel.ok("%netns link --help").stdout
    assert kernel.complete("%netns mon") == ["monitor"]
    assert "lo" in kernel.complete("%netns link set ")


def test_capture(kernel: Kernel) -> None:
    kernel.ok("%netns add r1\n%netns add r2")
    kernel.ok("%netns link add name a type veth peer name b\n%netns link set a netns r1\n%netns link set b netns r2")
    for line in (
        "r1 link set a up",
        "r2 link set b up",
        "r1 addr add 10.1.0.1/24 dev a",
        "r2 addr add 10.1.0.2/24 dev b",
    ):
        kernel.ok(f"%netns -n {line}")
    kernel.ok("c = %capture -n r2 b arp or icmp")
    kernel.ok("%netns exec r1 ping -c 1 10.1.0.2")
    result = kernel.ok("c.stop()").result
    assert result is not None
    assert "who has 10.1.0.2? tell 10.1.0.1" in result["text/plain"]
    assert '<td class="nbc-prose">echo reply, seq ' in result["text/html"]
    talk = kernel.ok("c.diagram").result
    assert talk is not None
    assert talk["text/plain"].startswith("r1 10.1.0.1 ⇢ r2 10.1.0.2  ARP   who has 10.1.0.2?")
    assert '<svg class="nbc-talk" role="img"' in talk["text/html"]
    # Live: until there are enough, in one place.
    kernel.ok("import threading\nt = threading.Timer(0.3, lambda: Netns('r1').exec(['ping', '-c', '1', '10.1.0.2']))")
    cell = kernel.ok("from nbcontainer import Netns\nt.start()\nd = %capture --live -c 2 -n r2 b icmp")
    assert len(cell.displays) == 1
    assert kernel.ok("len(d)").result == {"text/plain": "2"}
    for line, text in (
        ("%capture nosuch", "nosuch: No such device exists (on the lab's host there are lo, and any)"),
        ("%capture lo frob", "capture filter 'frob'"),
        ("%capture", "requires at least 1 argument"),
        ("%capture -c 0 lo", "--count 0"),
    ):
        error = kernel.run(line).error
        assert error is not None
        assert text in error["evalue"]
    assert kernel.complete("%capture l") == ["lo"]


def test_a_capture_knows_containers_that_have_ended(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    kernel.ok("c = %capture docker0 icmp")
    kernel.ok("%container run --rm --name client busybox ping -c 1 172.17.0.2")
    kernel.ok("%container exec web ping -c 1 172.17.0.1")
    assert kernel.ok("print(c.stop().diagram)").stdout.splitlines() == [
        "client 172.17.0.3 → web 172.17.0.2     ICMP  echo request",
        "web 172.17.0.2    → client 172.17.0.3  ICMP  echo reply",
        "web 172.17.0.2    → host 172.17.0.1    ICMP  echo request",
        "host 172.17.0.1   → web 172.17.0.2     ICMP  echo reply",
    ]


#: As the text has it, comments and all, but for `ping`, which would not end.
AS_PRINTED = """%%netns
ip netns add r1
ip netns add r2 # two network namespaces
ip netns list
ip link add name veth1.1 type veth peer name veth1.2  # a pair of cards
ip link set dev veth1.2 netns r1 # one of them to r1
ip netns exec r1 ip link set dev veth1.2 name eth0
ifconfig veth1.1 10.1.0.1/24 up
ip netns exec r1 ifconfig eth0 10.1.0.2/24 up
ip link set dev veth1.1 netns r2
ip netns exec r2 ifconfig veth1.1 10.1.0.3/24 up
ip netns exec r2 ping -c 1 10.1.0.2
"""


def test_section_5_as_it_is_printed(kernel: Kernel) -> None:
    cell = kernel.ok(AS_PRINTED)
    assert cell.displays[0]["text/plain"] == "r1\nr2"
    assert "1 packets transmitted, 1 " in cell.stdout


def test_ctrl_c_ends_what_runs_there(kernel: Kernel) -> None:
    kernel.ok("%netns add r1")
    kernel.ok("%netns exec r1 ip link set lo up")
    cell = kernel.interrupted("%netns exec r1 sh -c 'echo started; exec sleep 1000'")
    assert cell.error is not None
    assert kernel.ok("Netns = __import__('nbcontainer').Netns\nNetns('r1').pids()").result == {"text/plain": "[]"}
