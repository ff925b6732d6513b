"""Journal files: reading them as they grow, and repairing a torn end."""

from __future__ import annotations

import os
import shutil
import warnings
from contextlib import AbstractContextManager
from pathlib import Path

from npu_tune.errors import NpuTuneWarning, OutageError, StorageError
from npu_tune.files import CHECK_DISK, storage_errors
from npu_tune.tuning.ledger.address import SQLITE_MARK
from npu_tune.tuning.ledger.journal_line import DamagedLineError, LineReader
from npu_tune.tuning.ledger.journal_records import RecordReader

_BLANK = b" \t\r\n"

_BUFFER = 1 << 20
"""Bytes that are read at once: a line with a profile has more than Python's buffers have."""


class JournalReader(RecordReader):
    """Follows a journal file; reads only what is new since it last looked.

    Args:
        path: of the journal file.
        lean: as of :class:`RecordReader`.
    """

    def __init__(self, path: Path, *, lean: bool = False) -> None:
        super().__init__(str(path), "Line", lean=lean)
        self._path = path
        self._offset = 0

    def read(self) -> None:
        """Takes in all whole lines; blank ones mean nothing.

        What has no end yet is being written, or torn, and the next writer's to repair. Blank lines
        at the end are read again the next time, as the next writer cuts them off.

        Raises:
            StorageError: if a line is damaged; names the line and what is lost with it.
        """
        with journal_errors(self._path, "read"), self._path.open("rb", _BUFFER) as file:
            if not self._offset and file.read(len(SQLITE_MARK)) == SQLITE_MARK:
                raise StorageError(
                    f"{self._path} is a SQLite database, and no journal.",
                    remedy=f"Write sqlite:///{self._path}.",
                    path=str(self._path),
                )
            file.seek(self._offset)
            blank, lines = 0, 0
            for line, ahead in self._ahead(file):
                if line[0] in _BLANK and not line.strip(_BLANK):
                    blank, lines = blank + len(line), lines + 1
                    continue
                self._offset, self.count = self._offset + blank, self.count + lines
                blank, lines = 0, 0
                if not line.endswith(b"\n"):
                    self._take_unended(line)
                    return
                self._take(line[:-1], ahead)
                self._offset += len(line)
                self.count += 1

    def _take_unended(self, line: bytes) -> None:
        content = whole_start(line)
        if not content:
            return
        if line[len(content) :].strip(b"\0" + _BLANK):
            raise self.damage(line, "its end is another than was written")
        self._take(content)
        # Its end will be read as a blank line, and counted before the next one.
        self._offset += len(content)


def repair_end(path: Path) -> None:
    """Makes the end of a journal fit to write behind; only the writer may call this.

    A last line that was only half written is cut off, and a copy of the whole file is kept; one
    that lacks nothing but its end mark stays. Blank lines go, as Optuna's own reader fails at
    them.
    """
    with path.open("rb+") as file:
        start = _start_of_last_line(file.fileno())
        file.seek(start)
        last = file.read()
        if not last.strip(_BLANK):
            file.truncate(start)
            return
        content, newline, blank = last.partition(b"\n")
        if newline:
            if blank:
                file.truncate(start + len(content + newline))
            return
        content = whole_start(last)
        backup = _free_name(path)
        shutil.copy2(path, backup)
        file.truncate(start + len(content))
        if content:
            file.seek(start + len(content))
            file.write(b"\n")
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
        newline = tail.rstrip(_BLANK).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
    return 0


def whole_start(piece: bytes) -> bytes:
    """The whole line that a piece without an end mark begins with; empty where there is none."""
    content = piece[: piece.rfind(b"}") + 1]
    try:
        LineReader().read(content)
    except DamagedLineError:
        return b""
    return content


def _free_name(path: Path) -> Path:
    number = 1
    while (backup := path.with_name(f"{path.name}.torn{number}")).exists():
        number += 1
    return backup


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of ``data``, in one system call wherever the system takes it."""
    while data:
        data = data[os.write(descriptor, data) :]


def journal_errors(path: Path, action: str) -> AbstractContextManager[None]:
    """Turns what the operating system says about a journal into an OutageError: it may pass."""
    return storage_errors("The study", path, action=action, remedy=CHECK_DISK, kind=OutageError)
