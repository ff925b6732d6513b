"""A writer's claim on a file, which dies with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from pathlib import Path

from npu_tune.errors import StorageError


class WriterLock:
    """Keeps other writers away from a file until it is released or its process ends.

    The operating system holds the lock (``flock``) for an open file beside the one it stands
    for, so a killed process leaves none behind; the empty file may stay.

    Raises:
        StorageError: if another writer holds the lock, or the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        lock_path = path.with_name(path.name + ".writer")
        try:
            self._descriptor: int | None = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(
                f"The study {path} cannot be written: {error.strerror}.",
                remedy="Check the folder and its permissions.",
                path=str(path),
            ) from error
        _held.add(self)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise StorageError(
                f"Another process is writing the study {path}.",
                remedy="Wait until it has finished, or stop it.",
                path=str(path),
            ) from error

    def release(self) -> None:
        """Lets other writers in; may be called again."""
        _held.discard(self)
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with contextlib.suppress(OSError):
                os.close(descriptor)


_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    """A forked worker must not keep its parent's lock alive when the parent is killed."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_forget_in_child)
