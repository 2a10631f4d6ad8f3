"""`%image pull`, `push`, `login`, `logout` and `search`."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Literal, TextIO

from nbcontainer.errors import InvalidArgument, UsageError
from nbcontainer.image.reference import DEFAULT_TAG, Reference
from nbcontainer.image.registry.progress import Event, Lines, Progress, nobody
from nbcontainer.magics import formats
from nbcontainer.magics.call import Call, Text, shown
from nbcontainer.magics.grammar import Argument, Command, Option
from nbcontainer.magics.progress import followed
from nbcontainer.view.progress.transfer import Transfer
from nbcontainer.view.pulling import Live
from nbcontainer.view.tables import Column


@contextmanager
def shown_while(call: Call) -> Iterator[None]:
    """What is pulled meanwhile is said on stderr, as `docker run` does."""
    progress: list[Progress] = []
    with ExitStack() as stack:

        def tell(event: Event) -> None:
            if not progress:
                progress.append(stack.enter_context(followed(Transfer("Pull"), _lines(sys.stderr), "stderr")))
            progress[0](event)

        end = call.lab.images.watch(tell)
        try:
            yield
        finally:
            end()


def _lines(stream: TextIO) -> Progress:
    """Events on a terminal as they come, else in lines that are the same every time."""
    return Live(stream) if stream.isatty() else Lines(lambda line: print(line, file=stream))


def _followed(verb: Literal["Pull", "Push"], name: str, quiet: bool) -> AbstractContextManager[Progress]:
    return nullcontext(nobody) if quiet else followed(Transfer(verb, name), _lines(sys.stdout))


def pull(call: Call) -> object:
    """An image from its registry."""
    name, quiet, every = call.arguments[0], call.get("quiet", False), call.get("all_tags", False)
    reference = Reference.parse(name)
    full = f"{reference.domain}/{reference.path}" if every else _full(reference)
    with _followed("Pull", name, quiet) as progress:
        if not every and reference.tag == DEFAULT_TAG and ":" not in name.rpartition("/")[2]:
            progress(Event(f"Using default tag: {DEFAULT_TAG}"))
        found = call.lab.images.pull(name, all_tags=every, platform=call.get("platform"), progress=progress)
        progress(Event(full))
    if quiet:
        call.print(full)
    return shown(found)


def _full(reference: Reference) -> str:
    """As Docker ends a pull: with the domain."""
    tag = f":{reference.tag}" if reference.tag else ""
    digest = f"@{reference.digest}" if reference.digest else ""
    return f"{reference.domain}/{reference.path}{tag}{digest}"


def push(call: Call) -> object:
    """An image to its registry."""
    name, quiet = call.arguments[0], call.get("quiet", False)
    names, said = [name], ""
    if call.get("all_tags"):
        repository = Reference.parse(name).repository
        if ":" in name.rpartition("/")[2]:
            raise UsageError("tag can't be used with --all-tags/-a")
        names = [tag for image in call.lab.images.list() for tag in image.tags
                 if Reference.parse(tag).repository == repository]  # fmt: skip
        if not names:
            raise InvalidArgument(f"An image does not exist locally with the tag: {repository}")
    elif ":" not in name.rpartition("/")[2] and "@" not in name:
        said = f"Using default tag: {DEFAULT_TAG}"
    digests = []
    for one in sorted(names):
        with _followed("Push", one, quiet) as progress:
            if said:
                progress(Event(said))
            digests.append(call.lab.images.push(one, progress=progress))
        if quiet:
            call.print(_full(Reference.parse(one)))
    return shown(Text(digests[0])) if len(digests) == 1 else shown(digests)


def login(call: Call) -> None:
    """A credential, tried and kept as Docker keeps it."""
    from nbcontainer.image.registry import login as registry

    server = call.arguments[0] if call.arguments else None
    username, password = call.get("username"), call.get("password")
    if call.get("password_stdin"):
        if password is not None:
            raise UsageError("--password and --password-stdin are mutually exclusive")
        if username is None:
            raise UsageError("Must provide --username with --password-stdin")
        if call.cell is None and "IPython" in sys.modules:
            raise UsageError("--password-stdin reads the cell: %%image login ... and the password below it")
        password = (sys.stdin.read() if call.cell is None else call.cell).rstrip("\r\n")
    elif password is not None:
        call.say("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    try:
        if username is None:
            username = input("Username: ")
        if password is None:
            password = getpass.getpass("Password: ")
    except (EOFError, OSError, NotImplementedError):
        raise UsageError("nobody can be asked here: give --username and --password-stdin") from None
    if not username or not password:
        raise InvalidArgument("username and password must not be empty")
    done = registry.login(call.lab.home.path, server, username, password)
    if done.unencrypted:
        call.say(f"WARNING! Your password will be stored unencrypted in {done.unencrypted}.")
    call.print("Login Succeeded")


def logout(call: Call) -> None:
    """The credential is forgotten."""
    from nbcontainer.image.registry import login as registry
    from nbcontainer.image.registry.credentials import server_key

    server = call.arguments[0] if call.arguments else None
    domain = registry.domain_of(server)
    if registry.logout(call.lab.home.path, server):
        call.print(f"Removing login credentials for {server_key(domain)}")
    else:
        call.print(f"Not logged in to {domain}")


SEARCH = (
    Column("Name", "NAME"), Column("Description", "DESCRIPTION"), Column("StarCount", "STARS"),
    Column("IsOfficial", "OFFICIAL"),
)  # fmt: skip


def search(call: Call) -> object:
    """What a registry lists."""
    trunc = not call.get("no_trunc")
    found = call.lab.images.search(call.arguments[0], limit=call.get("limit", 25))
    rows = [
        {
            "Name": one.name,
            "Description": " ".join(one.description[:42].split()) + "..." if trunc and len(one.description) > 45
            else " ".join(one.description.split()),
            "StarCount": str(one.stars),
            "IsOfficial": "[OK]" if one.official else "",
        }
        for one in found
    ]  # fmt: skip
    tests: dict[str, formats.Test] = {
        "is-official": lambda row, wanted: bool(row["IsOfficial"]) == (wanted in ("1", "true")),
        "stars": lambda row, wanted: wanted.isdecimal() and int(row["StarCount"]) >= int(wanted),
    }
    return formats.show_rows(
        call, f"Search for {call.arguments[0]}", SEARCH, formats.filtered(call, rows, tests), key="Name"
    )


QUIET = Option("quiet", "q", help="Suppress verbose output")
SERVER = Argument("SERVER", required=False)

COMMANDS = (
    Command(
        "pull", "Download an image from a registry",
        (
            Option("all-tags", "a", help="Download all tagged images in the repository"),
            Option("platform", "", "string", "Set platform if server is multi-platform capable"),
            QUIET,
        ),
        (Argument("NAME[:TAG|@DIGEST]", completes="image"),), action=pull,
    ),
    Command(
        "push", "Upload an image to a registry",
        (Option("all-tags", "a", help="Push all tags of an image to the repository"), QUIET),
        (Argument("NAME[:TAG]", completes="image"),), action=push,
    ),
    Command(
        "login", "Authenticate to a registry; without SERVER to Docker Hub",
        (
            Option("password", "p", "string", "Password"),
            Option("password-stdin", help="Take the password from the cell"),
            Option("username", "u", "string", "Username"),
        ),
        (SERVER,), action=login, cell="the password, with --password-stdin",
    ),
    Command("logout", "Log out from a registry; without SERVER from Docker Hub", (), (SERVER,), action=logout),
    Command(
        "search", "Search Docker Hub, or the repositories that HOST[:PORT]/ lists",
        (
            formats.FILTER, formats.FORMAT,
            Option("limit", "", "int", "Max number of search results", default="25"), formats.NO_TRUNC,
        ),
        (Argument("TERM"),), action=search,
    ),
)  # fmt: skip
