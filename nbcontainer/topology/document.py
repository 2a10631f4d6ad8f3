"""A topology as a YAML document.

    name: office
    hosts:
      h1:
      h2: {ip: 192.168.1.20/24}
      web: {image: busybox, command: httpd -f}
    switches: [s1]
    routers: [r1]
    links:
      - h1 -- s1
      - h2 -- s1: {rate: 10mbit, delay: 5ms}
      - [s1, r1]

Or `shape: tree 2 2` in place of nodes; nodes and links may be added to it. `every link:` is what all links are like
that do not say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from nbcontainer.errors import InvalidArgument
from nbcontainer.topology.graph import Link, Topology
from nbcontainer.topology.quality import Quality

KEYS = ("name", "shape", "hosts", "switches", "routers", "every link", "links")
#: A document of more than this is no description of a network any more; it also bounds what aliases can blow up.
LONGEST = 1 << 20


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can name one thing a billion times, and without a key given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(None, None, "aliases are not taken", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                raise yaml.MarkedYAMLError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read(text: str, name: str | None = None) -> Topology:
    """The topology that a document describes; `name` is its name unless the document has one.

    Raises `InvalidArgument`, with the line where there is one, and `Conflict` for a name that is there twice.
    """
    if len(text) > LONGEST:
        raise InvalidArgument(f"a topology of {len(text)} letters is too long: at most {LONGEST}")
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise InvalidArgument(f"this is no YAML: {where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"this is no YAML: {str(error).splitlines()[0]}") from None
    if document is None:
        raise InvalidArgument(f"the topology is empty: it has {', '.join(KEYS)}")
    return _topology(_mapping("a topology", document, KEYS), name)


def _topology(document: Mapping[str, Any], name: str | None) -> Topology:
    given = document.get("name")
    shape = document.get("shape")
    every = {key: str(value) for key, value in _mapping("every link", document.get("every link"), None).items()}
    named = _text("name", given) if given is not None else name
    if shape is not None:
        topology = Topology.shape(_text("shape", shape), name=named, **every)
    else:
        topology = Topology() if named is None else Topology(named)
    for key, add in (("hosts", _host), ("switches", _switch), ("routers", _router)):
        for node, options in _nodes(key, document.get(key)).items():
            add(topology, node, options)
    links = document.get("links")
    if links is not None and not isinstance(links, list):
        raise InvalidArgument("links is a list, such as [h1 -- s1, h2 -- s1]")
    for entry in links or []:
        a, b, options = _link(entry)
        topology.add_link(Link(a, b, Quality.parse({**every, **options})))
    return topology


def _mapping(what: str, value: Any, keys: tuple[str, ...] | None) -> Mapping[str, Any]:
    """A mapping whose keys are among `keys`; nothing is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"{what} has keys and values, not {value!r:.60}")
    for key in value:
        if keys is not None and key not in keys:
            raise InvalidArgument(f"{what} has no {str(key)!r:.60}: it has {', '.join(keys)}")
    return {str(key): value[key] for key in value}


def _text(what: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidArgument(f"{what} is a word, not {value!r:.60}")
    return str(value)


def _nodes(what: str, value: Any) -> Mapping[str, Any]:
    """`[h1, h2]`, or `{h1: options, h2: options}`."""
    if isinstance(value, list):
        entries: dict[str, Any] = {}
        for entry in value:
            name = _text(f"each of the {what}", entry)
            if name in entries:
                raise InvalidArgument(f"{what} has {name} twice")
            entries[name] = None
        return entries
    if isinstance(value, str):
        raise InvalidArgument(f"{what} is a list, such as [{value}], or a mapping of names to options")
    return _mapping(what, value, None)


def _host(topology: Topology, name: str, value: Any) -> None:
    options = _mapping(f"host {name}", value, ("ip", "image", "command"))
    command = options.get("command", ())
    if isinstance(command, list):
        command = tuple(_text(f"the command of host {name}", word) for word in command)
    elif command != ():
        command = _text(f"the command of host {name}", command)
    said = {key: _text(f"the {key} of host {name}", options[key]) for key in ("ip", "image") if key in options}
    topology.host(name, command=command, **said)


def _switch(topology: Topology, name: str, value: Any) -> None:
    options = _mapping(f"switch {name}", value, ("stp",))
    stp = options.get("stp")
    if stp is not None and not isinstance(stp, bool):
        raise InvalidArgument(f"the stp of switch {name} is true or false, not {stp!r:.60}")
    topology.switch(name, stp=stp)


def _router(topology: Topology, name: str, value: Any) -> None:
    _mapping(f"router {name}", value, ())
    topology.router(name)


def _link(entry: Any) -> tuple[str, str, dict[str, str]]:
    """`h1 -- s1`, `[h1, s1]`, or the first of these with what the link is like."""
    options: Mapping[str, Any] = {}
    ends: Any = entry
    if isinstance(entry, dict) and len(entry) == 1:
        ends, value = next(iter(entry.items()))
        options = _mapping(f"link {ends}", value, ("rate", "delay", "jitter", "loss"))
    if isinstance(ends, str):
        ends = [end.strip() for end in ends.split("--")]
    if not isinstance(ends, list) or len(ends) != 2 or not all(isinstance(end, str | int) and end for end in ends):
        raise InvalidArgument(f"a link is 'h1 -- s1', ['h1', 's1'] or 'h1 -- s1: {{rate: 10mbit}}', not {entry!r:.60}")
    return str(ends[0]), str(ends[1]), {key: _text(f"the {key} of a link", value) for key, value in options.items()}


def write(topology: Topology) -> str:
    """The document that `read` makes the same topology from."""
    document: dict[str, Any] = {"name": topology.name}
    writers: dict[str, Callable[[Any], dict[str, Any]]] = {
        "hosts": lambda node: {
            **({"ip": str(node.ip)} if node.ip else {}),
            **({"image": node.image} if node.image else {}),
            **({"command": list(node.command)} if node.command else {}),
        },
        "switches": lambda node: {} if node.stp is None else {"stp": node.stp},
        "routers": lambda node: {},
    }
    for (key, options), kind in zip(writers.items(), ("host", "switch", "router"), strict=True):
        nodes = {node.name: options(node) or None for node in topology.nodes.values() if node.kind == kind}
        if nodes:
            document[key] = nodes if any(nodes.values()) else list(nodes)
    links = [{str(link): link.quality.to_json()} if link.quality.to_json() else str(link) for link in topology.links]
    if links:
        document["links"] = links
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)
