"""Holds the files of an export against the list of their checksums."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from npu_tune.errors import UsageError
from npu_tune.files import storage_errors
from npu_tune.report.export.place import CHECKSUMS
from npu_tune.report.verification.outcome import Checksums

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def compare_checksums(folder: Path, given: Path | None = None) -> Checksums:
    """Holds every file of an export against its checksum.

    A link in the place of a file counts as changed, whatever it leads to: what it leads to is not
    in the folder.

    Args:
        folder: of the export.
        given: a file that stands for one that is missing in the folder, where it is the same.

    Raises:
        UsageError: if there is no list of checksums, or it names what no export does.
        StorageError: if a file cannot be read.
    """
    listed = _listed(folder)
    there = dict(_there(folder))
    own = None if given is None else _digest(given)
    changed = []
    for name, digest in listed.items():
        if name in there and (there[name].is_symlink() or _digest(there[name]) != digest):
            changed.append(name)
    return Checksums(
        tuple(changed),
        tuple(name for name in listed if name not in there and listed[name] != own),
        tuple(name for name in there if name not in listed and name != CHECKSUMS),
    )


def _listed(folder: Path) -> Mapping[str, str]:
    path = folder / CHECKSUMS
    if not path.is_file():
        raise UsageError(
            f"There is no {CHECKSUMS} in {folder}: its export was not finished, or it was taken "
            "away.",
            remedy="Export the trial once more.",
            folder=str(folder),
        )
    with storage_errors("The file", path, action="read"):
        text = path.read_bytes().decode("utf-8", "replace")
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or not _is_inside(match[2]):
            raise UsageError(
                f"{path} holds a line that no export writes: {line[:80]!r}.",
                remedy="Export the trial once more.",
                file=str(path),
            )
        found[match[2]] = match[1]
    return found


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.as_posix() == name


def _there(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything in a folder but folders, by its path there; links are not followed."""
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(place) / name
            yield path.relative_to(folder).as_posix(), path


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with storage_errors("The file", path, action="read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
