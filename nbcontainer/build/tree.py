"""A directory as a root of its own: whatever a name or a link in it says, nothing outside is ever opened.

A build's context, read by the notebook's process, and a stage's root, read inside the lab, are such trees.
Standard library only: also runs inside the lab.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat

from nbcontainer.build.patterns import Ignored, component, is_pattern
from nbcontainer.errors import InvalidArgument
from nbcontainer.image.changeset import DEEPEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: As the kernel's: path_resolution(7).
_MOST_LINKS = 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Tree:
    """The directory `path`. What `ignored` hides is not there. Paths are relative to it; "" is itself."""

    def __init__(self, path: str, ignored: Ignored | None = None) -> None:
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.ignored = ignored or Ignored(())

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._root)

    # -- names

    def find(self, path: str) -> str | None:
        """`path` with every link followed, inside; None when there is nothing, or what there is is hidden."""
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        found: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == ".":
                continue
            if part == "..":
                found = found[:-1]
                continue
            here = "/".join([*found, part])
            info = self.stat(here)
            if info is None:
                return None
            if stat.S_ISLNK(info.st_mode):
                links += 1
                if links > _MOST_LINKS:
                    raise InvalidArgument(f"{path}: too many levels of symbolic links")
                target = self.readlink(here)
                found = [] if target.startswith("/") else found
                waiting += [step for step in reversed(target.split("/")) if step not in ("", ".")]
            else:
                if waiting and not stat.S_ISDIR(info.st_mode):
                    return None
                found.append(part)
        here = "/".join(found)
        return None if here and self._is_hidden(here) else here

    def _is_hidden(self, path: str) -> bool:
        if not self.ignored.hides(path):
            return False
        info = self.stat(path)
        if info is None or not stat.S_ISDIR(info.st_mode) or not self.ignored.has_exceptions:
            return True
        return next(self.walk(path), None) is None

    def match(self, pattern: str, deep: bool = False) -> list[str]:
        """The paths that `pattern` matches, in order. With `deep`, `**` stands for any number of directories.

        A link that leads nowhere is matched too: `find` tells.
        """
        found = [""]
        for part in [part for part in pattern.split("/") if part]:
            below: list[str] = []
            for path in found:
                if deep and part == "**":
                    below += [path, *(each for each, info in self.walk(path) if stat.S_ISDIR(info.st_mode))]
                else:
                    below += [posixpath.join(path, name) for name in self._names(path, part)]
            found = list(dict.fromkeys(below))
        return found

    def _names(self, path: str, pattern: str) -> list[str]:
        """The names in the directory `path` that `pattern` matches and nothing hides, in order."""
        try:
            real = self.find(path)
            fd = self._directory(real) if real is not None else -1
        except (NotADirectoryError, FileNotFoundError, InvalidArgument):
            return []
        if real is None:
            return []
        try:
            names = sorted(os.listdir(fd), key=os.fsencode)
        finally:
            os.close(fd)
        wanted = component(pattern) if is_pattern(pattern) else None
        matching = [name for name in names if (wanted.fullmatch(name) if wanted else name == pattern)]
        return [name for name in matching if not self._is_hidden(posixpath.join(real, name))]

    # -- what is there

    def stat(self, path: str) -> os.stat_result | None:
        """What `path` is, no link followed; None when there is nothing."""
        try:
            with _Parent(self, path) as (parent, name):
                return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise

    def readlink(self, path: str) -> str:
        """Where a symbolic link leads."""
        with _Parent(self, path) as (parent, name):
            return os.readlink(name, dir_fd=parent)

    def open(self, path: str) -> int:
        """A descriptor of the regular file `path`, no link followed."""
        with _Parent(self, path) as (parent, name):
            fd = os.open(name, _FILE, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return fd

    def _directory(self, path: str) -> int:
        fd = os.dup(self._root)
        for part in path.split("/") if path else ():
            try:
                inner = os.open(part, _DIRECTORY, dir_fd=fd)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def walk(self, path: str, excluded: Ignored | None = None) -> Iterator[tuple[str, os.stat_result]]:
        """Everything below the directory `path`, a directory before what is in it, names in order.

        `excluded` hides more, by paths relative to `path`. A hidden directory comes only when something in it is shown.
        """
        fd = self._directory(path)
        try:
            yield from self._walk(fd, path, "", excluded)
        finally:
            os.close(fd)

    def _walk(self, fd: int, path: str, inner: str, excluded: Ignored | None) -> Iterator[tuple[str, os.stat_result]]:
        if path.count("/") >= DEEPEST:
            raise InvalidArgument(f"{path[:60]}… lies below {DEEPEST} directories: more than an image may have")
        for name in sorted(os.listdir(fd), key=os.fsencode):
            here, below = posixpath.join(path, name), posixpath.join(inner, name)
            try:
                info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            hidden = self.ignored.hides(here) or (excluded is not None and excluded.hides(below))
            if not stat.S_ISDIR(info.st_mode):
                if not hidden:
                    yield here, info
                continue
            exceptions = self.ignored.has_exceptions or (excluded is not None and excluded.has_exceptions)
            if hidden and not exceptions:
                continue
            if not hidden:
                yield here, info
            sub = os.open(name, _DIRECTORY, dir_fd=fd)
            try:
                shown = not hidden
                for found in self._walk(sub, here, below, excluded):
                    if not shown:
                        shown = True
                        yield here, info
                    yield found
            finally:
                os.close(sub)

    # -- attributes

    def attributes(self, path: str) -> dict[str, bytes]:
        """What programs keep beside a file's content: user attributes and capabilities(7)."""
        with _Parent(self, path) as (parent, name):
            try:
                fd = os.open(name, _FILE, dir_fd=parent)
            except OSError:
                return {}
        try:
            names = [n for n in os.listxattr(fd) if n.startswith(("user.", "security.capability"))]
            return {n: os.getxattr(fd, n) for n in names if not n.startswith("user.overlay.")}
        except OSError:
            return {}
        finally:
            os.close(fd)


class _Parent:
    """The directory that `path` is in, as a descriptor, and its last name."""

    def __init__(self, tree: Tree, path: str) -> None:
        parent, _, self._name = path.rpartition("/")
        self._name = self._name or "."
        self._fd = tree._directory(parent)

    def __enter__(self) -> tuple[int, str]:
        return self._fd, self._name

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
