"""Tells the records of a journal that are what was written from those that are damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from npu_tune._optuna_compat import JournalReplay
from npu_tune.tuning.doctor.findings import Finding
from npu_tune.tuning.ledger.journal_line import DamagedLineError, lost_with
from npu_tune.tuning.ledger.journal_records import RecordReader

_BLANK = b" \t\r\n"
_BACKUP = "Restore the storage from a backup."


@dataclass
class Sifted:
    """A journal's records after the damaged ones were left out.

    Args:
        kept: the others, in order.
        findings: what is wrong.
        replay: what the kept ones amount to.
    """

    kept: list[bytes]
    findings: list[Finding] = field(default_factory=list)
    replay: JournalReplay = field(default_factory=JournalReplay)


def sift(records: Sequence[bytes | None], *, place: str, word: str) -> Sifted:
    """Reads all records of a journal, whatever some of them are.

    Args:
        records: in order, without newlines; None for one that is not there.
        place: of the journal.
        word: what a record is called there.
    """
    reader = RecordReader(place, word)
    sifted = Sifted([], replay=reader.replay)
    trials_before_gap: int | None = None
    for number, record in enumerate(records, 1):
        name = f"{word} {number}"
        if record is not None and not record.strip(_BLANK):
            sifted.findings.append(
                Finding("blank record", f"{name} is blank.", "It is taken out.")
            )
            continue
        try:
            if record is None:
                raise DamagedLineError("it is not there")
            if trials_before_gap is not None and _refers_behind(record, trials_before_gap):
                raise DamagedLineError(
                    "it belongs to a trial behind a damaged record, and which one cannot be told"
                )
            reader.take(record)
        except DamagedLineError as error:
            lost = lost_with(record or b"")
            is_study = not reader.replay.study_names()
            sifted.findings.append(
                Finding(
                    "damaged record",
                    f"{name} is damaged: {error}.",
                    _BACKUP if is_study else f"It is taken out; {lost}.",
                    repairable=not is_study,
                )
            )
            if trials_before_gap is None:
                trials_before_gap = reader.replay.total_trials()
            continue
        sifted.kept.append(record or b"")
    return sifted


def _refers_behind(record: bytes, trials: int) -> bool:
    """Whether a record of Optuna's own is about a trial behind the first damaged one.

    They count trials; what this package writes is a whole trial and counts none.
    """
    if b'"trial_id"' not in record:
        return False
    try:
        log: Any = json.loads(record)
    except (ValueError, RecursionError):
        return False
    number = log.get("trial_id") if isinstance(log, Mapping) else None
    return isinstance(number, int) and number >= trials
