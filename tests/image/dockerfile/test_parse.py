"""What each instruction takes, and what is said when it is given something else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import DockerfileError
from nbcontainer.image.dockerfile import instructions as i
from nbcontainer.image.dockerfile.parse import parse
from nbcontainer.image.dockerfile.source import Source
from nbcontainer.image.dockerfile.stages import dockerfile
from nbcontainer.image.dockerfile.statements import Heredoc, read


def parse_text(text: str) -> i.Instruction:
    found = read(Source("Dockerfile", text))
    (statement,) = found.statements
    return parse(statement, found.escape)


def fields(instruction: i.Instruction) -> dict[str, Any]:
    return {name: value for name, value in vars(instruction).items() if name != "statement"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM busybox", {"base": "busybox", "name": "", "platform": ""}),
        ("FROM --platform=linux/amd64 a AS Build", {"base": "a", "name": "build", "platform": "linux/amd64"}),
        ("ARG a", {"names": (("a", None),)}),
        ("ARG a=1 b c='x y'", {"names": (("a", "1"), ("b", None), ("c", "'x y'"))}),
        ("ENV a=1 b='x y' c=x\\ y", {"pairs": (("a", "1"), ("b", "'x y'"), ("c", "x\\ y"))}),
        ("ENV a b c=d", {"pairs": (("a", "b c=d"),)}),
        ('LABEL a.b=1 "c d"=e', {"pairs": (("a.b", "1"), ('"c d"', "e"))}),
        ("EXPOSE 80 81/udp", {"text": "80 81/udp"}),
        ("VOLUME /a /b", {"paths": ("/a", "/b")}),
        ('VOLUME ["/a b"]', {"paths": ("/a b",)}),
        ("USER a:b", {"user": "a:b"}),
        ("WORKDIR /a b", {"path": "/a b"}),
        ("CMD a b", {"words": ("a b",), "shell": True}),
        ('CMD ["a", "b"]', {"words": ("a", "b"), "shell": False}),
        ("CMD ['a']", {"words": ("['a']",), "shell": True}),
        ("CMD [ -f x ] && y", {"words": ("[ -f x ] && y",), "shell": True}),
        ("ENTRYPOINT []", {"words": (), "shell": False}),
        ('SHELL ["/bin/bash", "-c"]', {"words": ("/bin/bash", "-c")}),
        ("STOPSIGNAL SIGINT", {"signal": "SIGINT"}),
        ("MAINTAINER a <b@c>", {"name": "a <b@c>"}),
        ("ONBUILD RUN a", {"text": "RUN a"}),
        ("HEALTHCHECK NONE", {"check": {"Test": ["NONE"]}}),
        ("HEALTHCHECK CMD a b", {"check": {"Test": ["CMD-SHELL", "a b"]}}),
        (
            'HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0 --start-interval=2s --retries=4 CMD ["a"]',
            {
                "check": {
                    "Test": ["CMD", "a"],
                    "Interval": 90 * 10**9,
                    "Timeout": 15 * 10**8,
                    "StartInterval": 2 * 10**9,
                    "Retries": 4,
                }
            },
        ),
    ],
)
def test_instructions(text: str, wanted: dict[str, Any]) -> None:
    assert fields(parse_text(text)) == wanted


def test_copy() -> None:
    found = parse_text("COPY --from=b --chown=1:2 --chmod=644 --link --parents --exclude=*.o --exclude=x a b /c/")
    assert isinstance(found, i.Copy)
    assert (found.sources, found.target, found.origin) == (("a", "b"), "/c/", "b")
    assert (found.chown, found.chmod, found.link, found.parents) == ("1:2", "644", True, True)
    assert found.exclude == ("*.o", "x")


def test_copy_of_json_and_of_heredocs() -> None:
    found = parse_text('COPY ["a b", "c d"]')
    assert isinstance(found, i.Copy)
    assert (found.sources, found.target) == (("a b",), "c d")
    found = parse_text("COPY <<A x <<B /y/\n1\nA\n2\nB")
    assert isinstance(found, i.Copy)
    assert [one.text if isinstance(one, Heredoc) else one for one in found.sources] == ["1\n", "x", "2\n"]


def test_add() -> None:
    found = parse_text("ADD --checksum=sha256:ab --unpack=false --keep-git-dir=true http://x/y /z")
    assert isinstance(found, i.Add)
    assert (found.checksum, found.unpack) == ("sha256:ab", False)


def test_run_mounts() -> None:
    found = parse_text("RUN --network=none --mount=type=cache,target=/a,id=b,sharing=locked,mode=0700 make")
    assert isinstance(found, i.Run)
    assert (found.words, found.network) == (("make",), "none")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("RUNN a", "unknown instruction: RUNN (did you mean RUN?)"),
        ("FORM a", "unknown instruction: FORM (did you mean FROM?)"),
        ("ENTRYPONT a", "unknown instruction: ENTRYPONT (did you mean ENTRYPOINT?)"),
        ("QQQ a", "unknown instruction: QQQ"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1b", 'invalid name for build stage: "1b", name can\'t start with a number or contain symbols'),
        ("COPY", "COPY requires at least two arguments"),
        ("COPY a", "COPY requires at least two arguments, but only one was provided. Destination could not be"),
        ("ADD a", "ADD requires at least two arguments, but only one was provided"),
        ("COPY --form=a b c", "unknown flag: --form (did you mean from?)"),
        ("COPY --from b c", "missing a value on flag: from"),
        ("COPY --from=a --from=b c d", "duplicate flag specified: from"),
        ("COPY --link=maybe a b", "expecting boolean value for flag link, not: maybe"),
        ("COPY a <<EOF\nEOF", "COPY cannot accept a heredoc as a destination"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ("ENV =b", "ENV names can not be blank"),
        ("ARG", "ARG requires at least one argument"),
        ("ARG =b", "ARG names can not be blank"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("USER", "USER requires exactly one argument"),
        ("RUN", "RUN requires at least one argument"),
        ("RUN --security=x a", 'security "x" is not valid'),
        ("RUN --network=x a", 'invalid network mode "x"'),
        ("RUN --mount=type=cahce,target=/a b", 'unsupported mount type "cahce" (did you mean cache?)'),
        ("RUN --mount=type=cache b", "target is required"),
        ("RUN --mount=type=bind,target=/a,mode=1 b", 'mode not allowed for "bind" type mounts'),
        ("RUN --mount=type=cache,taget=/a b", "unexpected key 'taget' in 'taget=/a' (did you mean target?)"),
        ("RUN --mount=type=cache,target=/a,sharing=all b", 'unsupported sharing value "all"'),
        ("RUN --mount=type=tmpfs,target=/a,size=big b", "invalid value for size: big"),
        ("SHELL a", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("CMD [1]", "arrays must be comprised of strings only"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK CDM a", 'Unknown type "CDM" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE a", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=5 CMD a", 'invalid duration "5"'),
        ("HEALTHCHECK --interval=5us CMD a", "cannot be less than 1ms"),
        ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
    ],
)
def test_wrong(text: str, why: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        dockerfile(Source("Dockerfile", f"FROM x\n{text}"), {}, {})
    message = str(caught.value)
    assert message.startswith("Dockerfile:2: dockerfile parse error on line 2: ")
    assert why in message
    assert "\n" not in message
    assert "   2 | >>> " in caught.value.excerpt


_NAMES = (
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR"
)


@given(st.sampled_from(_NAMES.split()), st.text(alphabet="ab=\\'\"[],:/-<>${} \t1"))
def test_anything_is_parsed_or_refused_in_one_line(name: str, rest: str) -> None:
    why = ""
    try:
        dockerfile(Source("Dockerfile", f"FROM x\n{name} {rest}"), {}, {})
    except DockerfileError as error:
        why = str(error)
    assert not why or why.startswith("Dockerfile:2: ")
