"""Words become a command, options and arguments as Docker's command line would take them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import UsageError
from nbcontainer.magics.container import CONTAINER
from nbcontainer.magics.dispatch import ROOTS
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.parsing import Parsed, parse, split


def typed(line: str) -> Parsed:
    return parse(CONTAINER, split(line))


def test_run_takes_clusters_values_and_leaves_the_command_alone() -> None:
    parsed = typed("run -it -e A=1 -eB=2 --env=C=3 --name=web -m 64m --rm busybox ls -l --rm")
    assert parsed.path == "%container run"
    assert parsed.values == {
        "interactive": True,
        "tty": True,
        "env": ["A=1", "B=2", "C=3"],
        "name": "web",
        "memory": "64m",
        "rm": True,
    }
    assert parsed.arguments == ["busybox", "ls", "-l", "--rm"]


def test_a_cluster_may_end_in_a_value() -> None:
    assert typed("run -dm64m busybox").values == {"detach": True, "memory": "64m"}
    assert typed("run -dm 64m busybox").values == {"detach": True, "memory": "64m"}
    assert typed("run -m=64m busybox").values == {"memory": "64m"}


def test_options_and_arguments_mix_where_no_command_follows() -> None:
    parsed = typed("rm one -f two")
    assert parsed.values == {"force": True}
    assert parsed.arguments == ["one", "two"]


def test_two_dashes_end_the_options() -> None:
    assert typed("rm -f -- -v").arguments == ["-v"]
    assert typed("exec -- web ls").arguments == ["web", "ls"]


def test_flags_take_a_boolean() -> None:
    assert typed("run --rm=false -d=true busybox").values == {"rm": False, "detach": True}
    with pytest.raises(UsageError, match='invalid argument "maybe" for "--rm" flag'):
        typed("run --rm=maybe busybox")


def test_numbers_are_numbers() -> None:
    assert typed("ls -n 3").values == {"last": 3}
    with pytest.raises(UsageError, match=r'invalid argument "x" for "-n, --last" flag: strconv\.ParseInt'):
        typed("ls -n x")


def test_aliases_lead_to_the_command() -> None:
    for name in ("ls", "ps", "list"):
        assert typed(name).command.name == "ls"


def test_a_hidden_name_is_the_same_option() -> None:
    assert typed("run --net host busybox").values == {"network": ["host"]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --nmae x busybox", "unknown flag: --nmae (did you mean --name?) See '%container run --help'."),
        ("run --zzzzzz busybox", "unknown flag: --zzzzzz See '%container run --help'."),
        ("run -y busybox", "unknown shorthand flag: 'y' in -y See '%container run --help'."),
        (
            "rename -f a b",
            "unknown shorthand flag: 'f' in -f (%container rename takes no flags) See '%container rename --help'.",
        ),
        (
            "stop -f web",
            "unknown shorthand flag: 'f' in -f (there is --signal, --timeout) See '%container stop --help'.",
        ),
        ("run --name", "flag needs an argument: --name See '%container run --help'."),
        ("run -e", "flag needs an argument: 'e' in -e See '%container run --help'."),
        ("run", "\"%container run\" requires at least 1 argument. See '%container run --help'."),
        ("exec web", "\"%container exec\" requires at least 2 arguments. See '%container exec --help'."),
        ("rename a", "\"%container rename\" requires exactly 2 arguments. See '%container rename --help'."),
        ("ps web", "\"%container ls\" accepts no arguments. See '%container ls --help'."),
        (
            "port",
            "\"%container port\" requires at least 1 and at most 2 arguments. See '%container port --help'.",
        ),
        ("rnu busybox", "unknown command: %container rnu (did you mean run?) See '%container --help'."),
    ],
)
def test_a_mistake_is_one_line_that_names_the_nearest(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        typed(line)
    assert str(caught.value) == message


def test_help_needs_nothing_else() -> None:
    assert typed("run --help").help
    assert typed("ls -h").help
    assert typed("run -h web busybox").values == {"hostname": "web"}


def test_quoting_is_the_shells_and_a_hash_is_no_comment() -> None:
    assert split("run busybox sh -c 'echo \"a  b\" # c' #d") == [
        "run",
        "busybox",
        "sh",
        "-c",
        'echo "a  b" # c',
        "#d",
    ]
    with pytest.raises(UsageError, match="no closing quotation in: run 'x"):
        split("run 'x")


@given(st.lists(st.text(alphabet="-=abh e", max_size=6), max_size=6))
def test_no_words_do_more_than_a_usage_error(words: list[str]) -> None:
    for root in ROOTS:
        with suppress(UsageError):
            parse(root, words)


SMALL = Command(
    "x",
    "test",
    (
        Option("alpha", "a"),
        Option("beta", "b", "string"),
        Option("gamma", "g", "list"),
        Option("number", "n", "int"),
    ),
    (Argument("ARG", required=False, repeats=True),),
)


@given(
    alpha=st.booleans(),
    beta=st.none() | st.text(),
    gamma=st.lists(st.text()),
    number=st.none() | st.integers(),
    arguments=st.lists(st.text()),
    joined=st.booleans(),
)
def test_what_is_written_is_read(
    alpha: bool, beta: str | None, gamma: list[str], number: int | None, arguments: list[str], joined: bool
) -> None:
    values: dict[str, object] = {}
    words = []
    if alpha:
        words.append("--alpha")
        values["alpha"] = True
    for name, value in [("beta", beta), ("number", number), *(("gamma", each) for each in gamma)]:
        if value is not None:
            words += [f"--{name}={value}"] if joined else [f"--{name}", str(value)]
            values[name] = [*values.get(name, []), value] if name == "gamma" else value  # type: ignore[misc]
    parsed = parse(SMALL, [*words, "--", *arguments])
    assert parsed.values == values
    assert parsed.arguments == arguments


def test_every_option_of_the_tree_has_one_name_and_one_letter() -> None:
    for root in ROOTS:
        for command in (root, *root.commands):
            names = [name for option in command.options for name in (option.long, *option.also)]
            letters = [option.short for option in command.options if option.short]
            assert len(names) == len(set(names)), command.name
            assert len(letters) == len(set(letters)), command.name
