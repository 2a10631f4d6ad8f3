"""The magics in a real kernel: what a cell shows, says, gives back, and how it fails."""

from __future__ import annotations

import re
from pathlib import Path

from tests.magics.conftest import Kernel


def test_foreground_output_is_the_cells_and_nothing_else_is_shown(kernel: Kernel) -> None:
    cell = kernel.ok("%container run --rm busybox sh -c 'echo out; echo err >&2'")
    assert (cell.stdout, cell.stderr) == ("out\n", "err\n")
    assert cell.result is None
    assert cell.displays == []


def test_a_foreground_run_gives_its_container_back(kernel: Kernel) -> None:
    kernel.ok("c = %container run --name one busybox true")
    assert kernel.ok("print(c.name, c.exit_code)").stdout == "one 0\n"
    # In a cell of its own it is shown like any object.
    shown = kernel.ok("c").result
    assert shown is not None
    assert shown["text/plain"].startswith("<Container one ")
    assert "Exited (0) Less than a minute ago" in shown["text/html"]


def test_detached_prints_nothing_and_shows_the_container(kernel: Kernel) -> None:
    cell = kernel.ok("%container run -d --name web busybox sleep 1000")
    assert (cell.stdout, cell.stderr) == ("", "")
    assert cell.result is not None
    assert cell.result["text/plain"].endswith(" running>")
    assert "Up Less than a minute" in cell.result["text/html"]


def test_a_failing_command_fails_the_cell_in_one_line(kernel: Kernel) -> None:
    cell = kernel.run("%container run --name bad busybox sh -c 'exit 3'\nprint('not reached')")
    assert cell.error is not None
    assert cell.error["ename"] == "CommandFailed"
    assert cell.error["traceback"] == ["Error: bad exited with 3"]
    assert cell.stdout == ""


def test_no_check_gives_the_container_back(kernel: Kernel) -> None:
    assert kernel.ok("c = %container run --no-check busybox sh -c 'exit 3'\nprint(c.exit_code)").stdout == "3\n"


def test_mistakes_are_one_line_and_no_traceback(kernel: Kernel) -> None:
    for typed, said in [
        ("run --nmae x busybox", "unknown flag: --nmae (did you mean --name?) See '%container run --help'."),
        ("inspect nothing", "No such container: nothing"),
        ("run --pull never nothing:here true", "No such image: nothing:here"),
    ]:
        cell = kernel.run(f"%container {typed}")
        assert cell.error is not None
        assert list(cell.error["traceback"]) == [f"Error: {said}"]


def test_a_program_that_is_not_there_is_127(kernel: Kernel) -> None:
    kernel.run("%container run busybox nothing-like-this")
    cell = kernel.ok("import sys; print(sys.last_value.exit_code)")
    assert cell.stdout == "127\n"


def test_cells_feed_standard_input(kernel: Kernel) -> None:
    assert kernel.ok("%%container run --rm busybox wc -l\none\ntwo\n").stdout == "2\n"
    kernel.ok("%container run -d --name web busybox sleep 1000")
    assert kernel.ok("%%container exec web tr a-z A-Z\nhello").stdout.strip() == "HELLO"
    refused = kernel.run("%%container ps\nx")
    assert refused.error is not None
    assert refused.error["evalue"].startswith("%container ls takes no cell")


def test_exec_shows_output_and_gives_the_exit_code(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    assert kernel.ok("%container exec web echo hi").stdout == "hi\n"
    failed = kernel.run("%container exec web sh -c 'exit 4'")
    assert failed.error is not None
    assert failed.error["evalue"] == "sh -c 'exit 4' in web exited with 4"
    assert kernel.ok("r = %container exec --no-check web false\nprint(r.exit_code)").stdout == "1\n"


def test_ps_is_dockers_table_and_html(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    cell = kernel.ok("%container ps")
    assert cell.result is None
    (shown,) = cell.displays
    head, row = shown["text/plain"].splitlines()
    assert head.startswith("CONTAINER ID   IMAGE     COMMAND        CREATED                  STATUS  ")
    assert head.endswith("  PORTS     NAMES")
    assert row[12:] == ('   busybox   "sleep 1000"   Less than a minute ago   Up Less than a minute             web')
    assert '<span class="nbc-dot nbc-good" aria-hidden="true"></span>Up Less than a minute' in shown["text/html"]


def test_a_table_is_shown_wherever_it_stands_and_only_once(kernel: Kernel) -> None:
    cell = kernel.ok("t = %container ps -a\nt")
    assert len(cell.displays) == 1
    assert cell.result is None
    assert kernel.ok("t").result is not None


def test_ps_formats_and_filters(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web --label role=front busybox sleep 1000")
    kernel.ok("%container run --no-check --name done busybox sh -c 'exit 3'")
    assert kernel.ok("%container ps --format '{{.Names}} {{.Image}}'").stdout == "web busybox\n"
    assert kernel.ok("%container ps -a --format '{{.Names}}: {{.Status}}'").stdout == (
        "done: Exited (3) Less than a minute ago\nweb: Up Less than a minute\n"
    )
    assert kernel.ok("%container ps --format '{{.Label \"role\"}}'").stdout == "front\n"
    table = kernel.ok("%container ps -a --format 'table {{.Names}}\\t{{.State}}'").displays[0]["text/plain"]
    assert table == "NAMES     STATE\ndone      exited\nweb       running"
    for filters, names in [
        ("--filter name=^we", "web"),
        ("--filter label=role=front", "web"),
        ("--filter exited=3", "done"),
        ("--filter status=exited", "done"),
        ("-a --filter ancestor=busybox --filter name=done", "done"),
        ("-n 1", "done"),
        ("-l", "done"),
    ]:
        assert kernel.ok(f"%container ps {filters} --format '{{{{.Names}}}}'").stdout == f"{names}\n", filters
    ids = kernel.ok("ids = %container ps -aq\nprint(len(ids), [len(i) for i in ids])")
    assert ids.stdout.splitlines()[-1] == "2 [12, 12]"
    wrong = kernel.run("%container ps --filter nmae=x")
    assert wrong.error is not None
    assert wrong.error["evalue"].startswith("invalid filter 'nmae': there are ancestor, exited")


def test_inspect_prints_json_and_gives_it_back(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    cell = kernel.ok("found = %container inspect web\nfound")
    assert cell.stdout.startswith('[\n    {\n        "Id": "')
    assert cell.result is None
    assert kernel.ok("print(found[0]['Name'])").stdout == "/web\n"
    assert kernel.ok("%container inspect -f '{{.State.Status}}' web").stdout == "running\n"
    address = kernel.ok("ip = %container inspect -f '{{.NetworkSettings.IPAddress}}' web\nprint('ip', ip)")
    assert address.stdout == "172.17.0.2\nip 172.17.0.2\n"
    both = kernel.run("%container inspect -f '{{.Name}}' web nothing")
    assert both.stdout == "/web\n"
    assert both.error is not None


def test_the_life_of_a_container(kernel: Kernel) -> None:
    kernel.ok("c = %container create --name web busybox sleep 1000\nassert c.status == 'created'")
    assert kernel.ok("%container start web").stdout == "web\n"
    top = kernel.ok("%container top web -o pid,cmd").displays[0]["text/plain"].splitlines()
    assert top[0].split() == ["PID", "CMD"]
    assert top[1].endswith("sleep 1000")
    assert kernel.ok("%container rename web www").stdout == ""
    assert kernel.ok("%container stop -t 0 www").stdout == "www\n"
    assert kernel.ok("code = %container wait www\nprint('code', code)").stdout == "137\ncode 137\n"
    assert kernel.ok("%container rm www").stdout == "www\n"
    forced = kernel.ok("%container rm -f www")
    assert (forced.stdout, forced.stderr) == ("", "Error: No such container: www\n")
    gone = kernel.run("%container rm www")
    assert gone.error is not None
    assert gone.error["evalue"] == "No such container: www"


def test_several_names_are_all_done_although_one_is_wrong(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name aa busybox sleep 1000")
    kernel.ok("%container run -d --name bb busybox sleep 1000")
    cell = kernel.run("%container stop -t 0 aa nothing bb")
    assert cell.stdout == "aa\nbb\n"
    assert cell.error is not None
    assert cell.error["evalue"] == "No such container: nothing"


def test_logs_keep_streams_apart(kernel: Kernel) -> None:
    kernel.ok("%container run --name web busybox sh -c 'for i in 1 2 3; do echo $i; done; echo e >&2'")
    cell = kernel.ok("%container logs web")
    assert (cell.stdout, cell.stderr) == ("1\n2\n3\n", "e\n")
    assert kernel.ok("%container logs --tail 2 web").stdout + kernel.ok("%container logs -n 0 web").stdout == "3\n"


def test_logs_with_timestamps(kernel: Kernel) -> None:
    kernel.ok("%container run --name web busybox sh -c 'echo one; echo two'")
    lines = kernel.ok("%container logs -t web").stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in lines)


def test_following_shows_what_was_and_what_comes(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sh -c 'mkfifo /go; seq 3; read x < /go; seq 4 6'")
    kernel.ok("%container exec -d web sh -c 'until [ -p /go ]; do sleep 0.1; done; echo > /go'")
    assert kernel.ok("%container logs -f web").stdout == "1\n2\n3\n4\n5\n6\n"


def test_diff_cp_and_export(kernel: Kernel, tmp_path: Path) -> None:
    kernel.ok("%container run --name web busybox sh -c 'echo hi > /new'")
    assert kernel.ok("%container diff web").displays[0]["text/plain"] == "A /new"
    kernel.ok(f"%container cp web:/new {tmp_path}/copied")
    assert (tmp_path / "copied").read_text() == "hi\n"
    (tmp_path / "given").write_text("back\n")
    kernel.ok(f"%container cp {tmp_path}/given web:/etc/given")
    kernel.ok(f"%container export -o {tmp_path}/root.tar web")
    assert b"etc/given" in (tmp_path / "root.tar").read_bytes()
    refused = kernel.run("%container export -o /nonexistent/root.tar web")
    assert refused.error is not None
    assert refused.error["evalue"] == "cannot write /nonexistent/root.tar: no such file or directory"


def test_explain_shows_the_steps(kernel: Kernel) -> None:
    cell = kernel.ok("%container run --rm --explain busybox true")
    text = cell.displays[0]["text/plain"]
    assert text.splitlines()[0].split() == ["STEP", "WHAT", "TIME"]
    assert "exec" in text


def test_events_tell_what_happened(kernel: Kernel) -> None:
    kernel.ok("%container run --name web busybox true")
    said = kernel.ok("%container events --format '{{.Action}}' --filter container=web").stdout.split()
    assert said == ["create", "start", "die"]


def test_python_variables_and_templates_live_in_one_line(kernel: Kernel) -> None:
    kernel.ok("name, word = 'web', 'a b'")
    assert kernel.ok("%container run --name {name} busybox echo '{word}' $name").stdout == "a b web\n"
    assert kernel.ok("%container inspect -f '{{.Name}}' {name}").stdout == "/web\n"
    kernel.ok("def run(image):\n    return get_ipython().run_line_magic('container', 'run --rm {image} echo in')")
    assert kernel.ok("run('busybox');").stdout == "in\n"


def test_bytes_that_are_no_text_are_replaced_and_split_letters_are_not(kernel: Kernel) -> None:
    cell = kernel.ok(r"%container run --rm busybox printf '\303\244 \377 \342\202'")
    assert cell.stdout == "ä � �"


def test_volumes(kernel: Kernel) -> None:
    kernel.ok("%volume create data")
    kernel.ok("%container run --rm -v data:/data busybox sh -c 'echo kept > /data/file'")
    assert kernel.ok("%container run --rm -v data:/data busybox cat /data/file").stdout == "kept\n"
    assert kernel.ok("%volume ls").displays[0]["text/plain"] == "DRIVER    VOLUME NAME\nlocal     data"
    assert kernel.ok("%volume ls -q").stdout == "data\n"
    assert kernel.ok("%volume inspect -f '{{.Name}}' data").stdout == "data\n"
    assert kernel.ok("%volume rm data").stdout == "data\n"


def test_images(kernel: Kernel) -> None:
    text = kernel.ok("%image ls").displays[0]["text/plain"]
    assert text.splitlines()[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert any(line.startswith("busybox ") for line in text.splitlines())
    kernel.ok("%image tag busybox mine:1")
    assert kernel.ok("%image ls --format '{{.Repository}}:{{.Tag}}' mine").stdout == "mine:1\n"
    assert kernel.ok("%image ls --filter reference=mi* --format '{{.Tag}}'").stdout == "1\n"
    assert kernel.ok("%image rm mine:1").stdout == "Untagged: mine:1\n"
    assert len(kernel.ok("%image history busybox").displays[0]["text/plain"].splitlines()) >= 2
    assert kernel.ok("%image inspect -f '{{.Os}}' busybox").stdout == "linux\n"


def test_the_lab_and_a_script_on_its_host(kernel: Kernel) -> None:
    shown = kernel.ok("%lab").displays[0]
    assert shown["text/plain"].startswith("Lab ")
    assert "Namespaces:" in shown["text/plain"]
    assert "<dl>" in shown["text/html"]
    cell = kernel.ok("%%lab -e\nid -u\nread x || echo no input\necho $1 >&2")
    assert cell.stdout == "0\nno input\n"
    assert kernel.ok("%%lab -- one\necho $1").stdout == "one\n"
    failed = kernel.run("%%lab -e\nfalse\necho not reached")
    assert failed.error is not None
    assert failed.error["traceback"] == ["Error: the script exited with 1"]


def test_help_is_printed(kernel: Kernel) -> None:
    assert kernel.ok("%container").stdout.startswith("Usage:  %container COMMAND\n")
    assert kernel.ok("%container run --help").stdout.startswith("Usage:  %container run [OPTIONS] IMAGE")


def test_tab_offers_commands_options_and_names(kernel: Kernel) -> None:
    kernel.ok("%container run -d --name web busybox sleep 1000")
    assert kernel.complete("%container ren") == ["rename"]
    assert kernel.complete("%container stop ") == ["web"]
    assert kernel.complete("%container run --netw") == ["--network", "--network-alias"]
    assert kernel.complete("%container run --network=ho") == ["--network=host"]
    assert "busybox" in kernel.complete("%container run -d bus")
    assert "busybox" in kernel.complete("%%container run bus")
    assert kernel.complete("c = %container exec w") == ["web"]
    assert kernel.complete("x = 1\n%container stop w") == ["web"]
    assert kernel.complete("%lab do") == ["doctor"]


def test_loading_twice_is_harmless_and_unloading_undoes_it(kernel: Kernel) -> None:
    kernel.ok("%load_ext nbcontainer\n%reload_ext nbcontainer")
    assert kernel.ok("%container run --rm busybox echo once").stdout == "once\n"
    kernel.ok("%unload_ext nbcontainer")
    assert "`%container` not found" in kernel.run("%container ps").stderr
    assert "web" not in kernel.complete("%container stop ")
    kernel.ok("%load_ext nbcontainer")


def test_logs_of_a_stretch_of_time(kernel: Kernel) -> None:
    kernel.ok("%container run --name spoke busybox sh -c 'echo early; sleep 3; echo late'")
    assert kernel.ok("%container logs --since 2500ms spoke").stdout == "late\n"
    assert kernel.ok("%container logs --until 2500ms spoke").stdout == "early\n"
    wrong = kernel.run("%container logs --since yesterday spoke")
    assert wrong.error["traceback"] == [
        'Error: invalid value for "since": yesterday is neither a time (2025-01-31T12:00:00Z) nor how long ago (42m)'
    ]


def test_start_feeds_its_cell_to_the_container(kernel: Kernel) -> None:
    kernel.ok("%container create -i --name counts busybox wc -l")
    assert kernel.ok("%%container start -i counts\none\ntwo\n").stdout.strip() == "2"


def test_sizes_and_what_pruning_gives_back(kernel: Kernel) -> None:
    kernel.ok("%container run --name wrote busybox dd if=/dev/zero of=/file bs=1k count=100")
    (shown,) = kernel.ok("%container ps -a -s --filter name=wrote").displays
    assert "102kB (virtual" in shown["text/plain"]
    assert kernel.ok("%container prune").stdout.endswith("\n\nTotal reclaimed space: 102kB\n")
    assert kernel.ok("%container prune").stdout == "Total reclaimed space: 0B\n"


def test_an_archive_has_no_place_in_a_cell(kernel: Kernel) -> None:
    kernel.ok("%container create --name files busybox true")
    failed = kernel.run("%container cp files:/etc -")
    assert failed.error["traceback"] == [
        "Error: a notebook is no place for an archive: name a file or a directory instead of -"
    ]
