"""Where nbcontainer keeps its files: images (shared by all of a user's kernels) and one directory a lab."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from nbcontainer.errors import Unavailable

#: ioctl_iflags(2): FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, and FS_TOPDIR_FL.
_GETFLAGS, _SETFLAGS, _TOPDIR = 0x80086601, 0x40086602, 0x00020000


@dataclass(frozen=True)
class Home:
    """The directory below which everything is kept."""

    path: Path

    @property
    def images(self) -> Path:
        """The content-addressed store of images."""
        return self.path / "images"

    @property
    def labs(self) -> Path:
        """One directory a lab: its lock, its containers, its volumes."""
        return self.path / "labs"

    @property
    def key(self) -> str:
        """What tells this home's cgroups from another's: 8 hex digits."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:8]

    def make(self) -> None:
        """Make the directories. Raises `Unavailable` where they cannot be."""
        # A lab made by root runs as ids that own nothing here and must still pass through.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            for directory in (*reversed(self.path.parents), self.path, self.images, self.labs):
                if not directory.is_dir():
                    directory.mkdir(mode, exist_ok=True)
                    directory.chmod(mode)  # whatever the umask
                    if directory == self.labs:
                        spread(directory)
        except OSError as error:
            raise Unavailable(
                f"cannot make {error.filename}: {error.strerror}; set NBCONTAINER_HOME to a directory you can write"
            ) from None


def spread(directory: Path) -> None:
    """Tell ext4 that what is in `directory` has nothing to do with each other (chattr(1), "T").

    It then puts each directory's files somewhere else, by its name. Else all would be put where others have just been
    removed, and there, without a journal, each new file looks through every inode that is not to be used again yet.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(fd, _GETFLAGS, bytes(struct.calcsize("l"))))
        fcntl.ioctl(fd, _SETFLAGS, struct.pack("l", flags | _TOPDIR))
    except OSError:
        pass  # another file system
    finally:
        os.close(fd)


def default_home() -> Home:
    """`$NBCONTAINER_HOME`; else /var/lib/nbcontainer for root; else `$XDG_DATA_HOME`/nbcontainer."""
    named = os.environ.get("NBCONTAINER_HOME")
    if named:
        return Home(Path(named).absolute())
    if os.geteuid() == 0:
        return Home(Path("/var/lib/nbcontainer"))
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Home(Path(data).absolute() / "nbcontainer")
