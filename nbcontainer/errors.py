"""What can go wrong, as a small tree. Each message is one line: the thing, the cause, the remedy."""

from __future__ import annotations


class NbcontainerError(Exception):
    """The root of the tree. `exit_code` is what Docker's command line would have ended with."""

    exit_code = 125


class UsageError(NbcontainerError):
    """What was typed does not follow the grammar."""


class InvalidArgument(NbcontainerError):
    """A value is of the right kind but cannot be: a name, a size, a mount, an address."""


class InvalidReference(InvalidArgument):
    """An image's name does not follow the distribution spec's grammar."""


class NotFound(NbcontainerError):
    """Nothing here has that name or id."""


class Conflict(NbcontainerError):
    """The name is taken, or the state of the thing forbids what was asked."""


class Unavailable(NbcontainerError):
    """This machine does not offer what was asked; the message says what would make it possible."""


class LabError(NbcontainerError):
    """The lab could not start, or something inside it failed."""


class LabGone(LabError):
    """The lab has ended; the next command starts a new one."""


class ImageError(NbcontainerError):
    """An image, an archive or a layer is not what it says it is."""


class DockerfileError(NbcontainerError):
    """A Dockerfile is wrong, or a step of it has failed. `excerpt` shows its lines, as Docker does."""

    def __init__(self, message: str, excerpt: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.excerpt = excerpt
        self.exit_code = exit_code


class RegistryError(NbcontainerError):
    """A registry could not be reached, refused, or answered what no registry may answer."""


class StartFailed(NbcontainerError):
    """A container was made but its command could not start (126 not executable, 127 not found, 125 set-up)."""

    def __init__(self, message: str, exit_code: int = 125) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CommandFailed(NbcontainerError):
    """A command ran in the foreground and ended with something other than 0."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
