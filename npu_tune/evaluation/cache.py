"""The folder of stores: where it is, how large it may get, what is in it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npu_tune.errors import StorageError, UsageError
from npu_tune.evaluation.store import Store, store_path
from npu_tune.evaluation.store_file import BUSY_TIMEOUT_S, DAMAGED, beside, remove_unused
from npu_tune.files import is_on_network, storage_errors
from npu_tune.quantities import parse_size
from npu_tune.targets import Problem

FOLDER_VARIABLE = "NPU_TUNE_CACHE"
"""Names the folder; set to nothing, it means that there is none."""

LIMIT_VARIABLE = "NPU_TUNE_CACHE_LIMIT"
"""Such as ``500 MiB``."""

DEFAULT_LIMIT_BYTES = 2 * 2**30
"""Some million evaluations of a small network, or some hundred thousand of a large one."""

ROOM = 0.9
"""What is used of the limit once the cache was made smaller, so that it is not so at once again."""

OPTIONAL_TIMEOUT_S = 5.0
"""How long a search waits for a cache that nobody asked for by name."""

SUFFIX = ".sqlite"


@dataclass(frozen=True)
class Cache:
    """A folder of stores.

    Args:
        folder: of them.
        is_named: True where somebody named it, who is told when it cannot be used.
        most_bytes: that it may take.
    """

    folder: Path
    is_named: bool = False
    most_bytes: int = DEFAULT_LIMIT_BYTES

    def open(self, problem: Problem, about: Mapping[str, Any]) -> Store:
        """The store of a problem, which the caller closes; makes room where there is too little.

        Args:
            problem: whose evaluations it keeps.
            about: how it can be bound again, as JSON.

        Raises:
            StorageError: if it cannot be used, or lies on a network drive although nobody named it.
        """
        path = store_path(self.folder, problem.identity)
        if not self.is_named and (drive := is_on_network(self.folder)):
            raise StorageError(
                f"The cache {self.folder} is on a network drive ({drive}), where SQLite is not safe.",
                remedy=f"Name a folder of this machine in {FOLDER_VARIABLE}.",
            )
        store = Store(
            path,
            timeout_s=BUSY_TIMEOUT_S if self.is_named else OPTIONAL_TIMEOUT_S,
            machine=samples_of(problem),
        )
        try:
            store.describe(about)
            self.trim(store)
        except BaseException:
            store.close()
            raise
        return store

    def files(self) -> list[CachedFile]:
        """What the folder holds, by the time of its last use, the latest first.

        Raises:
            StorageError: if the folder cannot be read.
        """
        if not self.folder.exists():
            return []
        with storage_errors("The cache", self.folder, action="read"):
            found = [
                _file(path)
                for path in self.folder.iterdir()
                if path.name.endswith((SUFFIX, SUFFIX + DAMAGED))
            ]
        return sorted(found, key=lambda each: (-each.used, each.path.name))

    def trim(self, store: Store) -> None:
        """Makes room: whole problems that were not used longest go first, then rows of this one.

        Args:
            store: of the problem that is used now.
        """
        files = self.files()
        size = sum(each.size_bytes for each in files)
        if size <= self.most_bytes:
            return
        goal = ROOM * self.most_bytes
        for each in reversed(files):
            if size > goal and each.path != store.path:
                size -= each.size_bytes if remove_file(each.path) else 0
        own = _file(store.path).size_bytes
        if size > goal and own:
            store.forget(share=min(1.0, (size - goal) / own))


@dataclass(frozen=True)
class CachedFile:
    """The file of one problem, or one that was set aside.

    Args:
        path: of it.
        size_bytes: with what SQLite keeps beside it.
        used: when it was last written to, in seconds since the epoch.
    """

    path: Path
    size_bytes: int = field(default=0)
    used: float = field(default=0.0)

    @property
    def is_damaged(self) -> bool:
        """True for what was set aside."""
        return self.path.name.endswith(DAMAGED)


def samples_of(problem: Problem) -> str:
    """The machine that kept samples belong to; "" where evaluations do not differ."""
    return "" if problem.deterministic else socket.gethostname()


def default_cache() -> Cache | None:
    """The user's cache; None where the environment says that there is none.

    Raises:
        UsageError: if the limit in the environment is no size.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named == "":
        return None
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        folder = Path(named).expanduser() if named else base.expanduser() / "npu-tune/evaluations"
    except RuntimeError:  # there is no home
        return None
    return Cache(folder.absolute(), most_bytes=_limit())


def named_cache(folder: Path) -> Cache:
    """A cache that somebody named."""
    return Cache(folder, is_named=True, most_bytes=_limit())


def remove_file(path: Path) -> bool:
    """Removes a file of a cache; False where it is in use."""
    try:
        if path.name.endswith(DAMAGED):
            path.unlink(missing_ok=True)
            return True
        return remove_unused(path)
    except OSError:
        return False


def _limit() -> int:
    text = os.environ.get(LIMIT_VARIABLE)
    if not text:
        return DEFAULT_LIMIT_BYTES
    try:
        size = parse_size(text)
    except UsageError as error:
        raise UsageError(
            f"The environment variable {LIMIT_VARIABLE} is {text!r}: {error.message}",
            remedy="Write such as 500 MiB.",
        ) from error
    return int(size)


def _file(path: Path) -> CachedFile:
    size, used = 0, 0.0
    for each in (path, *beside(path)):
        with contextlib.suppress(OSError):  # it may go at any time
            found = each.stat()
            size += found.st_size
            used = max(used, found.st_mtime)
    return CachedFile(path, size, used or time.time())
