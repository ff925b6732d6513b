"""Files written whole or not at all, and what the operating system says about them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from npu_tune.errors import StorageError, remedy_for

CHECK_PATH = "Check the path and the permissions."
CHECK_DISK = "Check the disk and the permissions, then run the same command again."


@contextlib.contextmanager
def storage_errors(
    what: str,
    path: Path | str,
    *,
    action: str = "written",
    remedy: str = CHECK_PATH,
    kind: type[StorageError] = StorageError,
) -> Iterator[None]:
    """Turns what the operating system says about a file or folder into a StorageError.

    Args:
        what: it is called in the message, such as ``The study folder``.
        path: of it.
        action: what cannot be done with it: ``written``, ``read``.
        remedy: what a person can do where the kind of error does not tell.
        kind: of the exception.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise kind(
            f"{what} {os.fspath(path)} cannot be {action}: {error.strerror or error}.",
            remedy=remedy_for(error, remedy),
            path=os.fspath(path),
        ) from error


def is_file(word: Path | str) -> bool:
    """Whether a word that may stand for anything is the path of a file.

    Unlike ``Path.is_file``, which raises on words that can be no path, such as very long ones.
    """
    return os.path.isfile(word)  # noqa: PTH113 - that is the difference


_NETWORK = ("9p", "afs", "ceph", "cifs", "fuse.sshfs", "gpfs", "lustre", "ncpfs", "nfs", "smb")
"""What the kinds of file systems on other machines begin with."""


def is_on_network(path: Path) -> str:
    """The kind of the network drive that a path is on; "" where it is none, or nobody can tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        place = path.resolve()
    except (OSError, RuntimeError, UnicodeError):
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind if kind.startswith(_NETWORK) else ""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Hands out a path beside ``path`` to write to, and moves it there once that went well.

    Whoever reads ``path`` meanwhile finds what was there before; when the block raises, nothing
    of the new content stays behind.

    Raises:
        OSError: if it cannot be written, or if something else than a file is there.
    """
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Writes a file so that it is there whole or not at all.

    Args:
        path: of the file.
        content: of the file.
        private: nobody else may read it.
    """
    with whole_file(path) as partial:
        if private:
            partial.touch(mode=0o600)
        partial.write_bytes(content)
