"""Puts a finished folder where it is wanted: everything or nothing, and nothing of an earlier one."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from npu_tune.errors import UsageError
from npu_tune.report.export.document import SCHEMA
from npu_tune.validation import key_name

CHECKSUMS = "SHA256SUMS"
"""What ``sha256sum --check`` reads; the last file that is put into place."""

DOCUMENT = "export.json"
"""The document that lists the files of an export."""


def write_checksums(folder: Path) -> Path:
    """Writes the SHA-256 of every file in a folder, in the form of ``sha256sum``."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files_in(folder)
    ]
    path = folder / CHECKSUMS
    path.write_text("".join(lines), encoding="utf-8")
    return path


def files_in(folder: Path) -> list[Path]:
    """Every file in a folder, in the order of their paths."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def put_in_place(staged: Path, out: Path, *, force: bool) -> None:
    """Moves a finished folder's files to where they are wanted.

    What an earlier export has put there and this one has not is taken away. When something goes
    wrong on the way, all is as it was before; after a crash :data:`CHECKSUMS` is not there.

    Args:
        staged: the finished folder, inside of ``out`` so that files can be moved.
        out: where they are wanted; other files there stay.
        force: overwrite what an export of something else has put there.

    Raises:
        UsageError: without ``force``, where files there hold something else.
        OSError: where files cannot be moved.
    """
    made = [path.relative_to(staged) for path in files_in(staged)]
    earlier = [path for path in _listed(out) if path not in made and (out / path).is_file()]
    other = next((path for path in made if _holds_other(out / path, staged / path)), None)
    other = other or next(iter(earlier), None)
    if other is not None and not force:
        raise UsageError(
            f"{out / other} is there already and holds another export.",
            remedy=f"Name another folder with {key_name('export.out', 'the argument `out`')}, or "
            f"overwrite it with {key_name('export.force', '`force=True`')}.",
            file=str(out / other),
        )
    aside, sums = staged.with_name(f"{staged.name}-before"), Path(CHECKSUMS)
    others = [path for path in made if path != sums]
    with contextlib.ExitStack() as undo:
        for path in (sums, *others, *earlier):
            if (out / path).is_file():
                _move(out / path, aside / path, undo)
        for path in (*others, sums):
            _move(staged / path, out / path, undo)
        undo.pop_all()
    for path in earlier:
        _remove_empty(out, (out / path).parent)


def _move(source: Path, goal: Path, undo: contextlib.ExitStack) -> None:
    goal.parent.mkdir(parents=True, exist_ok=True)
    source.replace(goal)
    undo.callback(goal.replace, source)


def _remove_empty(out: Path, folder: Path) -> None:
    """Removes a folder that has become empty, and those around it up to ``out``."""
    with contextlib.suppress(OSError):  # it is not empty
        while folder != out:
            folder.rmdir()
            folder = folder.parent


def _holds_other(present: Path, new: Path) -> bool:
    return present.exists() and not (
        present.is_file() and filecmp.cmp(present, new, shallow=False)
    )


def _listed(out: Path) -> Iterator[Path]:
    """The files of the export that is there; none where there is none that can be read."""
    try:
        document = json.loads((out / DOCUMENT).read_bytes())
        is_export = document["schema"] == SCHEMA
        paths: Iterable[str] = document["files"].values() if is_export else ()
        named = dict.fromkeys(PurePosixPath(path) for path in paths)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return
    whole = out.resolve()
    for path in named:
        with contextlib.suppress(OSError, ValueError):  # a name that no file has
            # Links lead elsewhere too.
            if (whole / path).resolve().is_relative_to(whole) and ".." not in path.parts:
                yield Path(path)
