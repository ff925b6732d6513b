"""A writer's claim on a study, which dies with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import weakref
from pathlib import Path

from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.shared import other_writer

_TRIES = 5
_TRY_EVERY_S = 0.02
"""Whoever looks whether somebody writes holds the lock for a moment, see :func:`is_locked`."""


class _FileLock:
    """A lock on a file, held until it is released or the process ends.

    Args:
        path: of what it is about, for errors.
        locked: the file that is locked.
        how: ``fcntl.LOCK_EX`` or ``fcntl.LOCK_SH``.
        tries: how often to ask for it.
    """

    def __init__(self, path: Path, locked: Path, how: int, *, tries: int) -> None:
        self._descriptor: int | None = _open(locked, path)
        keep_from_children(self, self._descriptor)
        try:
            _take(self._descriptor, how, tries=tries)
        except OSError as error:
            self.release()
            raise other_writer(str(path), path=str(path)) from error

    def release(self) -> None:
        """Ends it; may be called again."""
        forget(self)
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with contextlib.suppress(OSError):
                os.close(descriptor)


class WriterLock(_FileLock):
    """Keeps other writers away from a file until it is released or its process ends.

    The operating system holds the lock (``flock``) for an open file beside the one it stands
    for, so a killed process leaves none behind; the empty file may stay.

    Args:
        path: of the file.
        tries: how often to ask for it.

    Raises:
        OtherWriterError: if another writer holds the lock.
        StorageError: if the file cannot be made.
    """

    def __init__(self, path: Path, *, tries: int = _TRIES) -> None:
        super().__init__(path, _lock_path(path), fcntl.LOCK_EX, tries=tries)


class SharedLock(_FileLock):
    """Shows that a process is at work beside others, until it is released or the process ends.

    Args:
        path: of the file that is locked; it may stay.

    Raises:
        StorageError: if the file cannot be made or locked.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, path, fcntl.LOCK_SH, tries=10 * _TRIES)


def _open(file: Path, study: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(
            f"The study {study} cannot be written: {error.strerror}.",
            remedy="Check the folder and its permissions.",
            path=str(study),
        ) from error


def _take(descriptor: int, kind: int, *, tries: int) -> None:
    """Locks a file; raises OSError where others do not let go of it."""
    for rest in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError:
            if not rest:
                raise
            time.sleep(_TRY_EVERY_S)
        else:
            return


def is_locked(path: Path) -> bool:
    """Whether a writer holds the lock of a file.

    Raises:
        StorageError: if that cannot be told.
    """
    return _is_held(_lock_path(path), path, fcntl.LOCK_SH)


def is_held(path: Path) -> bool:
    """Whether somebody shows by a :class:`SharedLock` to be at work; raises like the other."""
    return _is_held(path, path, fcntl.LOCK_EX)


def _is_held(file: Path, path: Path, kind: int) -> bool:
    try:
        descriptor = os.open(file, os.O_RDWR if kind == fcntl.LOCK_EX else os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(
            f"Whether the study {path} is being written cannot be told: {error.strerror}.",
            remedy="Check the folder and its permissions.",
            path=str(path),
        ) from error
    keep_from_children(owner := _Looker(), descriptor)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        forget(owner)
        os.close(descriptor)
    return False


class _Looker:
    """Holds a lock for the moment it takes to see whether somebody else does."""


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".writer")


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
