"""A writer's claim on a study, which dies with its process."""

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
        keep_from_children(self, self._descriptor)
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
        forget(self)
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with contextlib.suppress(OSError):
                os.close(descriptor)


_kept: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()


def keep_from_children(owner: object, descriptor: int) -> None:
    """Makes forked processes let go of a file or connection of the owner's.

    Otherwise a worker would keep the claim of a parent alive that was killed.
    """
    _kept[owner] = descriptor


def forget(owner: object) -> None:
    """Ends what :func:`keep_from_children` began, before the descriptor is closed."""
    _kept.pop(owner, None)


def _let_go_in_child() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in list(_kept.values()):
        # The number stays taken, so that whatever closes it later closes nothing else.
        os.dup2(nowhere, descriptor, inheritable=False)
    os.close(nowhere)


os.register_at_fork(after_in_child=_let_go_in_child)
