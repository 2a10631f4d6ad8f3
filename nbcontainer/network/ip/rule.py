"""`ip rule`: which table is looked into for which packet (ip-rule(8))."""

from __future__ import annotations

from typing import Any

from pyroute2.netlink.rtnl.fibmsg import fibmsg

from nbcontainer.errors import UsageError
from nbcontainer.network.ip.answer import Answer, answer
from nbcontainer.network.ip.context import Context
from nbcontainer.network.ip.route import TABLES, name_in
from nbcontainer.network.ip.words import Words, family_of, prefix
from nbcontainer.network.wire import NLM_F_CREATE, NLM_F_EXCL

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
COMMANDS = ("show", "list", "lst", "add", "delete", "flush")
ACTIONS = {"blackhole": 6, "unreachable": 7, "prohibit": 8}
TO_TABLE, GOTO, NOP = 1, 2, 3
INVERT = 2


def rule(context: Context, words: Words) -> Answer | None:
    """`ip rule [COMMAND]`."""
    command = words.command(COMMANDS, "show", "ip rule")
    if command in ("show", "list", "lst"):
        words.end()
        rows = [row(one) for one in _all(context)]
        return answer("rule", rows, [text(made) for made in rows])
    if command == "flush":
        for one in _all(context):
            if one.get_attr("FRA_PRIORITY"):
                context.netlink.request(RTM_DELRULE, _again(one))
        return None
    message, what = _read(context, words, new=command == "add")
    kind, flags = (RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL) if command == "add" else (RTM_DELRULE, 0)
    context.request(kind, message, flags, what)
    return None


def _read(context: Context, words: Words, new: bool) -> tuple[Any, str]:
    message = fibmsg()
    family, table = context.options.family, 0
    attributes: list[Any] = []
    message["action"] = TO_TABLE if new else 0
    typed: list[str] = []
    while words:
        word = words.next()
        typed += [word, words.head]
        if word in ("from", "to"):
            host, length = prefix(words.next(word), family)
            if length:
                family = family or family_of(host)
                attributes.append(["FRA_SRC" if word == "from" else "FRA_DST", host])
            message["src_len" if word == "from" else "dst_len"] = length
        elif word in ("table", "lookup"):
            text = words.next(word)
            table = TABLES[text] if text in TABLES else int(text) if text.isdigit() else words.wrong(text, "table")
        elif word in ("priority", "preference", "pref", "order"):
            attributes.append(["FRA_PRIORITY", words.number(word)])
        elif word == "fwmark":
            mark, _, mask = words.next(word).partition("/")
            attributes.append(["FRA_FWMARK", int(mark, 0)])
            if mask:
                attributes.append(["FRA_FWMASK", int(mask, 0)])
        elif word in ("iif", "dev", "oif"):
            attributes.append(["FRA_OIFNAME" if word == "oif" else "FRA_IIFNAME", words.link_name(word)])
        elif word in ("tos", "dsfield"):
            message["tos"] = words.number(word, 255)
        elif word == "not":
            message["flags"] = message["flags"] | INVERT
        elif word == "goto":
            message["action"] = GOTO
            attributes.append(["FRA_GOTO", words.number(word)])
        elif word == "nop":
            message["action"] = NOP
        elif word in ("type",) or word in ACTIONS:
            message["action"] = ACTIONS[words.choice(word, ACTIONS) if word == "type" else word]
        else:
            words.garbage(word)
    if new and not table and message["action"] == TO_TABLE:
        raise UsageError(f"Not enough information: a table is required: {words.path}")
    message["family"] = family or 2
    message["table"] = table if table < 256 else 0
    if table > 255:
        attributes.append(["FRA_TABLE", table])
    message["attrs"] = attributes
    return message, f"rule {' '.join(word for word in typed if word)}"


def _all(context: Context) -> list[Any]:
    message = fibmsg()
    message["family"] = context.options.family or 2
    return context.netlink.dump(RTM_GETRULE, message)


def _again(one: Any) -> Any:
    message = fibmsg()
    for key in ("family", "dst_len", "src_len", "tos", "table", "action", "flags"):
        message[key] = one[key]
    kept = ("FRA_DST", "FRA_SRC", "FRA_IIFNAME", "FRA_OIFNAME", "FRA_PRIORITY", "FRA_FWMARK", "FRA_FWMASK", "FRA_TABLE")
    message["attrs"] = [[name, one.get_attr(name)] for name in kept if one.get_attr(name) is not None]
    return message


def row(one: Any) -> dict[str, Any]:
    """A rule as `ip -json rule show` has it."""
    full = 128 if one["family"] == 10 else 32
    made: dict[str, Any] = {"priority": one.get_attr("FRA_PRIORITY") or 0}
    if one["flags"] & INVERT:
        made["not"] = True
    for key, attribute, length in (("src", "FRA_SRC", "src_len"), ("dst", "FRA_DST", "dst_len")):
        if one.get_attr(attribute):
            made[key] = one.get_attr(attribute)
            if one[length] != full:
                made[f"{key}len"] = one[length]
    made.setdefault("src", "all")
    if one["tos"]:
        made["tos"] = f"{one['tos']:#04x}"
    if one.get_attr("FRA_FWMARK"):
        made["fwmark"] = f"{one.get_attr('FRA_FWMARK'):#x}"
        if one.get_attr("FRA_FWMASK") != 0xFFFFFFFF:
            made["fwmask"] = f"{one.get_attr('FRA_FWMASK'):#x}"
    for key, attribute in (("iif", "FRA_IIFNAME"), ("oif", "FRA_OIFNAME")):
        if one.get_attr(attribute):
            made[key] = one.get_attr(attribute)
    if one["action"] == TO_TABLE:
        number = one.get_attr("FRA_TABLE")
        made["table"] = name_in(TABLES, number if number is not None else one["table"])
    elif one["action"] == GOTO:
        made["goto"] = one.get_attr("FRA_GOTO")
    elif one["action"] == NOP:
        made["nop"] = True
    else:
        made["action"] = name_in(ACTIONS, one["action"])
    return made


def text(made: dict[str, Any]) -> str:
    """The line of a rule."""

    def place(key: str) -> str:
        return str(made[key]) + (f"/{made[key + 'len']}" if f"{key}len" in made else "")

    words = ["not"] if "not" in made else []
    words += ["from", place("src")]
    if "dst" in made:
        words += ["to", place("dst")]
    if "tos" in made:
        words += ["tos", made["tos"]]
    if "fwmark" in made:
        words += ["fwmark", made["fwmark"] + (f"/{made['fwmask']}" if "fwmask" in made else "")]
    for key in ("iif", "oif"):
        if key in made:
            words += [key, made[key]]
    if "table" in made:
        words += ["lookup", made["table"]]
    if "goto" in made:
        words += ["goto", str(made["goto"])]
    if "nop" in made:
        words.append("nop")
    if "action" in made:
        words.append(made["action"])
    return f"{made['priority']}:\t{' '.join(words)}"
