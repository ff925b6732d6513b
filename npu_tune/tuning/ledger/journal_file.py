"""Journal files: reading them as they grow, and repairing a torn end."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from npu_tune._optuna_compat import JournalReplay
from npu_tune.errors import NpuTuneWarning, StorageError
from npu_tune.files import CHECK_DISK, storage_errors


class JournalReader:
    """Follows a journal file; reads only what is new since it last looked.

    Args:
        path: of the journal file.
    """

    def __init__(self, path: Path) -> None:
        self.replay = JournalReplay()
        self._path = path
        self._offset = 0
        self._lines = 0

    def read(self) -> None:
        """Takes in all complete lines.

        Raises:
            StorageError: if a line other than the last is damaged; names the line.
        """
        with journal_errors(self._path, "read"), self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        pieces = data.split(b"\n")
        for number, line in enumerate(pieces[:-1], start=1):
            log = _decoded(line)
            if log is None:
                if not any(pieces[number:]):
                    return  # being written, or torn: the next writer's to repair
                raise _damaged(self._path, self._lines + 1)
            try:
                self.replay.apply_logs([log])
            except (AssertionError, LookupError, TypeError, ValueError) as error:
                raise _damaged(self._path, self._lines + 1) from error
            self._offset += len(line) + 1
            self._lines += 1


def repair_torn_line(path: Path) -> None:
    """Cuts off a last line that was only half written, keeping a copy of the whole file.

    Only the writer may call this. A last line that is whole but for its end mark is kept.
    """
    with path.open("rb+") as file:
        start = _start_of_last_line(file.fileno())
        file.seek(start)
        last = file.read()
        if not last or (last.endswith(b"\n") and _decoded(last) is not None):
            return
        backup = _free_name(path)
        shutil.copy2(path, backup)
        if _decoded(last) is not None:
            file.write(b"\n")
        else:
            file.truncate(start)
        file.flush()
        os.fsync(file.fileno())
    warnings.warn(
        f"The last line of {path} was only half written, by a process that was killed or a "
        f"machine that lost power; it was repaired. The file as it was is kept as {backup.name}.",
        NpuTuneWarning,
        stacklevel=2,
    )


def _start_of_last_line(descriptor: int, block: int = 1 << 16) -> int:
    """Where the last line that holds anything begins."""
    size = os.fstat(descriptor).st_size
    tail, start = b"", size
    while start > 0:
        step = min(block, start)
        start -= step
        tail = os.pread(descriptor, step, start) + tail
        newline = tail.rstrip(b"\n").rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
    return 0


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        log = json.loads(line)
    except ValueError:
        return None
    return log if isinstance(log, dict) and "op_code" in log else None


def _free_name(path: Path) -> Path:
    number = 1
    while (backup := path.with_name(f"{path.name}.torn{number}")).exists():
        number += 1
    return backup


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of ``data``, in one system call wherever the system takes it."""
    while data:
        data = data[os.write(descriptor, data) :]


def _damaged(path: Path, line: int) -> StorageError:
    return StorageError(
        f"Line {line} of {path} is damaged.",
        remedy="Restore the file from a backup, or remove the line; the trial on it is lost.",
        path=str(path),
        line=line,
    )


def journal_errors(path: Path, action: str) -> AbstractContextManager[None]:
    """Turns what the operating system says about a journal into a StorageError."""
    return storage_errors("The study", path, action=action, remedy=CHECK_DISK)
