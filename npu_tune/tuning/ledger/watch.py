"""Notices when a file is taken away from under the process that writes it."""

from __future__ import annotations

import os
from pathlib import Path

from npu_tune.errors import LostStorageError, OutageError


class FileWatch:
    """A file as it was found, which must stay that very file and may only grow.

    A process goes on writing into a file that was removed, and nobody ever finds that again.

    Args:
        path: of the file, which is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = path.stat()
        self._identity = (found.st_dev, found.st_ino)
        self._size = found.st_size

    def check(self, least: int | None = None) -> os.stat_result:
        """What the system says of the file now.

        Args:
            least: bytes that it must hold; as many as when it was last looked at, if None.

        Raises:
            LostStorageError: if it was removed, replaced or cut short.
            OutageError: if the system cannot tell.
        """
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise self._lost("was removed") from None
        except OSError as error:
            raise OutageError(
                f"The study {self._path} cannot be found: {error.strerror}.",
                remedy="Check the disk, then run the same command again.",
                path=str(self._path),
            ) from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise self._lost("was replaced by another file")
        if found.st_size < (self._size if least is None else least):
            raise self._lost("was cut short")
        self._size = found.st_size
        return found

    def _lost(self, what: str) -> LostStorageError:
        return LostStorageError(
            f"The study {self._path} {what} while it was written.",
            path=str(self._path),
        )
