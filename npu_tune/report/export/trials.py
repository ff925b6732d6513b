"""``again/trials.journal.gz``: the study's trials, from which the whole folder can be made again."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from npu_tune.errors import StorageError
from npu_tune.files import storage_errors
from npu_tune.network.budget import MOST_BYTES
from npu_tune.tuning.attributes import own_trials
from npu_tune.tuning.identity import STUDY
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.reading import (
    AGAIN,
    BOUND,
    FILLED_IN,
    PLANNED,
    RIVALS,
    STOPPED,
    StudyContent,
)
from npu_tune.tuning.stretches import SEARCHES, stretch_attributes

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

TRIALS = "trials.journal.gz"

MOST_UNPACKED_BYTES = MOST_BYTES
"""Of such a file: as of a model."""

_PIECE = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
"""Tells zlib to read the format of gzip (zlib.h, ``inflateInit2``)."""

_KEPT = (STUDY, PLANNED, STOPPED, AGAIN, RIVALS, FILLED_IN, BOUND, SEARCHES)
"""Study attributes that a report is made of; others name places, or are for Optuna's tools."""

_JOURNAL = "trials.journal"


def write_trials(content: StudyContent, path: Path, *, directions: Sequence[str]) -> None:
    """Writes a study's trials as a journal, packed; the same content gives the same bytes.

    Left out are parameters and distributions, which the configurations say again, and command
    lines, which name places of a machine.

    Args:
        content: of the study.
        path: of the file.
        directions: of the study's objectives.

    Raises:
        OSError: if it cannot be written.
    """
    with TemporaryDirectory() as folder:
        journal = Path(folder) / _JOURNAL
        with open_ledger(journal, name=content.name, directions=directions) as ledger:
            for name, value in _attributes(content.attributes).items():
                ledger.set_attribute(name, value)
            for trial in _trials(content):
                ledger.append(trial)
        path.write_bytes(gzip.compress(journal.read_bytes(), mtime=0))


def read_trials(path: Path, *, name: str) -> StudyContent:
    """Reads what :func:`write_trials` wrote.

    Args:
        path: of the file.
        name: of the study.

    Raises:
        StorageError: if it cannot be read.
    """
    with storage_errors("The file", path, action="read"), TemporaryDirectory() as folder:
        journal = Path(folder) / _JOURNAL
        journal.write_bytes(unpacked(path.read_bytes(), path))
        with open_ledger(journal, name=name, create=False, read_only=True) as ledger:
            return StudyContent.of(ledger)


def unpacked(content: bytes, path: Path) -> bytes:
    """What is in such a file.

    Raises:
        StorageError: if it is damaged, or holds more than any study writes; found out without
            keeping what is in it.
    """
    try:
        _require_bounded(content)
        return gzip.decompress(content)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise StorageError(
            f"The file {path} is damaged: {error}.", remedy="Export the trial once more."
        ) from error


def _require_bounded(content: bytes) -> None:
    """Unpacks a file piece by piece, and forgets each. Raises ValueError, EOFError, zlib.error."""
    reader, rest, size = zlib.decompressobj(wbits=_GZIP), content, 0
    while not reader.eof:
        piece, rest = reader.decompress(rest, _PIECE), reader.unconsumed_tail
        if not piece and not rest and not reader.eof:
            raise EOFError("its end is missing")
        size += len(piece)
        if b"\0" in piece:
            raise ValueError("it holds zero bytes, and no text")
        if size > MOST_UNPACKED_BYTES:
            raise ValueError(f"it holds more than {MOST_UNPACKED_BYTES:,} bytes")
    if reader.unused_data:
        raise ValueError("something stands behind its end")


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: attributes[name] for name in _KEPT if attributes.get(name) is not None}
    return kept | stretch_attributes(attributes)


def _trials(content: StudyContent) -> Iterator[FrozenTrial]:
    """The trials by number; those that others added are there as failed ones, for their numbers."""
    own = {trial.number for trial in own_trials(content.trials)}
    last = max(own, default=-1)
    for trial in content.trials[: last + 1]:
        kept = copy(trial)
        kept.params, kept.distributions, kept.system_attrs = {}, {}, {}
        kept.intermediate_values = {}
        if trial.number not in own:
            kept.user_attrs, kept.values = {}, None
            kept.state = TrialState.FAIL
        yield kept
